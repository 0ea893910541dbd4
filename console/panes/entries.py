"""The palette's lines, as a reel's items: the key or the kind, the name, and what is told of it. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from console.panes.finder import Entry
from console.panes.reel import Line, Span
from console.text import fit, neutral

_KEY = 8
_MARGINS = 3
_NARROW, _WIDE = 16, 48
"""A name has so many cells at least, and at most, beside what is told of it."""


class EntryItem:
    """One thing that can be chosen."""

    chooses = True

    def __init__(self, entry: Entry) -> None:
        self.entry = entry

    @property
    def key(self) -> Hashable:
        return (self.entry.kind, self.entry.core, self.entry.id)

    def blocks(self) -> int:
        return 1

    def block(self, number: int, cells: int) -> Sequence[Line]:
        entry = self.entry
        room = max(2, cells - _MARGINS - _KEY - 2)
        name = min(room, max(_NARROW, min(_WIDE, room * 2 // 5)))
        spans = [
            Span(fit(neutral(entry.key or entry.kind), _KEY, "right"), "accent" if entry.key else "dim"),
            Span("  "),
            Span(fit(neutral(entry.text), name), "dim" if entry.refusal else "strong"),
        ]
        told = f"✗ {entry.refusal}" if entry.refusal else entry.hint
        if told and room - name > 2:
            spans += [Span("  "), Span(fit(neutral(told), room - name - 2).rstrip(), "dim")]
        return [Line("", tuple(spans))]

    def weight(self, cells: int) -> int:
        return 1
