"""What the rooms cost by themselves: an append to a full run buffer, and a session found among few and among many."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import msgspec

from core.clock import SystemClock
from core.journal import Journal
from core.router import Context, SessionRouter
from core.runs import RunLog
from core.runs.run import head_of
from core.settings import Router as RouterSettings
from tests.bench.report import Table

_FEW, _MANY = 100, 100_000
_EVENTS = 5000
_ROUNDS = 5


class Idle:
    """A live session that does nothing."""

    async def abort(self, reason: str) -> None:
        """Nothing to stop."""

    async def dispose(self) -> None:
        """Nothing to let go of."""

    def summary(self) -> str:
        return ""


class Factory:
    """Makes sessions that do nothing."""

    async def create(self, context: Context) -> Idle:
        return Idle()

    async def recreate(self, context: Context, previous: Idle) -> Idle:
        return Idle()


def main(*, quick: bool = False) -> None:
    """Measure and print."""
    count = 20_000 if quick else 100_000
    table = Table("rooms by themselves, best of five", "figure", "time", "aim")
    table.row("append to a full buffer of 5,000, encoding included", f"{append(count):.2f} µs", "2 µs")
    few, many = asyncio.run(sessions(_FEW, count)), asyncio.run(sessions(_MANY, count))
    table.row(f"get_or_create, {_FEW:,} sessions", f"{few:.2f} µs", "")
    table.row(f"get_or_create, {_MANY:,} sessions", f"{many:.2f} µs", "the same")
    table.row("ratio", f"{many / few:.2f}", "1.3")
    table.print()


def append(count: int) -> float:
    """Microseconds to encode an event of about 200 bytes and append it to a full log."""
    log = RunLog(head_of("r" * 32, "api:user/session"), max_events=_EVENTS, max_bytes=1 << 30)
    log.extend([(b'{"kind":"text"}', 0, 0)] * _EVENTS)
    encode = msgspec.json.Encoder().encode
    event = {"kind": "text", "content": "x" * 170}

    def work() -> None:
        for _ in range(count):
            log.extend([(encode(event), 0, 0)])

    return best(work) / count


async def sessions(cached: int, count: int) -> float:
    """Microseconds to find one of so many cached sessions, each in turn."""
    clock = SystemClock()
    journal = Journal(clock, "bench", max_events=1000, max_bytes=1 << 20)
    router: SessionRouter[Idle] = SessionRouter(
        RouterSettings(idle_seconds=3600), abort_seconds=1, clock=clock, journal=journal, factory=Factory()
    )
    keys = [f"api:user{number}/session" for number in range(cached)]
    for key in keys:
        await router.get_or_create(key)
    # the same keys again and again in both: what is compared is the house's size, not the processor's cache
    asked = keys[:: max(1, cached // _FEW)][:_FEW]
    times = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        for number in range(count):
            await router.get_or_create(asked[number % _FEW])
        times.append(time.perf_counter() - started)
    await router.shutdown()
    return min(times) / count * 1e6


def best(work: Callable[[], None]) -> float:
    """The shortest of five runs, in microseconds."""
    times = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times) * 1e6


if __name__ == "__main__":
    main()
