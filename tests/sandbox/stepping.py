"""A sandbox on a clock that is driven by hand: one timer, then everything that follows from it, then the next.

What a timer sets off goes to the database's thread and back; only when all of that has come to rest is the next one
fired. So the play is the same each time, however fast the disk is.

    python -m tests.sandbox.stepping SCENARIO USERS SEED SECONDS FOLDER

plays that long in an empty folder, and writes the journal as lines of JSON.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from console.sandbox.house import Plan, SandboxCore, open_sandbox
from core.clock import ManualClock, parse_timestamp
from core.protocol import AnyEvent

EVENING = parse_timestamp("2026-04-17T17:00:00Z")
_LOOPS = 25
"""How many rounds of the loop anything takes between two trips to the database."""
_READ_EVERY = 500
"""The journal is bounded; timers after which it is read."""


class Stepped:
    """A sandbox and its clock, with every event that its journal has told so far."""

    def __init__(self, core: SandboxCore, clock: ManualClock) -> None:
        self.core = core
        self.clock = clock
        self.events: list[AnyEvent] = []
        self._cursor = ""
        self._away = 0
        database: Any = core.database
        send, read = database.send, database.read

        def counted_send(unit: Any, settle: Callable[[Any, BaseException | None], None]) -> None:
            def settled(result: Any, error: BaseException | None) -> None:
                self._away -= 1
                settle(result, error)

            send(unit, settled)
            self._away += 1

        async def counted_read(query: Any) -> Any:
            self._away += 1
            try:
                return await read(query)
            finally:
                self._away -= 1

        database.send, database.read = counted_send, counted_read

    async def play(self, seconds: float) -> list[AnyEvent]:
        """Let so much time pass, timer by timer; answers what was told meanwhile."""
        end = self.clock.now() + round(seconds * 1000)
        before = len(self.events)
        await self._rest()
        fired = 0
        while self.clock.step(end):
            await self._rest()
            fired += 1
            if fired % _READ_EVERY == 0:
                await self._read()
        await self._read()
        return self.events[before:]

    async def _rest(self) -> None:
        """Until nothing is on its way and nobody has anything to do."""
        quiet = 0
        while quiet < _LOOPS:
            await asyncio.sleep(0)
            quiet = 0 if self._away else quiet + 1

    async def _read(self) -> None:
        while True:
            batch = await self.core.events(self._cursor, wait=0, limit=10_000)
            assert not batch.gap, "the journal is shorter than what happens between two readings"
            self._cursor = batch.cursor
            self.events += batch.events
            if len(batch.events) < 10_000:
                return


@asynccontextmanager
async def stepped(folder: Path, plan: Plan) -> AsyncIterator[Stepped]:
    """Open a sandbox that stands still; play it with `Stepped.play`."""
    clock = ManualClock(EVENING)
    core = await open_sandbox(plan, folder, clock=clock)
    try:
        yield Stepped(core, clock)
    finally:
        await core.aclose()


async def _main(scenario: str, users: str, seed: str, seconds: str, folder: str) -> None:
    async with stepped(Path(folder), Plan(scenario=scenario, users=int(users), seed=int(seed))) as play:
        for event in await play.play(float(seconds)):
            sys.stdout.buffer.write(msgspec.json.encode(event) + b"\n")


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
