"""The table: draws the rows of a `PaneModel` that are in sight, and again only the lines that changed.

It stands on Textual's Line API and scrolls by itself. (A `ScrollView` would lay the whole screen out anew whenever
the number of rows changes, which under load is every frame.) One frame compares what each visible line should say
with what it says, and repaints the difference: 10,000 rows cost what 40 do.
"""

from __future__ import annotations

from typing import NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip

from console.look import Look, Looks
from console.panes.layout import Place, arrange
from console.panes.model import PaneModel
from console.panes.pane import Cell
from console.state import Key
from console.text import fit, neutral
from console.widgets.line import Part, bar_at, strip_of
from console.widgets.moving import Moving

_MARK = "▸ "
_NO_MARK = "  "
_MARKED = "▪"
"""Stands in the second cell of a marked row, beside the cursor's own sign."""
_MARGIN = len(_MARK) + 1  # the cursor's mark on the left, the scroll bar on the right
_WHEEL_ROWS = 3
_ROW_LIMIT = 400
"""No cell is wider; longer texts are cut before they are measured."""


class _Row(NamedTuple):
    cells: tuple[Cell, ...]
    chosen: bool
    marked: bool
    stale: bool
    bar: str


class _Blank(NamedTuple):
    text: str
    bar: str


class LiveTable(Moving, can_focus=True):
    """Shows one model at a time; keys that move the cursor are handled here, all others by the screen."""

    DEFAULT_CSS = "LiveTable { height: 1fr; width: 1fr; }"

    class Opened(Message):
        """A row was clicked twice."""

    class Moved(Message):
        """The cursor was moved by the operator."""

    class HeadClicked(Message):
        """The heading of this column was clicked."""

        def __init__(self, table: LiveTable, column: str) -> None:
            super().__init__()
            self.table = table
            self.column = column

    def __init__(self, looks: Looks, model: PaneModel, *, id: str | None = None, focus: bool = True) -> None:
        super().__init__(id=id)
        self.can_focus = focus
        self.model = model
        self.empty: tuple[str, ...] = model.pane.empty
        self.stale = False
        self._looks = looks
        self._drawn: list[_Row | _Blank] = []
        self._keys: list[Key] = []
        self._places: tuple[Place, ...] = ()
        self._placed_for: tuple[str, str, int, object] | None = None
        self._head: tuple[str, bool, str] | None = None

    def show(self, model: PaneModel, empty: tuple[str, ...]) -> None:
        """Show another model; `draw` it next."""
        self.model, self.empty = model, empty
        self.redraw()

    def redraw(self) -> None:
        """Forget what is drawn, as when the theme changes."""
        self._drawn, self._placed_for, self._head = [], None, None
        self.refresh()

    # ----------------------------------------------------------------------------------------- frames

    def draw(self, now: int) -> None:
        """One frame: compare what is in sight with what is drawn, and repaint the lines that differ."""
        cells, height = self.size
        if cells < _MARGIN or height < 2:
            return
        self._place(cells)
        self.model.resize(height - 1)
        lines = self._lines(now, height - 1)
        drawn, self._drawn = self._drawn, lines
        if len(drawn) != len(lines):
            self.refresh()
            return
        head = (self.model.sort, self.model.descending, self.model.pane.id)
        if head != self._head:
            self._head = head
            self.refresh(Region(0, 0, cells, 1))
        changed = [y for y, (old, new) in enumerate(zip(drawn, lines, strict=True), 1) if old != new]
        if changed:
            self.refresh(*[Region(0, y, cells, 1) for y in changed])

    def _place(self, cells: int) -> None:
        wanted = (self.model.pane.id, self.model.sort, cells, self.model.columns)
        if wanted != self._placed_for:
            self._placed_for = wanted
            self._places = self.places(cells)
            self._drawn = []

    def places(self, cells: int | None = None) -> tuple[Place, ...]:
        """The columns that there is room for, and how wide each is."""
        room = (self.size.width if cells is None else cells) - _MARGIN
        return arrange(self.model.columns, room, keep=self.model.sort)

    def _lines(self, now: int, height: int) -> list[_Row | _Blank]:
        model = self.model
        window = model.window()
        self._keys = [key for key, _ in window]
        lines: list[_Row | _Blank] = []
        for y, (key, row) in enumerate(window):
            cells = tuple(place.column.cell(row, now) for place in self._places)
            stale = self.stale or model.pane.stale(row)
            marked = key in model.marks
            lines.append(_Row(cells, key == model.cursor, marked, stale, self._bar(y, height)))
        if not window:
            lines.extend(_Blank(text, " ") for text in ("", *self.empty)[:height])
        lines.extend(_Blank("", self._bar(y, height)) for y in range(len(lines), height))
        return lines

    def _bar(self, y: int, height: int) -> str:
        """The scroll bar's piece of that line; none when everything is in sight."""
        return bar_at(y, height, top=self.model.top, count=len(self.model))

    def render_line(self, y: int) -> Strip:
        return self._line(y).apply_style(self.rich_style)

    def _line(self, y: int) -> Strip:
        look, cells = self._looks.current, self.size.width
        if y == 0:
            return self._heading(look, cells)
        line = self._drawn[y - 1] if y - 1 < len(self._drawn) else _Blank("", " ")
        bar = Segment(line.bar, look.style("rule"))
        if isinstance(line, _Blank):
            text = strip_of([Part(f"{_NO_MARK}{line.text}", look.style("dim"))], cells - 1)
            return Strip([*text, bar], cells)
        return Strip([*self._row(look, line, cells - 1), bar], cells)

    def _row(self, look: Look, line: _Row, cells: int) -> list[Segment]:
        plain = look.cell("", chosen=line.chosen, stale=line.stale)
        mark = look.style("cursor_mark") if line.chosen else plain
        if line.marked and not line.chosen:
            mark = look.cell("accent", chosen=False, stale=line.stale)
        sign = _MARK if line.chosen else _NO_MARK
        segments = [Segment(sign[:1] + _MARKED if line.marked else sign, mark)]
        taken = len(_MARK)
        for place, cell in zip(self._places, line.cells, strict=True):
            text = fit(neutral(cell.text, _ROW_LIMIT), place.width, place.column.align)
            segments.append(
                Segment(text + " " * place.gap, look.cell(cell.tone, chosen=line.chosen, stale=line.stale))
            )
            taken += place.width + place.gap
        if taken < cells:
            segments.append(Segment(" " * (cells - taken), plain))
        return segments

    def _heading(self, look: Look, cells: int) -> Strip:
        parts = [Part(_NO_MARK, Style.null())]
        for place in self._places:
            column = place.column
            is_sorted = column.id == self.model.sort
            title = column.title
            if is_sorted:
                arrow = "▾" if self.model.descending else "▴"
                title = f"{arrow}{title}" if column.align == "right" else f"{title}{arrow}"
            style = look.style("sorted" if is_sorted else "heading")
            parts.append(Part(fit(title, place.width, column.align) + " " * place.gap, style))
        return strip_of(parts, cells)

    # ------------------------------------------------------------------------------------------- keys

    def step(self, key: str) -> bool:
        """Arrows, pages, home and end move the cursor; everything else is the screen's."""
        page = max(1, self.size.height - 2)
        match key:
            case "up":
                self.model.move(-1)
            case "down":
                self.model.move(0 if self.model.cursor is None else 1)
            case "pageup":
                self.model.move(-page)
            case "pagedown":
                self.model.move(page)
            case "home":
                self.model.release()
            case "end":
                self.model.move_to(len(self.model) - 1)
            case _:
                return False
        self.post_message(self.Moved())
        return True

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel moves the window, not the cursor."""
        event.stop()
        self.model.scroll(_WHEEL_ROWS)
        self.post_message(self.Moved())

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel moves the window, not the cursor."""
        event.stop()
        self.model.scroll(-_WHEEL_ROWS)
        self.post_message(self.Moved())

    def on_click(self, event: events.Click) -> None:
        """A click chooses the row that was drawn there, and a second one opens it; with ctrl it marks the row.

        One on the heading of a column is for its order.
        """
        if event.y == 0:
            self._head_clicked(event.x - len(_NO_MARK))
            return
        index = event.y - 1
        if not 0 <= index < len(self._keys):
            return
        at = self.model.position_of(self._keys[index])
        if at is None:
            return
        self.model.move_to(at)
        if event.ctrl:
            self.model.toggle_mark()
        self.post_message(self.Opened() if event.chain > 1 and not event.ctrl else self.Moved())

    def _head_clicked(self, x: int) -> None:
        for place in self._places:
            if 0 <= x < place.width:
                self.post_message(self.HeadClicked(self, place.column.id))
                return
            x -= place.width + place.gap

    def on_resize(self) -> None:
        """Another size: everything is placed and drawn anew."""
        self.redraw()
        self.post_message(self.Moved())
