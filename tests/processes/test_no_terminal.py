"""The console where it cannot be drawn: one line, nothing taken, and never an escape sequence into a file."""

from __future__ import annotations

import os
import pty
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from console.commands.health.terminal import why_unfit
from tests.processes.processes import House
from tests.processes.terminal import Terminal

CONSOLES = (["--port", "0"], ["attach"], ["sandbox"])
STREAMS = ("stdin", "stdout", "stderr")


@pytest.fixture
def empty(tmp_path: Path) -> House:
    """A home with nothing in it."""
    return House(tmp_path, "http://127.0.0.1:1/v1")


@pytest.fixture
def tty() -> Iterator[int]:
    """Their side of a terminal."""
    ours, theirs = pty.openpty()
    yield theirs
    os.close(theirs)
    os.close(ours)


def check_untouched(house: House) -> None:
    assert list(house.home.iterdir()) == [], "nothing was made, locked or logged"


@pytest.mark.parametrize("command", CONSOLES, ids=" ".join)
def test_without_any_terminal(empty: House, command: list[str]) -> None:
    line = empty.run(*command).refused("standard input, output and error are no terminal", "maitred serve")
    assert "maitred view --json" in line
    check_untouched(empty)


@pytest.mark.parametrize("command", CONSOLES, ids=" ".join)
@pytest.mark.parametrize("redirected", STREAMS)
def test_with_one_stream_elsewhere(empty: House, tty: int, command: list[str], redirected: str) -> None:
    file = subprocess.DEVNULL if redirected == "stdin" else subprocess.PIPE
    streams: dict[str, Any] = {name: file if name == redirected else tty for name in STREAMS}
    with empty.start(*command, **streams) as process:
        done = process.finish()
    assert done.code == 1
    assert done.stdout == ""
    if redirected == "stderr":
        done.refused("standard error is no terminal")
    check_untouched(empty)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_with_a_stream_closed(empty: House, tty: int, closed: str) -> None:
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", *empty.command("--port", "0")]
    done = subprocess.run(  # noqa: PLW1510 - its code is looked at
        command, stdin=tty, stdout=tty, stderr=tty, env=empty.environment, cwd=empty.home, timeout=20
    )
    assert done.returncode == 1
    check_untouched(empty)


@pytest.mark.parametrize("command", CONSOLES, ids=" ".join)
@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"TERM": "dumb"}, "TERM is dumb"),
        ({"TERM": ""}, "TERM is not set"),
        ({"PYTHONIOENCODING": "iso8859-1"}, "letters are iso8859-1"),
        ({"PYTHONIOENCODING": "ascii"}, "letters are ascii"),
    ],
)
def test_a_terminal_that_cannot_show_it(
    empty: House, command: list[str], env: dict[str, str], said: str
) -> None:
    with Terminal(empty.command(*command), empty, env=env) as terminal:
        assert terminal.finish() == 1
        (line,) = terminal.said()
        assert line.startswith("maitred: ")
        assert said in line
        assert "export" in line
        assert b"\x1b" not in terminal.sent
    check_untouched(empty)


@pytest.mark.parametrize("language", [{"LANG": "C"}, {"LC_ALL": "POSIX"}, {"LANG": "no_SUCH"}])
def test_the_plainest_language_shows_every_letter(empty: House, language: dict[str, str]) -> None:
    with Terminal(empty.command("--port", "0"), empty, env=language) as terminal:
        terminal.shows("● live")
        terminal.press("q")
        assert terminal.finish() == 0
        terminal.check_given_back()


@pytest.mark.parametrize(
    ("missing", "term", "encoding", "said"),
    [
        ([], "xterm-256color", "utf-8", ""),
        ([], "linux", "UTF8", ""),
        (["input"], "xterm", "utf-8", "standard input is no terminal"),
        (["output", "error"], "xterm", "utf-8", "standard output and error are no terminal"),
        (["input"], "dumb", "ascii", "standard input is no terminal"),
        ([], "unknown", "utf-8", "TERM is unknown"),
        ([], "xterm", "", "letters are unknown"),
    ],
)
def test_what_is_said(missing: list[str], term: str, encoding: str, said: str) -> None:
    told = why_unfit(missing, term, encoding)
    assert said in told
    assert bool(said) == bool(told)
    assert "\n" not in told
