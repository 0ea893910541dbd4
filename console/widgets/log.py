"""A long text that grows at its end: messages, run events.

It draws what is in sight, and stays at the end until somebody scrolls back. A text that is read from its beginning
(help, facts) stays at the top.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from rich.segment import Segment
from textual import events
from textual.strip import Strip

from console.look import Looks
from console.panes.pane import Tone
from console.text import neutral, width, wrap
from console.widgets.line import Part, bar_at, strip_of
from console.widgets.moving import Moving

_PARAGRAPHS = 2_000
_WHEEL_ROWS = 3
_MARGINS = 4
"""The cells that no text stands in: two on the left, one after the head, and the scroll bar's."""


class Paragraph(NamedTuple):
    """A piece of text with what stands before it; `tone` is that of the text."""

    head: str
    text: str
    tone: Tone = ""


class Log(Moving, can_focus=True):
    """Paragraphs, the oldest on top; at most the latest 2,000 are kept."""

    DEFAULT_CSS = "Log { height: 1fr; width: 1fr; }"

    def __init__(self, looks: Looks, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._looks = looks
        self._paragraphs: deque[Paragraph] = deque(maxlen=_PARAGRAPHS)
        self._lines: list[tuple[str, str, Tone]] = []
        self._top: int | None = None
        """None: at the end."""

    def put(self, paragraphs: Iterable[Paragraph], *, from_top: bool = False) -> None:
        """Show these instead of what is there: their end, or with `from_top` their beginning."""
        self._paragraphs = deque(paragraphs, maxlen=_PARAGRAPHS)
        self._top = 0 if from_top else None
        self.redraw()

    def add(self, paragraphs: Iterable[Paragraph]) -> None:
        """Add at the end."""
        new = list(paragraphs)
        if not new:
            return
        overflow = len(self._paragraphs) + len(new) > _PARAGRAPHS
        self._paragraphs.extend(new)
        if overflow:
            self.redraw()
            return
        for paragraph in new:
            self._lines.extend(self._wrap(paragraph))
        self.refresh()

    def redraw(self) -> None:
        """Break all lines anew, as for another width."""
        self._lines = [line for paragraph in self._paragraphs for line in self._wrap(paragraph)]
        self.refresh()

    def on_resize(self) -> None:
        """Another width: lines break elsewhere."""
        self.redraw()

    def scroll_by(self, by: int) -> None:
        """So many lines down, or up when negative."""
        last = max(0, len(self._lines) - self.size.height)
        top = (last if self._top is None else self._top) + by
        self._top = None if top >= last else max(0, top)
        self.refresh()

    def step(self, key: str) -> bool:
        """Arrows, pages, home and end scroll; everything else is the screen's."""
        page = max(1, self.size.height - 1)
        steps = {"up": -1, "down": 1, "pageup": -page, "pagedown": page}
        steps |= {"home": -len(self._lines), "end": len(self._lines)}
        if key not in steps:
            return False
        self.scroll_by(steps[key])
        return True

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel scrolls."""
        event.stop()
        self.scroll_by(_WHEEL_ROWS)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel scrolls."""
        event.stop()
        self.scroll_by(-_WHEEL_ROWS)

    def render_line(self, y: int) -> Strip:
        look, cells, height = self._looks.current, self.size.width, self.size.height
        top = max(0, len(self._lines) - height) if self._top is None else self._top
        parts: list[Part] = []
        if top + y < len(self._lines):
            head, text, tone = self._lines[top + y]
            parts = [Part(f"  {head} ", look.style("heading")), Part(text, look.cell(tone))]
        bar = Segment(bar_at(y, height, top=top, count=len(self._lines)), look.style("rule"))
        return Strip([*strip_of(parts, cells - 1), bar], cells).apply_style(self.rich_style)

    def _wrap(self, paragraph: Paragraph) -> list[tuple[str, str, Tone]]:
        head = neutral(paragraph.head)
        broken = wrap(neutral(paragraph.text), self.size.width - width(head) - _MARGINS)
        return [
            (head if n == 0 else " " * width(head), text, paragraph.tone) for n, text in enumerate(broken)
        ]
