"""Single lines of styled text, redrawn only when they change: the header, the tabs, the footer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from console.text import fit, neutral, width


class Part(NamedTuple):
    """A piece of a line. Texts from strangers are made neutral here. `does` is the action that a click on it is."""

    text: str
    style: Style
    does: str = ""


def strip_of(parts: Iterable[Part], cells: int, filler: Style | None = None) -> Strip:
    """The parts in exactly that many cells: cut with an ellipsis, or filled up."""
    segments: list[Segment] = []
    left = cells
    for part in parts:
        if left <= 0:
            break
        shown, style = neutral(part.text), part.style
        taken = width(shown)
        if taken > left:
            shown, taken = fit(shown, left), left
        segments.append(Segment(shown, style))
        left -= taken
    if left > 0:
        segments.append(Segment(" " * left, filler))
    return Strip(segments, cells)


def bar_at(y: int, height: int, *, top: int, count: int) -> str:
    """The scroll bar's piece in line `y` of `height`, with `count` lines to show from `top` on; blank when all fit."""
    if count <= height:
        return " "
    size = max(1, height * height // count)
    start = top * (height - size) // (count - height)
    return "▐" if start <= y < start + size else "│"


class Lines(Widget):
    """A few lines that stand still; each has a left part, and a right one that gives way when it is narrow."""

    DEFAULT_CSS = "Lines { height: auto; width: 1fr; }"

    class Pressed(Message):
        """A piece was clicked that does something; `action` is the id."""

        def __init__(self, lines: Lines, action: str) -> None:
            super().__init__()
            self.lines = lines
            self.action = action

        @property
        def control(self) -> Lines:
            """Where it was clicked."""
            return self.lines

    def __init__(self, count: int = 1, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._count = count
        self._left: list[Sequence[Part]] = [()] * count
        self._right: list[Sequence[Part]] = [()] * count

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return self._count

    def put(self, y: int, left: Sequence[Part], right: Sequence[Part] = ()) -> None:
        """Show these parts in line `y`; nothing is drawn when they are there already."""
        if (left, right) != (self._left[y], self._right[y]):
            self._left[y], self._right[y] = left, right
            self.refresh()

    def render_line(self, y: int) -> Strip:
        cells = self.size.width
        shown = strip_of(self._parts(y), cells) if y < self._count else Strip.blank(cells)
        return shown.apply_style(self.rich_style)

    def on_click(self, event: events.Click) -> None:
        """Tell what was clicked, where that does something."""
        if not 0 <= event.y < self._count:
            return
        at = 0
        for part in self._parts(event.y):
            at += width(neutral(part.text))
            if event.x < at:
                if part.does:
                    event.stop()
                    self.post_message(self.Pressed(self, part.does))
                return

    def _parts(self, y: int) -> Sequence[Part]:
        """What is shown in a line, the right part only where there is room for it."""
        cells = self.size.width
        left, right = self._left[y], self._right[y]
        wanted = sum(width(neutral(part.text)) for part in left)
        aside = sum(width(neutral(part.text)) for part in right)
        if right and wanted + aside + 1 <= cells:
            return *left, Part(" " * (cells - wanted - aside), Style.null()), *right
        return left
