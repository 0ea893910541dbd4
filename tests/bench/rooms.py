"""What the rooms cost by themselves: the runs' buffers and their readers, and sessions among few and among many."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Callable

import msgspec

from core.clock import SystemClock
from core.journal import Journal
from core.router import Context, SessionRouter
from core.runs import RunLog, RunRegistry
from core.runs.run import head_of
from core.server.loop import settle_down
from core.settings import Router as RouterSettings
from core.settings import Runs
from tests.bench.processes import resident_mb
from tests.bench.report import Table
from tests.runs.fakes import MemoryRecords

_FEW, _MANY = 100, 100_000
_EVENTS = 5000
_ROUNDS = 5
_SUBSCRIBERS = 100


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
    table.row("replay of the last 10 of 5,000", f"{replay(count // 10):.2f} µs", "5 µs")
    for together in (1, 50):
        taken = asyncio.run(fan_out(count // 20, together))
        what = f"an event to {_SUBSCRIBERS} subscribers of its run, {together} at once"
        table.row(what, f"{taken:.1f} µs", "" if together == 1 else "15 µs")
    runs = 50 if quick else 1000
    each, pause = memory(runs)
    table.row(f"memory of a buffered 200-byte event, {runs:,} runs of 5,000", f"{each:.0f} B", "320 B")
    table.row("the longest collection pause with those loaded", f"{pause * 1000:.1f} ms", "50 ms")
    table.print()
    found = [asyncio.run(sessions(cached, count)) for cached in (_FEW, _MANY)]
    table = Table("sessions", "figure", f"{_FEW:,}", f"{_MANY:,}", "ratio", "aim")
    for name in found[0]:
        few, many = (each[name] for each in found)
        table.row(name, f"{few:.2f} µs", f"{many:.2f} µs", f"{many / few:.2f}×", "1.30×")
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


def replay(count: int) -> float:
    """Microseconds to put together the last ten frames of a full log."""
    log = RunLog(head_of("r" * 32, "api:user/session"), max_events=_EVENTS, max_bytes=1 << 30)
    log.extend([(b'{"kind":"text","content":"%b"}' % (b"x" * 170), 0, 0)] * (_EVENTS + _EVENTS // 2))

    def work() -> None:
        for _ in range(count):
            if len([log.frame(event) for event in log.after(log.last - 10)]) != 10:
                raise AssertionError("expected ten")

    return best(work) / count


async def fan_out(count: int, together: int) -> float:
    """Microseconds of an event until each of the subscribers has it, so many `together` in each turn of the loop."""
    runs = registry()
    run = runs.start("api:user/session", "bench")
    got = [0] * _SUBSCRIBERS

    async def follow(number: int) -> None:
        subscription = runs.subscribe(run.id)
        while events := await subscription.next():
            got[number] += len(events)

    following = [asyncio.create_task(follow(number)) for number in range(_SUBSCRIBERS)]
    await asyncio.sleep(0)
    event = {"kind": "text", "content": "x" * 170}
    started = time.perf_counter()
    for number in range(count):
        runs.publish(run.id, event)
        if number % together == 0:
            await asyncio.sleep(0)
    runs.complete(run.id, exit_code=0)
    await asyncio.gather(*following)
    taken = time.perf_counter() - started
    assert got == [count + 1] * _SUBSCRIBERS
    await runs.aclose()
    return taken / count * 1e6


def memory(runs: int) -> tuple[float, float]:
    """Bytes of each buffered event, and the longest pause (s) that the collector makes while they are there.

    As in a server, what was there before is out of the collector's sight.
    """
    settle_down()
    before = resident_mb(os.getpid())
    payload = b'{"kind":"text","content":"%b"}'
    logs = []
    for number in range(runs):
        log = RunLog(head_of(f"{number:032x}", "api:user/session"), max_events=_EVENTS, max_bytes=1 << 30)
        log.extend([(payload % (b"%07d" % seq).ljust(170, b"x"), 0, 0) for seq in range(_EVENTS)])
        logs.append(log)
    grown = resident_mb(os.getpid()) - before
    pauses = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        gc.collect()
        pauses.append(time.perf_counter() - started)
    assert len(logs) == runs
    gc.unfreeze()
    return grown * 1e6 / (runs * _EVENTS), max(pauses)


def registry() -> RunRegistry:
    """A registry that writes nothing down."""
    clock = SystemClock()
    journal = Journal(clock, "bench", max_events=1000, max_bytes=1 << 20)
    ids = (f"{number:032x}" for number in range(1 << 30))
    return RunRegistry(
        Runs(), clock=clock, journal=journal, records=MemoryRecords(), new_id=lambda: next(ids)
    )


async def sessions(cached: int, count: int) -> dict[str, float]:
    """Microseconds of each operation on one of so many cached sessions, each in turn."""
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
    times: dict[str, list[float]] = {
        "get_or_create": [],
        "begin and end of a turn": [],
        "has_active_user_turn": [],
    }
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        for number in range(count):
            await router.get_or_create(asked[number % _FEW])
        times["get_or_create"].append(time.perf_counter() - started)
        started = time.perf_counter()
        for number in range(count):
            router.begin_turn(asked[number % _FEW], "run")
            router.end_turn(asked[number % _FEW], "run")
        times["begin and end of a turn"].append(time.perf_counter() - started)
        started = time.perf_counter()
        for _ in range(count):
            router.has_active_user_turn("project")
        times["has_active_user_turn"].append(time.perf_counter() - started)
    await router.shutdown()
    return {name: min(taken) / count * 1e6 for name, taken in times.items()}


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
