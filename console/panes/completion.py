"""What the word under the cursor of a filter may become: a column of the pane, or a value that a column shows. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from console.panes.pane import Pane
from console.text import neutral

_WORD = re.compile(r'[^\s()"]*\Z')
_NAMED = re.compile(r"(-?)([A-Za-z][\w-]*)(!=|[:=])(.*)\Z", re.DOTALL)
_MOST = 8
_LONGEST = 60
_ODD = re.compile(r'[\s()"]')


class Completion(NamedTuple):
    """What may stand from character `start` up to the cursor instead, the best first."""

    start: int
    options: tuple[str, ...]


def complete(pane: Pane[Any, Any], text: str, cursor: int, rows: Iterable[Any], now: int) -> Completion:
    """The options for the word that ends at the cursor; `rows` are some whose values are offered."""
    before = text[:cursor]
    if before.count('"') % 2:
        return Completion(cursor, ())  # inside quotes anything goes
    found = _WORD.search(before)
    start = found.start() if found is not None else cursor
    word = before[start:]
    named = _NAMED.match(word)
    if named is None:
        minus, prefix = ("-", word[1:]) if word.startswith("-") else ("", word)
        names = (column.id for column in pane.columns if column.id.startswith(prefix.lower()))
        options = tuple(f"{minus}{name}:" for name in names) if prefix or minus else ()
        return Completion(start, options[:_MOST])
    minus, name, sign, value = named.groups()
    column = pane.named(name)
    if column is None:
        return Completion(start, ())
    shown: dict[str, int] = {}
    for row in rows:
        one = _plain(column.cell(row, now).text)
        if one and one.startswith(value.lower()) and len(one) <= _LONGEST:
            shown[one] = shown.get(one, 0) + 1
    # what stands there most often comes first
    best = sorted(shown, key=lambda each: (-shown[each], each))[:_MOST]
    return Completion(start, tuple(f"{minus}{name}{sign}{_quoted(each)}" for each in best))


def _plain(text: str) -> str:
    """A cell's text without the mark in front of its word."""
    text = neutral(text, _LONGEST + 1).strip().lower()
    mark, blank, word = text.partition(" ")
    return word.strip() if blank and not any(each.isalnum() for each in mark) else text


def _quoted(value: str) -> str:
    return f'"{value.replace(chr(34), "")}"' if _ODD.search(value) else value
