"""The workload: takes errands from the agenda when they are due, and has them carried out.

Everything goes by the core's clock, one errand for each call of its timer, so that a clock which tests drive runs the
same play each time. Only what runs has a task: a guest who waits or thinks is an entry in a heap.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Coroutine
from typing import Any, assert_never

from console.sandbox.agenda import Act, Agenda, Arrive, Change, Do, Errand, WalkOut
from console.sandbox.cast import Cast, Guest
from console.sandbox.dice import Dice, seeded_ids
from console.sandbox.fleet import leisure
from console.sandbox.operators import Operators
from console.sandbox.scenarios import Scenario, arrival_rate
from console.sandbox.scripts import Doing
from console.sandbox.visits import Visits
from core.clock import Timer
from core.errors import MaitredError, ShuttingDown
from core.session_core import SessionCore

_AT_ONCE = 64
"""How many requests and acts are on their way at once; while so many are, what else is due waits."""
_LOOK_AHEAD = 5.0
"""Seconds after which the rate of arrivals is asked for anew."""

_log = logging.getLogger(__name__)


class Workload:
    """One scenario over one core, on the core's loop. `start` it, and `aclose` it before the core."""

    def __init__(self, core: SessionCore, cast: Cast, scenario: Scenario, seed: int) -> None:
        self._core = core
        self._clock = core.clock
        self._cast = cast
        self._scenario = scenario
        self._pace = leisure(cast.users)
        self._agenda = Agenda()
        self._visits = Visits(core, cast, scenario, self._pace, self._book)
        self._operators = Operators(core, seed, seeded_ids(seed + 1))
        self._dice = Dice(seed, 0xA1)
        self._started_at = self._clock.now()
        self._timer: Timer | None = None
        self._timer_at = 0
        self._busy = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped = False

    @property
    def seen(self) -> Counter[str]:
        """How often something happened that the journal does not tell."""
        return self._visits.seen

    @property
    def booked(self) -> int:
        """How many errands are ahead."""
        return len(self._agenda)

    def start(self) -> None:
        """Open the doors."""
        self._agenda.book(self._started_at, Arrive(self._started_at, comes=False))
        self._arm()
        for spell in self._scenario.spells:
            self._book(spell.first, Change(spell, begins=True))

    async def aclose(self) -> None:
        """Let nothing happen any more, and wait until what was on its way has ended."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _book(self, seconds: float, errand: Errand) -> None:
        self._agenda.book(self._clock.now() + round(seconds * 1000), errand)
        self._arm()

    def _arm(self) -> None:
        """Have the clock call for the next errand; not while too much is on its way."""
        at = self._agenda.next_at
        if self._stopped or at is None or self._busy >= _AT_ONCE:
            return
        if self._timer is not None:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._clock.call_later(max(0, at - self._clock.now()) / 1000, self._due)

    def _due(self) -> None:
        self._timer = None
        if self._stopped:
            return
        errand = self._agenda.take()
        try:
            self._begin(errand)
        except ShuttingDown:
            self._stopped = True
        self._arm()

    def _begin(self, errand: Errand) -> None:
        match errand:
            case Arrive():
                self._arrive(errand)
            case Do():
                self._do(errand.guest, errand.what)
            case WalkOut(turn=turn):
                self._core.turns.stop(turn, "the client went away")
            case Act():
                self._spawn(self._operators.act(errand))
            case Change():
                self._change(errand)
            case _:
                assert_never(errand)

    def _do(self, guest: Guest, what: Doing) -> None:
        match what:
            case "ask":
                self._spawn(self._visits.ask(guest))
            case "look":
                self._visits.look(guest)
            case "leave":
                self._spawn(self._visits.leave(guest))
            case "talk":
                turn = self._visits.talk(guest)
                if turn is not None:
                    self._spawn(self._visits.hear(guest, turn), counts=False)
            case _:
                assert_never(what)

    def _arrive(self, errand: Arrive) -> None:
        """Let somebody in, and plan the next arrival. Where none comes for long, look again: the rate may rise.

        The plan goes by its own times, so that a house which is behind gets everybody in the end.
        """
        if errand.comes and (guest := self._cast.arrive()) is not None:
            self._book(0, Do(guest, "ask"))
        seconds = (errand.at - self._started_at) / 1000
        gap = self._dice.gap(arrival_rate(self._scenario, self._cast.users, self._pace, seconds))
        at = errand.at + round(min(gap, _LOOK_AHEAD) * 1000)
        self._agenda.book(at, Arrive(at, comes=gap <= _LOOK_AHEAD))
        self._arm()

    def _change(self, change: Change) -> None:
        spell = change.spell
        health = spell.health if change.begins else "healthy"
        self._cast.health[spell.model] = health
        self._core.waiting_room.set_health(spell.model, health)
        if spell.pause:
            self._book(4, Act("pause" if change.begins else "resume", spell.model))
        wait = spell.lasts if change.begins else spell.every - spell.lasts
        self._book(wait, Change(spell, begins=not change.begins))

    def _spawn(self, work: Coroutine[Any, Any, None], *, counts: bool = True) -> None:
        """Carry it out beside the rest; `counts` it among what may be on its way at once."""
        task = asyncio.create_task(work, name="sandbox errand")
        self._tasks.add(task)
        self._busy += counts

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            self._busy -= counts
            if not task.cancelled() and (error := task.exception()) is not None:
                self._failed(error)
            self._arm()

        task.add_done_callback(ended)

    def _failed(self, error: BaseException) -> None:
        """Whoever did it is lost to the sandbox; the others go on."""
        if isinstance(error, MaitredError):
            _log.warning("a guest of the sandbox met an error: %s", error.message)
        else:
            _log.error("the sandbox made a mistake", exc_info=error)
        self.seen["failed"] += 1
