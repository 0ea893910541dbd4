"""Text from strangers, made safe to draw: everything that is shown passes through here.

A session key, a model's answer or an error message may carry escape sequences that rewrite the terminal,
bidirectional controls that show one name and mean another, or characters without width that hide. `neutral`
replaces them visibly; `width` and `fit` measure in terminal cells, so that nothing breaks the layout.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Literal

from rich.cells import cell_len, set_cell_size

LIMIT = 2_000
"""How many characters of one text are shown at most, unless the caller says otherwise."""

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
ELLIPSIS = "…"

_MARKS_PER_LETTER = 2
"""Accents on one letter; more of them climb over the lines above and below."""

_BLANKS = frozenset("\u2800")
"""Letters that look like a space."""

_HIDDEN = frozenset(
    "\u115f\u1160\u3164\uffa0"  # Hangul fillers: letters that show nothing
    "\u034f\u17b4\u17b5\u180b\u180c\u180d\u180f"  # joiners and selectors that are counted as accents
)

# Selectors and modifiers change how wide a terminal draws what precedes them, and terminals disagree.
_UNRULY = ((0xFE00, 0xFE0F), (0xE0100, 0xE01EF), (0x1F3FB, 0x1F3FF), (0x1160, 0x11FF), (0xD7B0, 0xD7FF))
_FIRST_REGIONAL, _LAST_REGIONAL = 0x1F1E6, 0x1F1FF


def neutral(text: str, limit: int = LIMIT) -> str:
    """The text with everything dangerous replaced visibly, in one line of at most `limit` characters.

    Controls become their pictures (a newline ``␊``, an escape ``␛``); bidirectional controls, characters
    without width, surrogates, private and unassigned characters become ``�``; every kind of space is a space.
    Neutral text stays as it is when it passes again.
    """
    if len(text) <= limit:
        safe = text if text.isascii() and text.isprintable() else _neutral(text)
        if len(safe) <= limit:
            return safe
    return _cut(text, limit)


def lines(text: str, limit: int = LIMIT) -> list[str]:
    """A text of several lines, each made neutral; tabs become spaces."""
    shown = _cut_raw(text, limit)
    return [neutral(line.replace("\t", "    "), limit) for line in shown.splitlines() or [""]]


def width(text: str) -> int:
    """How many terminal cells the text takes."""
    return cell_len(text)


def fit(text: str, cells: int, align: Literal["left", "right"] = "left") -> str:
    """The text in exactly that many cells: padded with spaces, or cut with an ellipsis."""
    if cells <= 0:
        return ""
    taken = len(text) if text.isascii() else cell_len(text)
    if taken > cells:
        return set_cell_size(text, cells - 1) + ELLIPSIS
    padding = " " * (cells - taken)
    return padding + text if align == "right" else text + padding


def _cut_raw(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: max(0, limit - 1)] + ELLIPSIS


def _cut(text: str, limit: int) -> str:
    if limit <= 0:
        return ""
    safe = _neutral(text[:limit])
    return safe[: limit - 1] + ELLIPSIS


@lru_cache(maxsize=2048)
def _neutral(text: str) -> str:
    """Composing first: an accent that has a letter of its own is no longer an accent."""
    composed = unicodedata.normalize("NFC", text)
    shown: list[str] = []
    marks = _MARKS_PER_LETTER  # an accent needs a letter to stand on
    for char in composed:
        category = unicodedata.category(char)
        if category in {"Mn", "Mc"} and char not in _HIDDEN and not _unruly(ord(char)):
            marks += 1
            shown.append(char if marks <= _MARKS_PER_LETTER else REPLACEMENT)
            continue
        safe = _safe(char, category)
        marks = _MARKS_PER_LETTER if safe in {" ", REPLACEMENT} else 0
        shown.append(safe)
    return "".join(shown)


def _unruly(code: int) -> bool:
    return any(first <= code <= last for first, last in _UNRULY)


def _safe(char: str, category: str) -> str:
    code = ord(char)
    if category == "Cc":
        if code == 0x7F:
            return "\N{SYMBOL FOR DELETE}"
        return chr(0x2400 + code) if code < 0x20 else REPLACEMENT
    if category[0] == "C" or category in {"Zl", "Zp", "Me"} or char in _HIDDEN or _unruly(code):
        return REPLACEMENT
    if category == "Zs" or char in _BLANKS:
        return " "
    if _FIRST_REGIONAL <= code <= _LAST_REGIONAL:
        # two of them make a flag in one terminal and two boxes in another: show the letters they stand for
        return chr(ord("A") + code - _FIRST_REGIONAL)
    return char


def wrap(text: str, cells: int) -> list[str]:
    """Neutral text in lines of at most that many cells, broken at spaces where there are any.

    Costs what the text is long: each line is looked for in what can be in it.
    """
    cells = max(2, cells)  # a wide character must fit
    most = cells * (1 + _MARKS_PER_LETTER) + 1
    broken: list[str] = []
    at = 0
    while True:
        rest = text[at : at + most]
        if at + len(rest) >= len(text) and cell_len(rest) <= cells:
            broken.append(rest)
            return broken
        head = set_cell_size(rest, cells)
        # set_cell_size fills half of a wide character with a space: that one belongs to the next line
        taken = len(head) if rest.startswith(head) else len(head) - 1
        space = rest.rfind(" ", 1, taken + 1)
        if space > 0:
            broken.append(rest[:space])
            at += space + 1
        else:
            taken = max(1, taken)
            broken.append(rest[:taken])
            at += taken
