"""A process on a terminal of its own: what it draws, what is typed, and whether the terminal is given back."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

import pyte

from tests.processes.processes import PATIENCE, House

COLUMNS, LINES = 100, 30
_DRAWN_SECONDS = 0.03
"""A screen on which nothing was drawn for so long is whole, and no half of the next one."""
_ESCAPE = re.compile(
    rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[P_^X][^\x1b]*\x1b\\|[ -/]*[0-~])"
)
_ALTERNATE, _MAIN = b"\x1b[?1049h", b"\x1b[?1049l"


class Terminal:
    """A command on a pseudo-terminal, read by pyte. Leaving its context kills what is left of it."""

    def __init__(
        self,
        command: list[str],
        house: House,
        *,
        env: Mapping[str, str] | None = None,
        size: tuple[int, int] = (COLUMNS, LINES),
    ) -> None:
        self.sent = b""
        """Every byte that was written to the terminal."""
        self._screen = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self._screen)
        self._drawn = threading.Condition()
        self._ours, self._theirs = pty.openpty()
        self._set_size(*size)
        self._modes = termios.tcgetattr(self._theirs)
        self.popen = subprocess.Popen(
            command,
            cwd=house.home,
            env=house.environment | dict(env or {}),
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
            start_new_session=True,
        )
        self._over = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def press(self, keys: str) -> None:
        """Type these characters."""
        os.write(self._ours, keys.encode())

    def resize(self, columns: int, lines: int) -> None:
        """Make the terminal that large, as somebody does who pulls at its window."""
        with self._drawn:
            self._set_size(columns, lines)
            self._screen.resize(lines, columns)
        self.signal(signal.SIGWINCH)

    def text(self) -> str:
        """What the screen shows now."""
        with self._drawn:
            return self._text()

    def backgrounds(self, y: int) -> list[str]:
        """The colour behind each cell of a line, from the left."""
        with self._drawn:
            return [self._screen.buffer[y][x].bg for x in range(self._screen.columns)]

    def until(self, holds: Callable[[str], Any], what: str, seconds: float = PATIENCE) -> str:
        """The screen, once it is drawn whole and something holds for its text; asked whenever something was drawn."""
        deadline = time.monotonic() + seconds
        while True:
            with self._drawn:
                text = self._text()
                if holds(text):
                    if not self._drawn.wait(_DRAWN_SECONDS):
                        return text
                    if time.monotonic() < deadline:
                        continue
            ended = self.popen.poll() is not None
            with self._drawn:
                left = deadline - time.monotonic()
                if left <= 0 or (ended and not self._drawn.wait(0.2)):
                    raise AssertionError(f"no {what}; code {self.popen.poll()}; the screen is:\n{text}")
                self._drawn.wait(min(left, 0.2))

    def shows(self, text: str, seconds: float = PATIENCE) -> str:
        """The screen, once it shows this."""
        return self.until(lambda shown: text in shown, repr(text), seconds)

    def finish(self, seconds: float = PATIENCE) -> int:
        """Wait for the end of the process, read what is left, and answer its exit code."""
        try:
            code = self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not end; the screen is:\n{self.text()}") from None
        self._stop_reading()
        return code

    def said(self) -> list[str]:
        """The lines that stand on the terminal's own screen when all is over."""
        own = self.sent.rpartition(_MAIN)[2] if _ALTERNATE in self.sent else self.sent
        return [line for line in _ESCAPE.sub(b"", own).decode().splitlines() if line.strip()]

    @property
    def taken(self) -> bool:
        """Whether somebody draws on it: the alternate screen, keys that are not echoed."""
        return _ALTERNATE in self.sent and termios.tcgetattr(self._theirs) != self._modes

    def check_given_back(self) -> None:
        """The modes are those from before, the alternate screen is left, the cursor is shown, reports are off."""
        assert termios.tcgetattr(self._theirs) == self._modes
        for on, off in (
            (_ALTERNATE, _MAIN),
            (b"\x1b[?25l", b"\x1b[?25h"),
            (b"\x1b[?1000h", b"\x1b[?1000l"),
            (b"\x1b[?1003h", b"\x1b[?1003l"),
            (b"\x1b[?2004h", b"\x1b[?2004l"),
            (b"\x1b[>1u", b"\x1b[<u"),
        ):
            assert self.sent.rfind(off) >= self.sent.rfind(on), (on, self.sent[-300:])

    def signal(self, number: signal.Signals) -> None:
        self.popen.send_signal(number)

    def close(self) -> None:
        """Kill what is left."""
        if self.popen.poll() is None:
            self.popen.kill()
            self.popen.wait(10)
        self._stop_reading()
        for fd in (self._ours, self._theirs):
            os.close(fd)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _text(self) -> str:
        return "\n".join(line.rstrip() for line in self._screen.display)

    def _set_size(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def _stop_reading(self) -> None:
        self._over = True
        self._reader.join(5)

    def _read(self) -> None:
        # our own end of their side is open, so the end of the process is no end of file here
        while select.select([self._ours], [], [], 0.0 if self._over else 0.05)[0] or not self._over:
            if not select.select([self._ours], [], [], 0)[0]:
                continue
            data = os.read(self._ours, 65536)
            with self._drawn:
                self.sent += data
                self._stream.feed(data)
                self._drawn.notify_all()
