"""The filter: which rows of a pane are shown.

Words are looked for anywhere in a row, without regard to case, and all of them must be there: ``alice gpt``.
``column:word`` looks in one column only, ``-word`` wants it not to be there. A word of a column that the pane does
not have is looked for as it stands, colon and all: session keys have colons too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from console.panes.pane import Pane

Test = Callable[[Any], bool]


def matcher(pane: Pane[Any, Any], text: str) -> Test | None:
    """The test that a filter's text stands for, or None when it lets everything pass."""
    tests = [_test(pane, word) for word in text.lower().split() if word != "-"]
    if not tests:
        return None
    return lambda row: all(test(row) for test in tests)


def _test(pane: Pane[Any, Any], word: str) -> Test:
    if word.startswith("-"):
        inner = _test(pane, word[1:])
        return lambda row: not inner(row)
    name, colon, value = word.partition(":")
    column = next((column for column in pane.columns if colon and value and column.id == name), None)
    if column is None:
        return lambda row: word in pane.search(row).lower()
    return lambda row: value in column.cell(row, 0).text.lower()
