"""The panel beside the table: everything about the row under the cursor, label by label."""

from __future__ import annotations

from collections.abc import Sequence

from textual.strip import Strip
from textual.widget import Widget

from console.look import Looks
from console.panes.pane import Fact
from console.text import ELLIPSIS, fit, neutral, wrap
from console.widgets.line import Part, strip_of

_LABEL_CELLS = 15
_MOST_LINES = 5
"""Of one fact: a name that a stranger chose must not push the others out of sight."""


class FactsPanel(Widget):
    """Draws facts; a long one goes on in the next lines, a very long one ends with an ellipsis."""

    DEFAULT_CSS = "FactsPanel { width: 40; height: 1fr; }"

    def __init__(self, looks: Looks, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._looks = looks
        self._facts: Sequence[Fact] = ()
        self._stale = False
        self._lines: list[list[Part]] = []

    def put(self, facts: Sequence[Fact], *, stale: bool = False) -> None:
        """Show these facts; nothing is drawn when they are there already."""
        if facts != self._facts or stale != self._stale:
            self._facts, self._stale = facts, stale
            self.redraw()

    def redraw(self) -> None:
        """Draw anew, as when the theme changes."""
        self._lines = self._wrap(self.size.width)
        self.refresh()

    def on_resize(self) -> None:
        """Another width: lines break elsewhere."""
        self.redraw()

    def render_line(self, y: int) -> Strip:
        cells = self.size.width
        strip = strip_of(self._lines[y], cells) if y < len(self._lines) else Strip.blank(cells)
        return strip.apply_style(self.rich_style)

    def _wrap(self, cells: int) -> list[list[Part]]:
        look = self._looks.current
        rule = Part("│ ", look.style("rule"))
        label = look.style("heading")
        lines: list[list[Part]] = []
        for fact in self._facts:
            style = look.cell(fact.tone, stale=self._stale)
            name = f"{fact.label:<{_LABEL_CELLS}}"
            room = cells - _LABEL_CELLS - 3
            broken = wrap(neutral(fact.text), room)
            if len(broken) > _MOST_LINES:
                last = fit(broken[_MOST_LINES - 1] + ELLIPSIS, room).rstrip()
                broken = [*broken[: _MOST_LINES - 1], last]
            for text in broken:
                lines.append([rule, Part(name, label), Part(text, style)])
                name = " " * _LABEL_CELLS
        while len(lines) < self.size.height:
            lines.append([rule])
        return lines
