"""What a search found, as a reel's items: when, by whom and in which session, and the words around the match. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Sequence, Set

from console.panes.matches import marked
from console.panes.reel import Line, Span
from console.text import ELLIPSIS, fit, neutral, wrap
from core.protocol import SearchHit

_MARGINS = 3
_MOST_LINES = 3
"""Of one snippet: that of a core is 160 characters long, a stranger's might not be."""


class HitItem:
    """One message that was found, in the core of that number; `wanted` are the folded words that it was found by.

    `instance` is the core's name, where there are several.
    """

    chooses = True

    def __init__(self, hit: SearchHit, wanted: Set[str], *, core: int = 0, instance: str = "") -> None:
        self.hit = hit
        self.core = core
        self._instance = f"{neutral(instance, 40)}  " if instance else ""
        self._wanted = wanted

    @property
    def key(self) -> Hashable:
        return (self.core, self.hit.session_key, self.hit.seq)

    def blocks(self) -> int:
        return 1

    def block(self, number: int, cells: int) -> Sequence[Line]:
        hit, room = self.hit, max(2, cells - _MARGINS)
        at = neutral(hit.timestamp[:19].replace("T", " "))
        head = f"{at}  {self._instance}{fit(neutral(hit.role, 40), 9)}"
        shown = [Line(head, (Span(fit(neutral(hit.session_key), room - len(head) - 1).rstrip(), "strong"),))]
        broken = wrap(neutral(hit.snippet), room)
        if len(broken) > _MOST_LINES:
            broken = [*broken[: _MOST_LINES - 1], fit(broken[_MOST_LINES - 1] + ELLIPSIS, room).rstrip()]
        shown += [Line("", self._spans(line)) for line in broken]
        return shown

    def _spans(self, line: str) -> tuple[Span, ...]:
        return tuple(Span(text, "", found) for text, found in marked(line, self._wanted))

    def weight(self, cells: int) -> int:
        return 2 + len(self.hit.snippet) // max(2, cells - _MARGINS)
