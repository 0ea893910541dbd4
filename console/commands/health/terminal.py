"""The terminal: is there one, is it large enough, and what can it show?"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

from console.commands.health.check import Check, good, note, wrong
from core.errors import TerminalUnfit

_LEAST = (80, 24)
_DRAWS_NOT = ("", "dumb", "unknown")
"""Values of TERM that promise no cursor that could be moved."""
_PATIENCE = 2.0
_WITHOUT = "without a terminal there are: maitred serve, maitred view --json, maitred watch"


def require_terminal() -> None:
    """Raise TerminalUnfit where a console could not be drawn, before anything is locked, bound or written."""
    from core.settings import environment

    streams = {"input": sys.__stdin__, "output": sys.__stdout__, "error": sys.__stderr__}
    missing = [name for name, stream in streams.items() if stream is None or not stream.isatty()]
    refusal = why_unfit(missing, environment("TERM") or "", _encoding())
    if refusal:
        raise TerminalUnfit(refusal)


def why_unfit(missing: Sequence[str], term: str, encoding: str) -> str:
    """Why a console cannot be drawn, and what to do; nothing when it can.

    `missing` names the standard streams that are no terminals. It takes all three: keys are read from the first, the
    window's size is asked of the second, and the third is drawn on, so that what is sent there must be no file.
    """
    if missing:
        *others, last = missing
        streams = f"{', '.join(others)} and {last} are" if others else f"{last} is"
        return f"standard {streams} no terminal, and the console needs one on all three; {_WITHOUT}"
    if term in _DRAWS_NOT:
        found = f"is {term}" if term else "is not set"
        return (
            f"TERM {found}, so the console cannot draw; export TERM=xterm-256color, or what it is; {_WITHOUT}"
        )
    if not _is_utf8(encoding):
        return (
            f"the terminal's letters are {encoding or 'unknown'}, which cannot show the console; use a terminal in "
            "UTF-8 and export LC_ALL=C.UTF-8, or yours with .UTF-8"
        )
    return ""


def check() -> list[Check]:
    """Its size, its colours, and its characters."""
    from core.settings import environment, no_color

    window = _window()
    if window is None:
        return [note("terminal", "this is none", "the console needs one; maitred serve does not")]
    return [
        _size(window),
        _colours(environment("TERM") or "", environment("COLORTERM") or "", plain=no_color()),
        _characters(_encoding()),
        _clipboard(_tmux_says() if environment("TMUX") else ""),
    ]


def _window() -> tuple[int, int] | None:
    for stream in (sys.__stdout__, sys.__stderr__, sys.__stdin__):
        try:
            size = os.get_terminal_size(stream.fileno()) if stream is not None else None
        except (OSError, ValueError):
            continue
        if size is not None:
            return size.columns, size.lines
    return None


def _size(window: tuple[int, int]) -> Check:
    columns, lines = window
    if columns < _LEAST[0] or lines < _LEAST[1]:
        return note("terminal", f"{columns}×{lines} is small", "the console is made for 80×24 and more")
    return good("terminal", f"{columns}×{lines}")


def _colours(term: str, depth: str, *, plain: bool) -> Check:
    if term in _DRAWS_NOT:
        return wrong("colours", f"TERM is {term or 'not set'}", "export TERM=xterm-256color, or what it is")
    if plain:
        return good("colours", "none, as NO_COLOR asks for")
    if depth in ("truecolor", "24bit"):
        return good("colours", "16 million")
    if "256color" in term:
        return good("colours", "256; export COLORTERM=truecolor if it has more")
    return note("colours", f"16, as far as TERM={term} says", 'theme = "ansi" under [console] suits it')


def _encoding() -> str:
    """Of the stream that the console draws on."""
    return getattr(sys.__stderr__, "encoding", None) or ""


def _is_utf8(encoding: str) -> bool:
    return encoding.lower().replace("-", "").replace("_", "") == "utf8"


def _characters(encoding: str) -> Check:
    if _is_utf8(encoding):
        return good("letters", "UTF-8")
    return wrong(
        "letters", f"{encoding or 'unknown'} cannot show all", "export LANG=C.UTF-8, or yours with .UTF-8"
    )


def _tmux_says() -> str:
    """What the tmux around us does with texts for the clipboard; nothing when it does not say."""
    tmux = shutil.which("tmux")
    if tmux is None:
        return ""
    asked = [tmux, "show-options", "-sv", "set-clipboard"]
    try:
        told = subprocess.run(asked, capture_output=True, check=True, text=True, timeout=_PATIENCE)  # noqa: S603
    except (OSError, ValueError, subprocess.SubprocessError):
        return ""
    return told.stdout.strip()


def _clipboard(tmux: str) -> Check:
    """What `y` copies goes through the terminal; `tmux` is the setting of one in between, if there is one."""
    if tmux in ("", "on"):
        return good("copying", "y goes to the clipboard of any terminal that takes OSC 52")
    return note("copying", f"tmux keeps what y copies (set-clipboard {tmux})", "tmux set -s set-clipboard on")
