"""The terminal: is there one, is it large enough, and what can it show?"""

from __future__ import annotations

import os
import sys

from console.commands.health.check import Check, good, note, wrong

_LEAST = (80, 24)


def check() -> list[Check]:
    """Its size, its colours, and its characters."""
    from core.settings import environment, no_color

    return [
        _size(_window()),
        _colours(environment("TERM") or "", environment("COLORTERM") or "", plain=no_color()),
        _characters(getattr(sys.stdout, "encoding", None) or ""),
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


def _size(window: tuple[int, int] | None) -> Check:
    if window is None:
        return note("terminal", "this is none", "the console needs one; maitred serve does not")
    columns, lines = window
    if columns < _LEAST[0] or lines < _LEAST[1]:
        return note("terminal", f"{columns}×{lines} is small", "the console is made for 80×24 and more")
    return good("terminal", f"{columns}×{lines}")


def _colours(term: str, depth: str, *, plain: bool) -> Check:
    if term in ("", "dumb"):
        return wrong("colours", f"TERM is {term or 'not set'}", "export TERM=xterm-256color, or what it is")
    if plain:
        return good("colours", "none, as NO_COLOR asks for")
    if depth in ("truecolor", "24bit"):
        return good("colours", "16 million")
    if "256color" in term:
        return good("colours", "256; export COLORTERM=truecolor if it has more")
    return note("colours", f"16, as far as TERM={term} says", 'theme = "ansi" under [console] suits it')


def _characters(encoding: str) -> Check:
    if encoding.lower().replace("-", "") == "utf8":
        return good("letters", "UTF-8")
    return wrong(
        "letters", f"{encoding or 'unknown'} cannot show all", "export LANG=C.UTF-8, or yours with .UTF-8"
    )
