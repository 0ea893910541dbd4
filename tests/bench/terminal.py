"""A console on a pseudo-terminal of its own, on a core of its own, with its screen read and its costs at hand."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import pyte

from tests.bench.processes import cores, cpu_seconds, environment, resident_mb, stop

_COLUMNS, _LINES = 140, 40
MAITRED = (sys.executable, "-m", "console")
_PANES = ("queues", "runs", "sessions", "strikes", "cost", "journal", "findings")
"""Words that stand on the screen when every pane has been painted, in whatever case."""
_PATIENCE = 20.0


class Spent(msgspec.Struct, frozen=True):
    """What a process has cost since exec: CPU and wall seconds; and MB of resident memory, now and at its peak."""

    cpu: float
    wall: float
    memory: float
    peak: float


class Watched:
    """A console under measurement. A thread of its own reads its terminal, so that it never waits for its reader."""

    def __init__(self, terminal: int, process: subprocess.Popen[bytes], began: float) -> None:
        self._terminal = terminal
        self._process = process
        self._began = began
        self._screen = pyte.Screen(_COLUMNS, _LINES)
        self._stream = pyte.ByteStream(self._screen)
        self._drawn = threading.Condition()
        self._latest: Spent | None = None
        self._awaited: Callable[[str], object] | None = None
        self._met: Spent | None = None
        self._over = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def spent(self) -> Spent:
        """What it has cost so far; raises OSError when it has ended."""
        pid = self._process.pid
        return Spent(
            cpu=cpu_seconds(pid),
            wall=time.perf_counter() - self._began,
            memory=resident_mb(pid),
            peak=resident_mb(pid, peak=True),
        )

    def text(self) -> str:
        """What stands on its screen."""
        with self._drawn:
            return "\n".join(line.rstrip() for line in self._screen.display)

    def until(self, holds: Callable[[str], object], what: str, seconds: float = _PATIENCE) -> Spent:
        """What it had cost when it wrote what makes something hold for its screen.

        Raises TimeoutError after so many seconds, and ChildProcessError when it ended before that.
        """
        with self._drawn:
            self._await(holds)
            self._drawn.wait_for(lambda: self._met or self._over, seconds)
            self._awaited = None
            if self._met is not None:
                return self._met
            if self._over:
                raise ChildProcessError(f"it ended before there was {what}:\n{self.text()}")
            raise TimeoutError(f"no {what} within {seconds:.0f} s:\n{self.text()}")

    def until_painted(self) -> Spent:
        """What the first full paint had cost: the names of all panes."""
        return self.until(lambda text: all(pane in text.lower() for pane in _PANES), "full paint")

    def until_live(self) -> Spent:
        """What the first picture had cost that shows what its core told."""
        return self.until(lambda text: "● live" in text, "picture of a living core")

    def close(self) -> None:
        """Let the terminal go; the process has ended."""
        self._thread.join(5)
        os.close(self._terminal)

    def _await(self, holds: Callable[[str], object]) -> None:
        self._awaited, self._met = holds, None
        self._look()

    def _look(self) -> None:
        """Whether what is awaited has come with what was read last."""
        if self._awaited is not None and self._latest is not None and self._awaited(self.text()):
            self._awaited, self._met = None, self._latest

    def _spent_so_far(self) -> Spent | None:
        with contextlib.suppress(OSError):
            return self.spent()
        return None

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._terminal, 65_536)
            except OSError:
                # EIO: the other side of the terminal is closed
                data = b""
            # the figures first: they must not wait for our own drawing
            latest = self._spent_so_far() if data else None
            with self._drawn:
                if not data:
                    self._over = True
                    self._drawn.notify_all()
                    return
                self._latest = latest or self._latest
                self._stream.feed(data)
                self._look()
                self._drawn.notify_all()


@contextlib.contextmanager
def on_terminal(home: Path, *arguments: str, program: Sequence[str] = MAITRED) -> Iterator[Watched]:
    """Run `maitred`, or another program, with these arguments and an empty home; it is asked to leave at the end."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _LINES, _COLUMNS, 0, 0))
    variables = {**environment(home), "MAITRED_SERVER_PORT": "0", "COLORTERM": "truecolor"}
    if program is not MAITRED:
        # our packages are none of its
        del variables["PYTHONPATH"]
    began = time.perf_counter()
    process = subprocess.Popen(
        [*program, *arguments],
        env=variables,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    watched = Watched(ours, process, began)
    try:
        os.sched_setaffinity(process.pid, {cores()[0]})
        yield watched
    finally:
        with contextlib.suppress(OSError):
            os.write(ours, b"\x11")  # ctrl+q
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(3)
        stop(process, seconds=3)
        watched.close()
