"""The filter: which rows of a pane are shown, in a small language.

Words are looked for anywhere in a row, without regard to case, and all of them must be there: ``alice gpt``. What holds
blanks or signs of the language stands in quotes: ``"free text"``. ``column:word`` looks in one column only; ``=`` and
``!=`` want all of what it shows; ``>``, ``>=``, ``<`` and ``<=`` compare its figure: ``cost>1``, ``age>=5m``,
``out<10k``. ``-`` before any of these, or before a group, wants it not to be so; ``OR`` stands between what is enough
alone, and parentheses hold a group together: ``state:running (model:gpt OR model:claude) -project:x``.

A word of a column that the pane does not have is looked for as it stands, colon and all: session keys have colons too.
What is not finished yet, as a quote or a group that is still open, counts as if it ended with the text.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from console import units
from console.panes.pane import Column, Pane
from console.text import neutral

Test = Callable[[Any], bool]

_TERM = re.compile(r"([A-Za-z][\w-]*)(?:(:)|\s*(!=|>=|<=|[=<>])\s*)")
_WORD_ENDS = re.compile(r"[\s()]")
_DEEPEST = 50
_COMPARES: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
OPERATORS = (":", "=", "!=", *_COMPARES)


class Fault(NamedTuple):
    """What is wrong with a filter, and where: from character `at` on, `length` of them."""

    at: int
    length: int
    why: str


class Filter(NamedTuple):
    """A filter that can be used. No `test` lets everything pass; `timed` ones may change their mind as time goes on.

    `no_columns` are words before a colon that name no column, and so were looked for as they stand.
    """

    test: Test | None
    timed: bool = False
    no_columns: tuple[str, ...] = ()


def term(column: str, value: str) -> str:
    """The filter of a column by what it holds; of a value that cannot stand in a text field the longest part that can.

    What is left out makes the filter let more pass, never less.
    """
    parts = [""]
    for char in value:
        if char == '"' or neutral(char) != char:
            parts.append("")
        else:
            parts[-1] += char
    return f'{column}:"{max(parts, key=len)}"'


class _Faulty(Exception):
    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.why)
        self.fault = fault


def parse(pane: Pane[Any, Any], text: str, now: Callable[[], int] = lambda: 0) -> Filter | Fault:
    """What a filter's text stands for in this pane, or what is wrong with it.

    `now` gives the time in milliseconds by which ages are compared.
    """
    parser = _Parser(pane, text, now)
    try:
        test = parser.alternatives(0)
        parser.blanks()
        if parser.at < len(text):
            raise _Faulty(Fault(parser.at, 1, "nothing is open here that this could close"))
    except _Faulty as faulty:
        return faulty.fault
    return Filter(test, parser.timed, tuple(dict.fromkeys(parser.no_columns)))


class _Parser:
    """Reads a text from left to right; each method takes what it is named after, and answers its test."""

    def __init__(self, pane: Pane[Any, Any], text: str, now: Callable[[], int]) -> None:
        self.at = 0
        self.timed = False
        self.no_columns: list[str] = []
        self._pane = pane
        self._text = text
        self._now = now

    def blanks(self) -> None:
        while self.at < len(self._text) and self._text[self.at].isspace():
            self.at += 1

    def alternatives(self, depth: int) -> Test | None:
        tests = [self._all_of(depth)]
        while (at := self._keyword("OR")) is not None:
            if tests[-1] is None:
                raise _Faulty(Fault(at, 2, "before OR something must stand that is enough alone"))
            tests.append(self._all_of(depth))
        found = [test for test in tests if test is not None]
        if len(found) <= 1:
            return found[0] if found else None
        return lambda row: any(test(row) for test in found)

    def _all_of(self, depth: int) -> Test | None:
        tests: list[Test] = []
        while True:
            self.blanks()
            if self.at >= len(self._text) or self._text[self.at] == ")" or self._keyword_at("OR"):
                break
            test = self._one(depth)
            if test is not None:
                tests.append(test)
        if len(tests) <= 1:
            return tests[0] if tests else None
        return lambda row: all(test(row) for test in tests)

    def _one(self, depth: int) -> Test | None:
        text, begun = self._text, self.at
        if text[self.at] == "-":
            self.at += 1
            if self.at >= len(text) or text[self.at].isspace() or text[self.at] == ")":
                return None  # whatever is not wanted is still to be typed
            inner = self._one(depth + 1) if depth < _DEEPEST else self._too_deep()
            return None if inner is None else (lambda row: not inner(row))
        if text[self.at] == "(":
            if depth >= _DEEPEST:
                self._too_deep()
            self.at += 1
            test = self.alternatives(depth + 1)
            self.blanks()
            closed = self.at < len(text) and text[self.at] == ")"
            if test is None and closed:
                raise _Faulty(Fault(begun, self.at + 1 - begun, "nothing stands in this group"))
            self.at += closed
            return test
        return self._term()

    def _too_deep(self) -> Test:
        raise _Faulty(Fault(self.at, 1, f"more than {_DEEPEST} groups within one another"))

    def _term(self) -> Test | None:
        text = self._text
        named = _TERM.match(text, self.at) if text[self.at] != '"' else None
        if named is None:
            return self._anywhere(self._value())
        column = self._pane.named(named[1])
        if column is None:
            if named[2] is not None:
                self.no_columns.append(named[1])
                return self._anywhere(self._value())
            names = ", ".join(each.id for each in self._pane.columns)
            why = f"there is no column {named[1]!r}; there are: {names}. Words with signs stand in quotes"
            raise _Faulty(Fault(self.at, len(named[1]), why))
        self.at = named.end()
        begun = self.at
        value = self._value() if self.at < len(text) and not _WORD_ENDS.match(text[self.at]) else ""
        if not value and self.at < len(text):
            raise _Faulty(Fault(begun, 1, f"after {named[0].strip()} a value must stand"))
        return self._of_column(column, named[2] or named[3], value, begun) if value else None

    def _of_column(self, column: Column[Any], sign: str, value: str, at: int) -> Test:
        now, cell = self._now, column.cell
        if sign == ":":
            return lambda row: value in cell(row, now()).text.lower()
        if sign == "=":
            return lambda row: _is(cell(row, now()).text, value)
        if sign == "!=":
            return lambda row: not _is(cell(row, now()).text, value)
        limit = units.figure(value)
        if limit is None:
            why = f"{value!r} is no figure; write one as 5, $1.20, 10k, 50% or 5m"
            raise _Faulty(Fault(at, self.at - at, why))
        compare, self.timed = _COMPARES[sign], True

        def test(row: Any) -> bool:
            figure = units.figure(cell(row, now()).text)
            return figure is not None and compare(figure, limit)

        return test

    def _anywhere(self, word: str) -> Test | None:
        search = self._pane.search
        return (lambda row: word in search(row).lower()) if word else None

    def _value(self) -> str:
        """A word up to a blank or a parenthesis, or what stands in quotes; in lowercase."""
        text = self._text
        if text[self.at] == '"':
            end = text.find('"', self.at + 1)
            end = len(text) if end < 0 else end
            value, self.at = text[self.at + 1 : end], min(len(text), end + 1)
            return value.lower()
        ends = _WORD_ENDS.search(text, self.at)
        end = ends.start() if ends is not None else len(text)
        value, self.at = text[self.at : end], end
        return value.lower()

    def _keyword_at(self, word: str) -> bool:
        text, end = self._text, self.at + len(word)
        return text.startswith(word, self.at) and (
            end == len(text) or _WORD_ENDS.match(text[end]) is not None
        )

    def _keyword(self, word: str) -> int | None:
        """Take the keyword if it comes next; answers where it stood."""
        self.blanks()
        if not self._keyword_at(word):
            return None
        begun, self.at = self.at, self.at + len(word)
        return begun


def _is(shown: str, value: str) -> bool:
    """Whether a cell shows just this, as a text without its mark in front, or as a figure."""
    shown = shown.strip().lower()
    if value in (shown, shown.partition(" ")[2]):
        return True
    wanted = units.figure(value)
    return wanted is not None and units.figure(shown) == wanted
