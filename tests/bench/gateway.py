"""The gateway against its upstream directly: servers on one core, the client on the other, in turn A B A B.

Without a gateway (``--direct``) only the upstream is measured, which tells how far the client itself carries.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from tests.bench import load
from tests.bench.load import Target
from tests.bench.processes import cores, cpu_seconds, gateway_process, resident_mb, upstream_process
from tests.bench.report import Table, percentile

_HEADINGS = ("figure", "direct", "gateway", "added", "ratio", "aim")


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How much is measured."""

    latency_rounds: int = 1000
    rounds: int = 3
    repeats: tuple[tuple[int, int], ...] = ((1, 20), (16, 2), (64, 1))
    paced_events: int = 500
    idle_seconds: float = 3.0
    whole_seconds: float = 6.0
    leavings: int = 20


FULL = Size()
QUICK = Size(
    latency_rounds=80,
    rounds=1,
    repeats=((1, 5), (16, 1), (64, 1)),
    paced_events=150,
    idle_seconds=1.0,
    whole_seconds=1.5,
    leavings=5,
)


def main(*, quick: bool = False, direct: bool = False) -> None:
    """Start both processes, measure, print the table."""
    size = QUICK if quick else FULL
    server_core, client_core = cores()
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {client_core})
    try:
        with upstream_process(server_core) as upstream_port:
            upstream = Target("direct", upstream_port)
            if direct:
                asyncio.run(_measure([upstream], upstream_port, None, size))
                return
            with tempfile.TemporaryDirectory(prefix="maitred-bench-") as home:
                config = _config(upstream_port, size)
                with gateway_process(config, Path(home), server_core) as (port, pid):
                    asyncio.run(_measure([upstream, Target("gateway", port)], upstream_port, pid, size))
    finally:
        os.sched_setaffinity(0, before)


def _config(upstream_port: int, size: Size) -> str:
    names = ", ".join(f'"{model}"' for model in load.models(size.paced_events))
    return (
        "[[upstreams]]\n"
        'name = "bench"\n'
        f'base_url = "http://127.0.0.1:{upstream_port}/v1"\n'
        f"models = [{names}]\n"
    )


async def _measure(targets: list[Target], upstream_port: int, pid: int | None, size: Size) -> None:
    table = Table("gateway against upstream, chunks of 250 bytes of text", *_HEADINGS)
    await _latencies(table, targets, size)
    await _throughput(table, targets, size)
    await _paced(table, targets, pid, size)
    rates = await _in_turn(
        targets, size.rounds, lambda target: load.wholes(target, 16, size.whole_seconds / size.rounds)
    )
    _rates(table, "whole completions/s, 16 callers", rates, "800")
    await _leavings(table, targets[-1], upstream_port, size)
    if pid is not None:
        table.row(
            "resident memory, with the runs of the last minutes", "", f"{resident_mb(pid):.0f} MB", "", "", ""
        )
    table.print()


async def _latencies(table: Table, targets: list[Target], size: Size) -> None:
    answers = await load.latencies(targets, size.latency_rounds)
    for what, aims in (("first chunk", ("1.5 ms", "5 ms")), ("whole of 40 chunks", ("3 ms", "8 ms"))):
        for share, aim in zip((0.5, 0.99), aims, strict=True):
            figures = []
            for target in targets:
                taken = [
                    (one.first if what == "first chunk" else one.finished) - one.started
                    for one in answers[target.name]
                ]
                figures.append(percentile(taken, share))
            _times(table, f"{what}, p{share * 100:.0f}", figures, aim)


async def _throughput(table: Table, targets: list[Target], size: Size) -> None:
    for streams, repeats in size.repeats:
        rates = await _in_turn(
            targets, size.rounds, functools.partial(load.throughput, streams=streams, repeats=repeats)
        )
        _rates(table, f"events/s, {streams} streams of 1,000", rates, "20,000")


async def _paced(table: Table, targets: list[Target], pid: int | None, size: Size) -> None:
    streams = 64
    figures: dict[str, list[float]] = {}
    idle = used = 0.0
    for target in targets:
        if pid is None or target.name != "gateway":
            figures[target.name] = await load.lags(target, streams, size.paced_events)
            continue
        idle = await _idle_share(pid, size.idle_seconds)
        began, cpu = time.perf_counter(), cpu_seconds(pid)
        figures[target.name] = await load.lags(target, streams, size.paced_events)
        used = cpu_seconds(pid) - cpu - idle * (time.perf_counter() - began)
    for share, aim in ((0.5, "3 ms"), (0.99, "30 ms")):
        lags = [percentile(figures[target.name], share) for target in targets]
        _times(table, f"lag, 64 streams of 50/s, p{share * 100:.0f}", lags, aim)
    if pid is not None:
        micros = used / (streams * size.paced_events) * 1e6
        table.row("CPU an event, 64 streams of 50/s", "", f"{micros:.0f} µs", "", "", "120 µs")
        table.row("CPU when idle", "", f"{idle * 100:.1f} %", "", "", "")


async def _idle_share(pid: int, seconds: float) -> float:
    """The share of a core that a process takes while nobody asks anything."""
    cpu = cpu_seconds(pid)
    await asyncio.sleep(seconds)
    return (cpu_seconds(pid) - cpu) / seconds


async def _leavings(table: Table, target: Target, upstream_port: int, size: Size) -> None:
    for where, (model, stream) in load.LEAVING.items():
        taken = await load.leavings(target, upstream_port, model, size.leavings, stream=stream)
        figure = f"{percentile(taken, 0.5) * 1000:.1f}, worst {max(taken) * 1000:.1f} ms"
        table.row(f"a client's leaving is seen, {where}", "", figure, "", "", "50 ms")


async def _in_turn(
    targets: list[Target], rounds: int, measure: Callable[[Target], Awaitable[float]]
) -> list[list[float]]:
    found: list[list[float]] = [[] for _ in targets]
    for _ in range(rounds):
        for figures, target in zip(found, targets, strict=True):
            figures.append(await measure(target))
    return found


def _times(table: Table, figure: str, seconds: list[float], aim: str) -> None:
    direct, *gateway = [f"{value * 1000:.2f} ms" for value in seconds]
    if gateway:
        added, ratio = seconds[1] - seconds[0], seconds[1] / seconds[0]
        table.row(figure, direct, gateway[0], f"{added * 1000:.2f} ms", f"{ratio:.1f}×", aim)
    else:
        table.row(figure, direct, "", "", "", aim)


def _rates(table: Table, figure: str, rates: list[list[float]], aim: str) -> None:
    direct, *gateway = [statistics.median(figures) for figures in rates]
    if gateway:
        table.row(figure, f"{direct:,.0f}", f"{gateway[0]:,.0f}", "", f"{gateway[0] / direct:.2f}×", aim)
    else:
        table.row(figure, f"{direct:,.0f}", "", "", "", aim)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(prog="python -m tests.bench.gateway", description=__doc__)
    arguments.add_argument("--quick", action="store_true")
    arguments.add_argument("--direct", action="store_true", help="only the upstream, without a gateway")
    chosen = arguments.parse_args()
    main(quick=chosen.quick, direct=chosen.direct)
