"""When to tick: at once, then again and again, with a watchdog over each tick.

Where several processes share the database one of them ticks for all, whichever comes first when the next one is due;
so what a tick may admit does not grow with the number of processes.
"""

from __future__ import annotations

import asyncio

from sqlalchemy import Connection

from core.admission import whose_tick
from core.admission.answers import TickReport
from core.admission.changes import Change
from core.admission.floor import Floor
from core.admission.following import Following
from core.admission.health import FleetHealth
from core.admission.herald import Herald
from core.admission.landing import Landing
from core.admission.rounds import Rounds
from core.admission.tick import Tick, TickTerms
from core.clock import Clock

WATCHDOG_SECONDS = 60.0
"""A tick that lasts longer is given up."""


class Ticker:
    """Makes ticks, and outlives whatever becomes of them."""

    def __init__(
        self,
        floor: Floor,
        rounds: Rounds,
        landing: Landing,
        herald: Herald,
        health: FleetHealth,
        terms: TickTerms,
        clock: Clock,
        following: Following | None,
    ) -> None:
        """`following` is None where no other process writes to the database."""
        self._floor = floor
        self._rounds = rounds
        self._landing = landing
        self._herald = herald
        self._health = health
        self._terms = terms
        self._clock = clock
        self._follow = None if following is None else following.catch_up
        self._late: set[asyncio.Task[None]] = set()

    async def tick(self) -> TickReport:
        """One tick; never raises for a part that fails, and answers after a minute at the latest.

        A tick that is given up comes to its end by itself, and disturbs no later one.
        """
        now = self._clock.now()
        tick = Tick(
            self._floor, self._rounds, self._landing.write, self._health.of, self._terms, now, self._follow
        )
        task = asyncio.create_task(tick.run(), name="admission tick")
        overdue = asyncio.Event()
        watchdog = self._clock.call_later(WATCHDOG_SECONDS, overdue.set)
        try:
            in_time = await _is_done_before(task, overdue)
        finally:
            watchdog.cancel()
        if not in_time:
            tick.abandon(f"given up after {WATCHDOG_SECONDS:g} s; is the database stuck?")
            self._late.add(task)
            task.add_done_callback(self._late.discard)
        report = tick.report()
        for part, message in report.errors.items():
            self._herald.trouble("tick_part_failed", f"admission tick, {part}: {message}")
        self._herald.tell_time(now)
        return report

    async def run(self, seconds: float) -> None:
        """Tick at once, then every so many seconds, until it is cancelled; a tick that fails is told and survived.

        It passes when another process on the same database has ticked less than so many seconds ago.
        """
        while True:
            wait = seconds
            try:
                due = await self._due(seconds)
                if due > 0:
                    wait = min(due, seconds)
                else:
                    await self.tick()
            except Exception as error:
                self._herald.trouble(
                    "tick_failed", f"an admission tick failed: {error or type(error).__name__}"
                )
            await self._clock.sleep(wait)

    async def _due(self, seconds: float) -> float:
        """In how many seconds a tick of this house is due; 0 when it is, and then it is this process's to make."""
        if self._follow is None:
            return 0.0
        period = round(seconds * 1000)

        def claim(connection: Connection) -> tuple[list[Change], int]:
            return [], whose_tick.claim(connection, period)

        return await self._landing.write(claim, self._clock.now()) / 1000

    async def aclose(self) -> None:
        """Let go of ticks that were given up; what they had submitted is still written."""
        late = list(self._late)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)


async def _is_done_before(task: asyncio.Task[None], overdue: asyncio.Event) -> bool:
    """Wait for either; whether the task is done. Raises what the task raised; cancelling the wait cancels it."""
    waiting = asyncio.create_task(overdue.wait())
    try:
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        task.cancel()
        raise
    finally:
        waiting.cancel()
    if task.done():
        task.result()
    return task.done()
