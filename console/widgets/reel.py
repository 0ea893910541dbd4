"""Draws a reel: the lines in sight, the item under the cursor, and in bold and underlined what was searched for."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip

from console.look import Look, Looks
from console.panes.reel import Item, Line, Reel
from console.widgets.line import Part, bar_at, strip_of
from console.widgets.moving import Moving

_WHEEL_ROWS = 3
_MARK, _ALONG, _NONE = "▸ ", "┃ ", "  "
_FOUND, _HEAD = Style(bold=True, underline=True), Style(bold=True)


class ReelView(Moving, can_focus=True):
    """Keys that move are handled here, all others by the screen; the wheel scrolls, and a click chooses.

    With `filled` the whole item under the cursor stands on another ground, else it only has a mark beside it.
    """

    DEFAULT_CSS = "ReelView { height: 1fr; width: 1fr; }"

    class Moved(Message):
        """The operator moved: up when `by` is below zero."""

        def __init__(self, by: int) -> None:
            super().__init__()
            self.by = by

    class Opened(Message):
        """An item was clicked twice."""

    def __init__(
        self, looks: Looks, *, id: str | None = None, focus: bool = True, filled: bool = False
    ) -> None:
        super().__init__(id=id)
        self.can_focus = focus
        self.reel = Reel()
        self._stale = False
        self._looks = looks
        self._filled = filled
        self._seen: list[tuple[Hashable, Line]] = []
        self._bar = (0, 0)

    def put(self, items: Sequence[Item], *, follow: bool = True) -> None:
        """Show these, from the same place; see `Reel.put`."""
        self.reel.put(items, follow=follow)
        self.redraw()

    def show_stale(self, stale: bool) -> None:
        """Dim what may no longer be so; nothing is drawn when it is dimmed already."""
        if stale != self._stale:
            self._stale = stale
            self.refresh()

    def redraw(self) -> None:
        """Draw anew what is in sight."""
        self._seen, self._bar = self.reel.window(), self.reel.bar()
        self.refresh()

    def on_resize(self) -> None:
        """Another width: lines break elsewhere."""
        self.reel.resize(self.size.width, self.size.height)
        self.redraw()

    def step(self, key: str) -> bool:
        """Do what a key that moves does; False when it is none."""
        reel = self.reel
        match key:
            case "up":
                reel.move(-1)
            case "down":
                reel.move(1)
            case "pageup":
                reel.page(-1)
            case "pagedown":
                reel.page(1)
            case "home":
                reel.home()
            case "end":
                reel.end()
            case _:
                return False
        self._moved(-1 if key in ("up", "pageup", "home") else 1)
        return True

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel scrolls."""
        event.stop()
        self.reel.scroll(_WHEEL_ROWS)
        self._moved(1)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel scrolls."""
        event.stop()
        self.reel.scroll(-_WHEEL_ROWS)
        self._moved(-1)

    def on_click(self, event: events.Click) -> None:
        """A click chooses what was drawn there; a second one opens it."""
        if 0 <= event.y < len(self._seen):
            self.reel.choose(self._seen[event.y][0])
            self.redraw()
            if event.chain > 1:
                self.post_message(self.Opened())

    def _moved(self, by: int) -> None:
        self.redraw()
        self.post_message(self.Moved(by))

    def render_line(self, y: int) -> Strip:
        look, cells, height = self._looks.current, self.size.width, self.size.height
        top, count = self._bar
        bar = Segment(bar_at(y, height, top=top, count=count), look.style("rule"))
        parts, filler = self._parts(look, y)
        return Strip([*strip_of(parts, cells - 1, filler), bar], cells).apply_style(self.rich_style)

    def _parts(self, look: Look, y: int) -> tuple[list[Part], Style | None]:
        """The pieces of a line, and what the rest of it looks like."""
        if y >= len(self._seen):
            return [], None
        key, line = self._seen[y]
        chosen = key == self.reel.cursor
        begins = y == 0 or self._seen[y - 1][0] != key
        mark = (_MARK if begins else _ALONG) if chosen else _NONE
        filled = chosen and self._filled
        plain = look.cell("", chosen=filled, stale=self._stale)
        margin = look.style("cursor_mark") if chosen else plain
        if chosen and not filled:
            margin = margin.without_color + Style(color=margin.color)
        # on the cursor's ground only its own colours can be read in every theme
        head = plain + _HEAD if filled else look.style("heading") + Style(bgcolor=plain.bgcolor)
        parts = [Part(mark, margin), Part(f"{line.head} " if line.head else "", head)]
        for span in line.spans:
            style = look.cell(span.tone, chosen=filled, stale=self._stale)
            parts.append(Part(span.text, style + _FOUND if span.marked else style))
        return parts, plain if filled else None
