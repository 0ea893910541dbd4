"""Attached consoles: the first view of a full house, what following costs, and whether the gateway feels it.

The core has one core of the machine, the feeds the other. A share is that of one core.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec

from console.feed import Feed
from console.state import ConsoleState
from core.server.auth import local_token
from tests.bench import load
from tests.bench._feeds import feed_on
from tests.bench.load import Target
from tests.bench.processes import cores, cpu_seconds, gateway_process, pinned, stop, upstream_process
from tests.bench.report import Table, percentile

_CHECKOUT = Path(__file__).parents[2]
_RATE = 5_000
_FEEDS = 10


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How much is measured."""

    sessions: int = 50_000
    rounds: int = 3
    seconds: float = 6.0
    latency_rounds: int = 300


FULL = Size()
QUICK = Size(sessions=5_000, rounds=1, seconds=1.5, latency_rounds=40)


def main(*, quick: bool = False) -> None:
    """Measure and print."""
    size = QUICK if quick else FULL
    server_core, client_core = cores()
    table = Table("attached consoles, over loopback", "figure", "found", "aim")
    with pinned(client_core):
        with full_house(size.sessions, server_core) as house:
            asyncio.run(_follow(house, size, table))
        with (
            tempfile.TemporaryDirectory(prefix="maitred-bench-") as name,
            upstream_process(server_core) as upstream_port,
            gateway_process(_config(upstream_port), Path(name), server_core) as (port, _),
        ):
            asyncio.run(_beside(port, _token_in(Path(name)), client_core, size, table))
    table.print()


# ------------------------------------------------------------------------------------------------- a full house


class FullHouse(msgspec.Struct, frozen=True):
    """A core with very many live sessions, in a process of its own."""

    process: subprocess.Popen[str]
    url: str
    token: str

    def happen(self, rate: int) -> None:
        """So many events a second from now on."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{rate}\n")
        self.process.stdin.flush()


@contextlib.contextmanager
def full_house(sessions: int, core: int) -> Iterator[FullHouse]:
    """Run one on a core of this machine."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench._full_house", str(sessions)],
        cwd=_CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        os.sched_setaffinity(process.pid, {core})
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        yield FullHouse(process, told["url"], told["token"])
    finally:
        assert process.stdin is not None
        process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        stop(process)


async def _follow(house: FullHouse, size: Size, table: Table) -> None:
    views, seen = [], 0
    for _ in range(size.rounds):
        began = time.perf_counter()
        async with _attached(house) as (feed, state):
            steps: set[int] = set()
            while feed.link != "live":
                done = state.view_progress()
                steps |= {done[0]} if done is not None else set()
                await asyncio.sleep(0)
            views.append(time.perf_counter() - began)
            seen = max(seen, len(steps))
            if len(state.rows.sessions) != size.sessions:
                raise AssertionError(f"{len(state.rows.sessions)} of {size.sessions} sessions came")
    table.row(f"first view of {size.sessions:,} sessions", f"{statistics.median(views):.2f} s", "3 s")
    table.row("steps in which its progress was seen", f"{seen:,}", "")
    for rate, what, aims in (
        (_RATE, f"following {_RATE:,} events/s", ("10 %", "15 %")),
        (0, "idle", ("1 %", "1 %")),
    ):
        core_share, feed_share, came = await _shares(house, rate, size)
        table.row(f"{what}: the core, for it", f"{core_share:.1%}", aims[0])
        table.row(f"{what}: the client's feed", f"{feed_share:.1%}", aims[1])
        if rate:
            table.row("events that came, a second", f"{came:,.0f}", f"{rate:,}")


async def _shares(house: FullHouse, rate: int, size: Size) -> tuple[float, float, float]:
    """What the core spends more with a feed than without, what the feed spends, and the events a second it got."""
    house.happen(rate)
    alone, followed, ours, came = [], [], [], []
    for _ in range(size.rounds):
        alone.append((await _spent(house, size.seconds))[0])
        async with _attached(house) as (feed, state):
            while feed.link != "live":
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.5)  # what was missed while the view came is caught up with
            noted = state.noted
            core_share, own = await _spent(house, size.seconds)
            followed.append(core_share)
            ours.append(own)
            came.append((state.noted - noted) / size.seconds)
    house.happen(0)
    return (
        statistics.median(followed) - statistics.median(alone),
        statistics.median(ours),
        statistics.median(came),
    )


async def _spent(house: FullHouse, seconds: float) -> tuple[float, float]:
    """The shares of a core that the core's process and this one take."""
    pid = house.process.pid
    theirs, ours, began = cpu_seconds(pid), time.process_time(), time.perf_counter()
    await asyncio.sleep(seconds)
    passed = time.perf_counter() - began
    return (cpu_seconds(pid) - theirs) / passed, (time.process_time() - ours) / passed


@contextlib.asynccontextmanager
async def _attached(house: FullHouse) -> AsyncIterator[tuple[Feed, ConsoleState]]:
    feed, state = feed_on(house.url, house.token)
    task = asyncio.create_task(feed.run())
    try:
        yield feed, state
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        if feed.core is not None:
            await feed.core.aclose()


# ----------------------------------------------------------------------------------------------- beside a gateway


async def _beside(port: int, token: str, core: int, size: Size, table: Table) -> None:
    """The gateway's p50 without and with ten feeds, in turn."""
    found: dict[bool, list[float]] = {False: [], True: []}
    target = Target("gateway", port)
    for _ in range(size.rounds * 2):
        for with_feeds in (False, True):
            with _feeds(port, token, core) if with_feeds else contextlib.nullcontext():
                answers = (await load.latencies([target], size.latency_rounds))[target.name]
            found[with_feeds].append(percentile([one.finished - one.started for one in answers], 0.5))
    alone, beside = (statistics.median(found[with_feeds]) for with_feeds in (False, True))
    table.row("gateway, whole of 40 chunks, p50", f"{alone * 1000:.2f} ms", "")
    table.row(f"the same beside {_FEEDS} attached feeds", f"{beside * 1000:.2f} ms", "")
    table.row("ratio", f"{beside / alone:.2f}×", "1.1×")


@contextlib.contextmanager
def _feeds(port: int, token: str, core: int) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench._feeds", f"http://127.0.0.1:{port}", str(_FEEDS)],
        cwd=_CHECKOUT,
        env={**os.environ, "BENCH_TOKEN": token},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        os.sched_setaffinity(process.pid, {core})
        assert process.stdout is not None
        if not process.stdout.readline():
            raise AssertionError("the feeds did not come up")
        yield
    finally:
        assert process.stdin is not None
        process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        stop(process)


def _token_in(home: Path) -> str:
    (state,) = {path.parent for path in home.rglob("token")}
    return local_token(state)


def _config(upstream_port: int) -> str:
    return (
        "[[upstreams]]\n"
        'name = "bench"\n'
        f'base_url = "http://127.0.0.1:{upstream_port}/v1"\n'
        f'models = ["{load.LATENCY}"]\n'
    )


if __name__ == "__main__":
    main()
