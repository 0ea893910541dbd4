"""A real terminal, read by pyte: what is drawn there, and that it is given back whatever ends the console."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable, Iterator

import pyte
import pytest

_COLUMNS, _LINES = 80, 24
_PLAY = """
import asyncio
from console.app import ConsoleApp
from tests.console.fake_core import FakeCore
from core.protocol import Message
from tests.console.rows import AT, a_run, a_session
core = FakeCore(a_run("run-1", session_key="api:ann\\x1b]2;evil\\x07"), a_session("api:bob/2"))
said = ["x" * 70 + " " + "\\n".join(f"line {n}." for n in range(40)), "a needle \x1b]2;evil\x07 in it", "hay"]
core.messages["api:bob/2"] = [Message(seq=n, role="user", content=c, timestamp=AT) for n, c in enumerate(said)]
async def let_go(now):
    for number in range(100 if DRAW_ON else 0):
        app.desk.say(f"draining {number}")
        app.draw()
        await asyncio.sleep(0.01)
app = ConsoleApp(core, embedded=False, on_quit=let_go)
app.run()
raise SystemExit(app.return_code or 0)
"""


class Terminal:
    """A process on a terminal of its own."""

    def __init__(self, *, draw_on: bool = False) -> None:
        self.screen = pyte.Screen(_COLUMNS, _LINES)
        self.sent = b""
        self._stream = pyte.ByteStream(self.screen)
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm-256color", COLORTERM="")
            os.execv(sys.executable, [sys.executable, "-c", f"DRAW_ON = {draw_on}\n{_PLAY}"])
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", _LINES, _COLUMNS, 0, 0))

    def press(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def until(self, condition: Callable[[], bool], seconds: float = 20) -> None:
        """Read what it draws until something is so."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "\n".join(self.screen.display)
            if select.select([self._fd], [], [], 0.1)[0]:
                try:
                    data = os.read(self._fd, 65536)
                except OSError:  # the other side is gone
                    data = b""
                if not data:
                    return
                self.sent += data
                self._stream.feed(data)

    def shows(self, text: str) -> bool:
        return any(text in line for line in self.screen.display)

    def ended(self) -> int:
        """Read to the end; the exit code."""
        self.until(lambda: False)
        _, status = os.waitpid(self.pid, 0)
        self.pid = 0
        return os.waitstatus_to_exitcode(status)

    def hang_up(self) -> None:
        """The terminal goes away under the process."""
        os.close(self._fd)
        self._fd = -1

    def is_gone(self) -> bool:
        """Whether the process has ended by itself."""
        pid, _ = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            self.pid = 0
        return bool(pid)

    def close(self) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        if self._fd >= 0:
            os.close(self._fd)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    opened = Terminal()
    yield opened
    opened.close()


def test_it_is_drawn_on_a_terminal_and_strangers_reach_none_of_it(terminal: Terminal) -> None:
    terminal.until(lambda: terminal.shows("api:ann␛]2;evil␇"))
    assert terminal.shows("▸2 runs 1")
    assert b"\x1b]2;evil" not in terminal.sent
    terminal.press("3")
    terminal.until(lambda: terminal.shows("▸3 sessions"))
    terminal.until(lambda: terminal.shows("api:bob/2"))
    terminal.press("E")
    terminal.until(lambda: terminal.shows("✓ evict api:bob/2"))


def test_keys_find_a_message_fold_and_come_back(terminal: Terminal) -> None:
    terminal.until(lambda: terminal.shows("● live"))
    terminal.press("\x06needle")
    terminal.until(lambda: terminal.shows("1/1 for needle"))
    terminal.press("\r")
    terminal.until(lambda: terminal.shows("▸ 12:00:00 user      a needle ␛]2;evil␇ in it"))
    assert b"\x1b]2;evil" not in terminal.sent
    terminal.press("\x1b[A")
    terminal.until(lambda: terminal.shows("more lines, space unfolds"))
    terminal.press(" ")
    terminal.until(lambda: not terminal.shows("more lines") and terminal.shows("line 12."))
    terminal.press("\x1b")
    terminal.until(lambda: terminal.shows("▸search") and terminal.shows("1/1 for needle"))
    terminal.press("\x1b")
    terminal.until(lambda: terminal.shows("▸2 runs"))


@pytest.mark.parametrize(
    "leave",
    [
        lambda terminal: terminal.press("q"),
        lambda terminal: terminal.press("\x11"),
        lambda terminal: terminal.press("\x03"),
        lambda terminal: os.kill(terminal.pid, signal.SIGTERM),
        lambda terminal: os.kill(terminal.pid, signal.SIGINT),
        lambda terminal: os.kill(terminal.pid, signal.SIGHUP),
    ],
    ids=["q", "ctrl+q", "ctrl+c", "SIGTERM", "SIGINT", "SIGHUP"],
)
def test_the_terminal_is_given_back(terminal: Terminal, leave: Callable[[Terminal], None]) -> None:
    terminal.until(lambda: terminal.shows("● live"))
    leave(terminal)
    assert terminal.ended() == 0
    assert b"\x1b[?1049h" in terminal.sent
    tail = terminal.sent[terminal.sent.rindex(b"\x1b[?1049l") :]
    assert b"\x1b[?1049h" not in tail


def test_a_terminal_that_goes_away_holds_nothing_up() -> None:
    terminal = Terminal(draw_on=True)
    try:
        terminal.until(lambda: terminal.shows("● live"))
        terminal.hang_up()
        deadline = time.monotonic() + 20
        while not terminal.is_gone():
            assert time.monotonic() < deadline, "it hangs on a terminal that nobody reads"
            time.sleep(0.05)
    finally:
        terminal.close()
