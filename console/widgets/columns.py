"""The columns of a pane as a list to choose from: which are shown, how wide they are, and where the cursor is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from textual import events
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip

from console.look import Looks
from console.widgets.line import Part, bar_at, strip_of
from console.widgets.moving import Moving

_BOX_ENDS = 4
"""The cells of the cursor's sign and of the box behind it; a click in them shows or hides."""


class Line(NamedTuple):
    """One column: whether it is chosen to be shown, and what there is to say of its width."""

    title: str
    shown: bool
    width: str


class ColumnList(Moving, can_focus=True):
    """Draws the lines it was given; arrows and clicks move the cursor, and the screen does all the rest."""

    DEFAULT_CSS = "ColumnList { height: auto; width: 100%; }"

    class Toggled(Message):
        """The box of the line under the cursor was clicked."""

    def __init__(self, looks: Looks) -> None:
        super().__init__()
        self.cursor = 0
        self._looks = looks
        self._lines: Sequence[Line] = ()

    def put(self, lines: Sequence[Line], cursor: int) -> None:
        """Show these."""
        if len(lines) != len(self._lines):
            self.refresh(layout=True)
        self._lines, self.cursor = lines, cursor
        self.refresh()

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._lines)

    @property
    def _top(self) -> int:
        """The line at the top, where not all fit."""
        return max(0, self.cursor - self.size.height + 1)

    def render_line(self, y: int) -> Strip:
        look, at, cells = self._looks.current, self._top + y, self.size.width
        if at >= len(self._lines):
            return Strip.blank(cells, self.rich_style)
        line, chosen = self._lines[at], at == self.cursor
        tone = "" if line.shown else "dim"
        parts = [
            Part("▸ " if chosen else "  ", look.style("cursor_mark") if chosen else look.cell("")),
            Part("■ " if line.shown else "□ ", look.cell("accent" if line.shown else "dim", chosen=chosen)),
            Part(f"{line.title:<12} ", look.cell(tone, chosen=chosen)),
            Part(line.width, look.cell("dim", chosen=chosen)),
        ]
        bar = bar_at(y, self.size.height, top=self._top, count=len(self._lines))
        strip = strip_of(parts, cells - 1, look.cell("", chosen=chosen))
        return Strip([*strip, *strip_of([Part(bar, look.style("rule"))], 1)], cells).apply_style(
            self.rich_style
        )

    def step(self, key: str) -> bool:
        """Arrows, home and end move the cursor."""
        last = len(self._lines) - 1
        match key:
            case "up":
                wanted = self.cursor - 1
            case "down":
                wanted = self.cursor + 1
            case "home" | "pageup":
                wanted = 0
            case "end" | "pagedown":
                wanted = last
            case _:
                return False
        self._move_to(wanted)
        return True

    def on_click(self, event: events.Click) -> None:
        """A click chooses; one on the box, or a second one, shows or hides."""
        at = self._top + event.y
        if at < len(self._lines):
            event.stop()
            self._move_to(at)
            if event.x < _BOX_ENDS or event.chain > 1:
                self.post_message(self.Toggled())

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel moves the cursor."""
        event.stop()
        self._move_to(self.cursor + 1)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel moves the cursor."""
        event.stop()
        self._move_to(self.cursor - 1)

    def _move_to(self, at: int) -> None:
        self.cursor = max(0, min(at, len(self._lines) - 1))
        self.refresh()
