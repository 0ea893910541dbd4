"""The columns of a pane: shown or hidden, in another order, another width; the table behind follows at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Label

from console.desk import Desk
from console.panes.columns import Arrangement, in_order, moved, resized, shown, toggled
from console.panes.layout import Place
from console.panes.model import PaneModel
from console.screens.closing import ClosesOnce
from console.screens.typed import Typed
from console.widgets.columns import ColumnList, Line
from console.widgets.line import Lines, Part

_KEYS = (
    (("space", "show/hide"), ("< >", "move"), ("+ -", "width")),
    (("=", "width by itself"), ("r", "reset"), ("esc", "done")),
)


class ColumnsScreen(ClosesOnce[None], Typed[None], ModalScreen[None]):
    """Shows each change at once, and has it kept by `keep`: whoever leaves the console from here loses none.

    `places` says what the table behind has room for.
    """

    # the table behind is what one looks at: it is neither dimmed nor covered at its head and its first columns
    CSS = """
    ColumnsScreen { align: right bottom; background: $background 0%; }
    #box { width: 44; max-width: 96%; height: auto; padding: 1 2; margin: 0 0 1 0; background: $panel;
           border-left: thick $accent; }
    #title { text-style: bold; }
    #box ColumnList { max-height: 65vh; }
    #keys { margin: 1 0 0 0; }
    """

    def __init__(
        self,
        desk: Desk,
        model: PaneModel,
        places: Callable[[], Sequence[Place]],
        keep: Callable[[], None],
    ) -> None:
        super().__init__()
        self._desk = desk
        self._model = model
        self._places = places
        self._keep = keep
        self._early: list[events.Key] = []
        """Keys that were given to the screen below, until that has no more of them and this one stands."""
        self._all_early = self._stands = False

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield Label(f"Columns of {self._model.pane.title}:", id="title", markup=False)
            yield ColumnList(self._desk.looks)
            yield Lines(len(_KEYS), id="keys")

    def on_mount(self) -> None:
        """The list has the keys that move."""
        self._list.led = True
        self._list.focus()
        self.draw(0)
        self.watch(self.app, "theme", lambda: self.draw(self._list.cursor), init=False)
        self._stands = True
        self._work_off()

    def typed_below(self, event: events.Key) -> None:
        self._early.append(event)

    def all_typed_below(self) -> None:
        self._all_early = True
        self._work_off()

    def _work_off(self) -> None:
        if self._all_early and self._stands:
            early, self._early = self._early, []
            for event in early:
                self._press(event)

    @property
    def _list(self) -> ColumnList:
        return self.query_one(ColumnList)

    def draw(self, cursor: int) -> None:
        """Draw the list as the columns are now, with the cursor there."""
        columns, arrangement = self._model.pane.columns, self._model.arrangement
        visible = {column.id for column in shown(columns, arrangement)}
        widths = {place.column.id: place.width for place in self._places()}
        lines: list[Line] = []
        for column in in_order(columns, arrangement):
            width = (
                f"{widths[column.id]:>3}"
                if column.id in widths
                else "no room"
                if column.id in visible
                else ""
            )
            own = " fixed" if column.id in arrangement.widths else ""
            by = " sorted by" if column.id == self._model.sort else ""
            lines.append(Line(column.title, column.id in visible, f"{width}{own}{by}"))
        self._list.put(lines, cursor)
        look, keys = self._desk.looks.current, self.query_one("#keys", Lines)
        for y, pairs in enumerate(_KEYS):
            parts: list[Part] = []
            for key, label in pairs:
                parts += [Part(key, look.style("key")), Part(f" {label}  ", look.style("dim"))]
            keys.put(y, parts)

    def on_key(self, event: events.Key) -> None:
        """All keys that do something here, in the order in which they were pressed."""
        if self._press(event):
            event.stop()

    def _press(self, event: events.Key) -> bool:
        match event.character if event.is_printable else event.key:
            case "escape" | "enter" | "q" | "w":
                _ = self.dismiss(None)
            case " ":
                self._toggle()
            case "<" | "[":
                self._move(-1)
            case ">" | "]":
                self._move(1)
            case "+":
                self._widen(1)
            case "-":
                self._widen(-1)
            case "=":
                self._arrange(resized(self._model.arrangement, self._at, None))
            case "r":
                self._arrange(Arrangement())
            case _:
                return self._list.step(event.key)
        return True

    @property
    def _at(self) -> str:
        """The id of the column under the cursor."""
        return in_order(self._model.pane.columns, self._model.arrangement)[self._list.cursor].id

    @on(ColumnList.Toggled)
    def _toggle(self) -> None:
        self._arrange(toggled(self._model.pane.columns, self._model.arrangement, self._at))

    def _move(self, by: int) -> None:
        self._arrange(moved(self._model.pane.columns, self._model.arrangement, self._at, by))

    def _widen(self, by: int) -> None:
        columns, arrangement = self._model.pane.columns, self._model.arrangement
        if self._at not in {column.id for column in shown(columns, arrangement)}:
            return
        # from what is seen: a column that grows is wider than what it asks for
        widths = {column.id: column.width for column in self._model.columns}
        widths |= {place.column.id: place.width for place in self._places()}
        self._arrange(resized(arrangement, self._at, widths[self._at] + by))

    def _arrange(self, arrangement: Arrangement) -> None:
        at = self._at
        if arrangement != self._model.arrangement:
            self._desk.show_columns(self._model.pane.id, arrangement)
            self._keep()
        ids = [column.id for column in in_order(self._model.pane.columns, arrangement)]
        self.draw(ids.index(at))
