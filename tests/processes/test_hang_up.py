"""The terminal is closed under a console: it ends by itself, even while it waits for a terminal that nobody reads."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
import threading
import time
from pathlib import Path

import pytest

from tests.processes.processes import PATIENCE, House


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _read_until(terminal: int, text: bytes) -> None:
    seen = b""
    while text not in seen:
        seen += os.read(terminal, 65_536)


def _wait_until_it_is_stuck(process: subprocess.Popen[bytes]) -> None:
    """Until the thread that draws has not run for half a second: what it writes finds no room any more."""
    ran = Path(f"/proc/{process.pid}/task/{process.pid}/schedstat")
    deadline = time.monotonic() + PATIENCE
    before, now = "", ran.read_text(encoding="ascii")
    while now != before:
        assert time.monotonic() < deadline, "it draws on, though nobody reads"
        time.sleep(0.5)
        before, now = now, ran.read_text(encoding="ascii")


@pytest.mark.parametrize("stuck", [False, True])
def test_a_console_whose_terminal_is_closed_ends(tmp_path: Path, stuck: bool) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 140, 0, 0))
    house = House(tmp_path, "")
    process = subprocess.Popen(
        house.command("sandbox", "--users", "300", "--speed", "50"),
        env=house.environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=_take_terminal,  # noqa: PLW1509 - the child does nothing but this
    )
    os.close(theirs)
    watchdog = threading.Timer(PATIENCE, process.kill)
    watchdog.start()
    try:
        _read_until(ours, b"in flight")
        if stuck:
            _wait_until_it_is_stuck(process)
        os.close(ours)
        # 120 is Python's own, when there is nowhere left to flush to
        assert process.wait(PATIENCE) in (0, 120)
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
