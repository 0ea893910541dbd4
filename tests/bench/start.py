"""What starting costs: `maitred` in a terminal up to its first full screen, and `maitred serve` up to its first answer.

A run that never paints the whole screen, or never answers, is told instead of a figure.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pyte

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

_COLUMNS, _LINES = 140, 40
_PANES = ("queues", "runs", "sessions", "strikes", "cost", "journal")
"""Words that stand on the screen when every pane has been painted, in whatever case."""
_PATIENCE = 20.0


class Started(msgspec.Struct, frozen=True):
    """One start: CPU and wall seconds from exec until it was ready, MB of resident memory then."""

    cpu: float
    wall: float
    memory: float


def main(*, quick: bool = False) -> None:
    """Start each some times and print the medians."""
    times = 2 if quick else 7
    table = Table("start", "figure", "median", "worst", "aim")
    console = _starts("maitred", _console, times)
    if console:
        _row(table, "maitred: CPU to first full paint", [one.cpu for one in console], "s", "1.0 s")
        _row(table, "maitred: wall time to it", [one.wall for one in console], "s", "")
        _row(table, "maitred: resident memory then", [one.memory for one in console], "MB", "90 MB")
    served = _starts("maitred serve", lambda home: _serve(home, 1.0 if quick else 3.0), times)
    if served:
        _row(table, "serve: exec to /healthz", [one.wall for one in served], "s", "1.5 s")
        _row(table, "serve: CPU to it", [one.cpu for one in served], "s", "")
        _row(table, "serve: resident memory, idle", [one.memory for one in served], "MB", "100 MB")
    table.print()


def _starts(name: str, start: Callable[[Path], Started], times: int) -> list[Started]:
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


def _serve(home: Path, idle_seconds: float) -> Started:
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
        return Started(cpu=cpu, wall=answered - began, memory=resident_mb(process.pid))
    finally:
        stop(process)


def _console(home: Path) -> Started:
    """Start the console on a pseudo-terminal of its own and watch its screen until every pane is there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _LINES, _COLUMNS, 0, 0))
    variables = {**environment(home), "MAITRED_SERVER_PORT": "0", "COLORTERM": "truecolor"}
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "console"],
        env=variables,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    watch = _Watch(ours, process, began)
    try:
        os.sched_setaffinity(process.pid, {cores()[0]})
        return watch.until_painted(_PATIENCE)
    finally:
        with contextlib.suppress(OSError):
            os.write(ours, b"\x11")  # ctrl+q
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(3)
        stop(process, seconds=3)
        watch.close()


class _Watch:
    """Reads the terminal in a thread of its own, so that the console never waits for its reader."""

    def __init__(self, terminal: int, process: subprocess.Popen[bytes], began: float) -> None:
        self._terminal = terminal
        self._process = process
        self._began = began
        self._screen = pyte.Screen(_COLUMNS, _LINES)
        self._stream = pyte.ByteStream(self._screen)
        self._painted = threading.Event()
        self._started: Started | None = None
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def until_painted(self, seconds: float) -> Started:
        """Wait for the first full paint; raises TimeoutError, or ChildProcessError when it ended before."""
        if not self._painted.wait(seconds):
            missing = ", ".join(pane for pane in _PANES if pane not in self._text())
            raise TimeoutError(f"no full paint within {seconds:.0f} s; missing: {missing}\n{self._text()}")
        if self._started is None:
            raise ChildProcessError(f"it ended before its first full paint:\n{self._text()}")
        return self._started

    def close(self) -> None:
        """Let the terminal go; the process has ended."""
        self._thread.join(5)
        os.close(self._terminal)

    def _text(self) -> str:
        return "\n".join(line.rstrip() for line in self._screen.display).lower()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._terminal, 65_536)
            except OSError:
                # EIO: the other side of the terminal is closed
                data = b""
            if not data:
                self._painted.set()
                return
            if self._painted.is_set():
                continue
            # the figures first: reading them must not wait for our own drawing
            pid = self._process.pid
            with contextlib.suppress(OSError):
                figures = Started(
                    cpu=cpu_seconds(pid), wall=time.perf_counter() - self._began, memory=resident_mb(pid)
                )
                self._stream.feed(data)
                text = self._text()
                if all(pane in text for pane in _PANES):
                    self._started = figures
                    self._painted.set()
