"""The text in which servers tell Prometheus their figures, as samples. Pure; whatever is no such text is refused.

Every line is looked at once, from left to right, so that no body costs more than its length.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

import msgspec

_NUMBER = r"[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,9})?|[+-]?Inf|NaN"
_LINE = re.compile(
    # blanks are never given back, or a line of nothing else would take for ever
    r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*+)(?:[ \t]*+\{(?P<labels>.*)\})?[ \t]++"
    rf"(?P<value>{_NUMBER})(?:[ \t]++(?P<at>-?[0-9]{{1,18}}))?[ \t]*+"
)
_LABEL = re.compile(
    r'[ \t]*(?P<name>[a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"(?P<value>(?:[^"\\]|\\.)*)"[ \t]*(?:,|$)'
)
_ESCAPES = {"\\n": "\n", '\\"': '"', "\\\\": "\\"}
_ESCAPE = re.compile(r"\\.")


MOST_LINES = 20_000


class Unreadable(ValueError):
    """A server's answer says nothing about its health that is understood; why, in a few words."""


class Sample(msgspec.Struct, frozen=True):
    """One figure; `at` (ms) is when it was taken, None where the server does not say."""

    name: str
    labels: Mapping[str, str]
    value: float
    at: int | None = None


def samples(text: str, names: Collection[str]) -> list[Sample]:
    """The samples of these names, in their order; a text of comments only has none.

    Raises Unreadable for a line that is no sample, for no line at all, and for more lines than any server needs.
    """
    if text.count("\n") > MOST_LINES:
        raise Unreadable(f"it has over {MOST_LINES} lines")
    found = []
    empty = True
    for number, line in enumerate(map(str.strip, text.split("\n")), 1):
        empty = empty and not line
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise Unreadable(f"line {number} is no metric")
        if match["name"] in names:
            at = match["at"]
            labels = _labels(match["labels"] or "", number)
            found.append(Sample(match["name"], labels, float(match["value"]), int(at) if at else None))
    if empty:
        raise Unreadable("it has no line")
    return found


def _labels(text: str, number: int) -> dict[str, str]:
    labels: dict[str, str] = {}
    place = 0
    while place < len(text):
        match = _LABEL.match(text, place)
        if match is None:
            if text[place:].strip():
                raise Unreadable(f"the labels of line {number} cannot be read")
            break
        labels[match["name"]] = _ESCAPE.sub(_unescape, match["value"])
        place = match.end()
    return labels


def _unescape(match: re.Match[str]) -> str:
    return _ESCAPES.get(match[0], match[0])
