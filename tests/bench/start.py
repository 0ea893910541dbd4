"""What starting costs: consoles in a terminal up to their first full screen, and `maitred serve` to its first answer.

A run that never paints the whole screen, or never answers, is told instead of a figure.
"""

from __future__ import annotations

import functools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from tests.bench.processes import (
    cores,
    cpu_seconds,
    environment,
    free_port,
    resident_mb,
    stop,
    wait_until_healthy,
)
from tests.bench.report import Table
from tests.bench.terminal import Spent, on_terminal

T = TypeVar("T")


class Opened(msgspec.Struct, frozen=True):
    """What a console had cost at its first full paint, and when it first showed what its core told."""

    painted: Spent
    live: Spent


class Served(msgspec.Struct, frozen=True):
    """CPU and wall seconds from exec to the first answer, and MB of resident memory some idle seconds later."""

    cpu: float
    wall: float
    memory: float


def main(*, quick: bool = False) -> None:
    """Start each some times and print the medians."""
    times = 2 if quick else 7
    table = Table("start", "figure", "median", "worst", "aim")
    for name, arguments in (("maitred", ()), ("maitred sandbox", ("sandbox",))):
        opened = _each(name, functools.partial(_open, arguments), times)
        if opened:
            _row(table, f"{name}: CPU to first full paint", [one.painted.cpu for one in opened], "s", "0.8 s")
            _row(table, f"{name}: wall time to it", [one.painted.wall for one in opened], "s", "")
            _row(
                table, f"{name}: resident memory then", [one.painted.memory for one in opened], "MB", "90 MB"
            )
            _row(
                table,
                f"{name}: CPU until its core is on the screen",
                [one.live.cpu for one in opened],
                "s",
                "",
            )
    served = _each("serve", functools.partial(_serve, 1.0 if quick else 3.0), times)
    if served:
        _row(table, "serve: exec to /healthz", [one.wall for one in served], "s", "1.5 s")
        _row(table, "serve: CPU to it", [one.cpu for one in served], "s", "")
        _row(table, "serve: resident memory, idle", [one.memory for one in served], "MB", "100 MB")
    table.print()


def _each(name: str, start: Callable[[Path], T], times: int) -> list[T]:
    """Each of some starts, in a home of its own; nothing at all when one fails, which is told."""
    found = []
    for _ in range(times):
        with tempfile.TemporaryDirectory(prefix="maitred-bench-", ignore_cleanup_errors=True) as home:
            try:
                found.append(start(Path(home)))
            except (OSError, TimeoutError) as error:
                print(f"{name} did not start: {error}")
                return []
    return found


def _row(table: Table, figure: str, values: list[float], unit: str, aim: str) -> None:
    digits = 2 if unit == "s" else 0
    table.row(
        figure, f"{statistics.median(values):.{digits}f} {unit}", f"{max(values):.{digits}f} {unit}", aim
    )


def _open(arguments: Sequence[str], home: Path) -> Opened:
    with on_terminal(home, *arguments) as console:
        return Opened(painted=console.until_painted(), live=console.until_live())


def _serve(idle_seconds: float, home: Path) -> Served:
    port = free_port()
    command = [sys.executable, "-m", "console", "serve", "--port", str(port)]
    began = time.perf_counter()
    process = subprocess.Popen(
        command, env=environment(home), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        os.sched_setaffinity(process.pid, {cores()[0]})
        answered = wait_until_healthy(port, process)
        cpu = cpu_seconds(process.pid)
        time.sleep(idle_seconds)
        return Served(cpu=cpu, wall=answered - began, memory=resident_mb(process.pid))
    finally:
        stop(process)
