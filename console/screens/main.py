"""The main screen: one of seven panes, the house in two lines above it, and what is beside it when there is room."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from textwrap import wrap
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input

from console.actions import BY_ID, Aimed, Scope, Target
from console.background import in_background
from console.desk import Desk
from console.instances import INSTANCES
from console.panes.catalog import BEHIND
from console.panes.journal import JOURNAL, worth_telling
from console.panes.links import Link, links_of
from console.panes.model import PaneModel
from console.panes.pane import Column, Pane
from console.panes.queues import QUEUES
from console.panes.runs import RUNS
from console.panes.seats import SEATS
from console.preferences import LAYOUTS, Layout, keep_columns, keep_layout
from console.screens import told
from console.screens.base import DeskScreen, Everywhere, Handlers
from console.screens.filtering import FilterBar
from console.state import At
from console.trail import CameFrom, Trail, crumb
from console.views import View, view_of
from console.widgets.facts import FactsPanel
from console.widgets.field import Field
from console.widgets.line import Lines, Part
from console.widgets.table import LiveTable

if TYPE_CHECKING:
    from console.panes.export import Format

_LINE = 72
_SLICE_SECONDS, _TURNS = 0.004, 20
"""So long the rest of a large table is gone on with, and so many turns the loop has in between for all else.

A key is handed on many times until it is seen: with one turn it would wait for a slice at each of them.
"""
_WIDE, _TALL = 112, 34
"""From these sizes on the facts stand beside the table, and the journal below it."""
_BESIDE: dict[Layout, str] = {
    "all": "the facts of the row, and the latest of the journal",
    "facts": "the facts of the row",
    "journal": "the latest of the journal",
    "table": "nothing",
}
"""What stands there, by layout, when there is room."""


class MainScreen(DeskScreen):
    """Shows the model of one pane; the models live on the desk, so that nothing is forgotten between panes."""

    scope: ClassVar[Scope] = "panes"
    CSS = """
    MainScreen #tail { height: 9; border-top: solid $panel; }
    MainScreen #status, MainScreen #footer { background: $surface; }
    """
    AUTO_FOCUS: ClassVar[str | None] = "#table"

    def __init__(self, desk: Desk, everywhere: Everywhere, *, first: str = "runs") -> None:
        super().__init__(desk, everywhere)
        self._stack: list[PaneModel] = [desk.models[first]]
        self._trail = Trail(desk)
        self._maximised = False
        self._frozen_at = 0
        self._tail = desk.model_of(JOURNAL, worth_telling)
        desk.watching.append(self._tail)

    def compose(self) -> ComposeResult:
        looks = self.desk.looks
        yield Lines(2, id="header")
        yield Lines(1, id="scopes")
        with Horizontal():
            yield LiveTable(looks, self.model, id="table")
            yield FactsPanel(looks, id="facts")
        yield LiveTable(looks, self._tail, id="tail", focus=False)
        yield FilterBar(self.desk, self.model)
        yield Lines(1, id="status")
        yield Lines(1, id="footer")

    def on_mount(self) -> None:
        """The first picture is drawn before anything is known of a core."""
        self._arrange()

    @property
    def model(self) -> PaneModel:
        """What is shown."""
        return self._stack[-1]

    @property
    def _table(self) -> LiveTable:
        return self.query_one("#table", LiveTable)

    # ------------------------------------------------------------------------------------------ keys

    def handlers(self) -> Handlers:
        def shows(pane_id: str) -> Callable[[], None]:
            return lambda: self.show(self.desk.models[pane_id])

        panes = {pane_id: shows(pane_id) for pane_id in self.desk.models}
        return {
            **panes,
            "open": self._open,
            "back": self._escape,
            "quit": self._quit,
            "sandbox": self._play,
            "filter": self._filter,
            "sort": self._sort,
            "reverse": self._reverse,
            "scope": self._scope,
            "mark": self._mark,
            "mark-range": self._mark_range,
            "mark-shown": self._mark_shown,
            "freeze": self._freeze,
            "maximise": self._maximise,
            "layout": self._next_layout,
            "copy-cell": self._copy_cell,
            "columns": self._columns,
            "export": self._export,
        }

    @property
    def typing(self) -> bool:
        return isinstance(self.focused, Input)

    def show(self, model: PaneModel) -> None:
        """Show a pane, and forget the way to the one before."""
        self._trail.forget()
        while len(self._stack) > 1:
            self._pop()
        self._stack = [model]
        self._shown()

    def _pop(self) -> None:
        gone = self._stack.pop()
        if gone in self.desk.watching:
            self.desk.watching.remove(gone)

    def _shown(self) -> None:
        self._close_filter()
        self.desk.catch_up(self.model)
        self._table.show(self.model, self._empty())
        self.desk.say("")
        self._arrange()

    def _open(self) -> None:
        row = self.model.selected()
        if row is None:
            self.desk.say(self._no_row(), "warn")
            return
        self.model.move(0)  # from now on it is the operator's row
        target = self.model.pane.target(self.desk.drawn_from, row)
        if self.model.pane is INSTANCES:
            self._show_runs_of(target.label)
            return
        behind = BEHIND.get(self.model.pane.id)
        if behind is not None:
            self._stack.append(self._behind(behind, target.label, target.core))
            self._shown()
            return
        if target.session_key is None:
            self.desk.say(f"nothing more is known of {target.label or 'this'}", "dim")
            return
        from console.screens.session import SessionScreen

        first = "events" if self.model.pane.id == "runs" else "messages"
        _ = self.app.push_screen(
            SessionScreen(
                self.desk,
                self.everywhere,
                target.session_key,
                core=self.desk.core_of(target),
                run_id=target.run_id,
                first=first,
            )
        )

    def _behind(self, pane: Pane[Any, Any], model_id: str, core: int) -> PaneModel:
        """The seats of a model."""
        model = self.desk.model_of(pane, lambda line: bool(line.seat.model == model_id), of_core=core)
        self.desk.watching.append(model)
        return model

    def view(self) -> View | str:
        if self.model not in self.desk.models.values():
            return f"the {self.model.pane.title} of one model cannot be kept as a view"
        return view_of(self.model, self.desk.layout)

    def links(self, target: Target) -> list[Link]:
        core, key = self.desk.core_of(target), self.model.cursor
        if isinstance(key, At):
            key = key.key
        links = links_of(core.state.rows, target, key)
        return [link for link in links if (link.pane, link.key) != (self.model.pane.id, key)]

    def follow(self, link: Link) -> None:
        self.go_to(link)

    def go_to(self, link: Link, came_from: CameFrom | None = None) -> None:
        if link.id == "pane":
            self.show(self.desk.models[link.pane])
            return
        if link.pane in self.desk.models:
            stack = [self.desk.models[link.pane]]
        else:
            stack = [self.desk.models[QUEUES.id], self._behind(SEATS, link.model, link.core)]
        label = self.pointed()
        here = CameFrom(crumb(self.model.pane.title, label.label if isinstance(label, Target) else ""))
        self._trail.leave(came_from or here, self._stack, stack)
        self._stack = stack
        self._shown()
        self.desk.say(self._trail.arrive(link))
        # a view has brought its layout, too
        self._arrange()

    def _show_runs_of(self, instance: str) -> None:
        model = self.desk.models[RUNS.id]
        self.show(model)
        model.filter_by(f"instance:{instance}")
        self.desk.say("only the runs of this instance; esc shows all")

    def _escape(self) -> None:
        work = self.desk.bulk or self.desk.exporting
        if work is not None:
            work.stopped = True
            self.desk.hurry()
            return
        if self.model.marks and not self._bar.is_open:
            self.model.unmark(list(self.model.marks))
            self.desk.say("no row is marked any more")
            return
        if self._bar.is_open or (self.model.filter and not self._trail.brought(self.model)):
            self.model.filter_by("")
            self._close_filter()
            self.desk.say("")
        else:
            self._back()

    def _back(self) -> bool:
        if len(self._stack) > self._trail.depth:
            self._pop()
            self._shown()
            return True
        before = self._trail.back()
        if before is None:
            return False
        while self._stack:
            self._pop()
        self._stack = before.stack
        self._shown()
        if before.came_from.again is not None:
            before.came_from.again()
        return True

    def _quit(self) -> None:
        if not self._back():
            self.desk.leave(False)

    def _play(self) -> None:
        if self.desk.play is not None:
            self.desk.play()

    def _sort(self) -> None:
        ids = [column.id for column in self.model.pane.columns]
        following = self.model.pane.columns[(ids.index(self.model.sort) + 1) % len(ids)]
        self._sort_by(following)

    def _sort_by(self, column: Column[Any]) -> None:
        # figures are wanted with the largest first, names from A
        self.model.sort_by(column.id, descending=column.align == "right")
        turns = self.desk.keys.shown(BY_ID["reverse"])
        self.desk.say(f"sorted by {column.title.lower()}; {turns} turns it round")

    @on(LiveTable.HeadClicked)
    def _head_clicked(self, event: LiveTable.HeadClicked) -> None:
        event.stop()
        if event.table is not self._table:
            return
        if event.column == self.model.sort:
            self._reverse()
        else:
            self._sort_by(self.model.pane.column(event.column))

    def _reverse(self) -> None:
        self.model.sort_by(self.model.sort, descending=not self.model.descending)
        self.desk.hurry()

    def _scope(self) -> None:
        if not self.model.pane.scopes:
            self.desk.say(f"the rows of {self.model.pane.title} are all of one kind; try it on the cost (5)")
            return
        scope = self.model.next_scope()
        self.desk.say(f"only what each {scope} has cost" if scope else "everything")

    def _mark(self) -> None:
        if self.model.selected() is None:
            self.desk.say(self._no_row(), "warn")
            return
        self.model.toggle_mark()
        self.model.move(1)
        self.desk.hurry()

    def _mark_range(self) -> None:
        if not self.model.mark_range():
            self.desk.say("mark one row first (space), then v marks all from there to the cursor", "warn")
        self.desk.hurry()

    def _mark_shown(self) -> None:
        self.model.mark_shown()
        self.desk.hurry()

    def _freeze(self) -> None:
        self.model.frozen = not self.model.frozen
        self._frozen_at = self.desk.cores.now()
        if self.model.frozen:
            self.desk.say("f goes on")
        else:
            self.desk.say("live again")

    def _maximise(self) -> None:
        self._maximised = not self._maximised
        self._arrange()

    def _next_layout(self) -> None:
        self._maximised = False
        self.desk.layout = LAYOUTS[(LAYOUTS.index(self.desk.layout) + 1) % len(LAYOUTS)]
        self._arrange()
        small = "" if self._roomy else ", as soon as the terminal is large enough"
        self.desk.say(f"beside the table: {_BESIDE[self.desk.layout]}{small}")
        in_background(self, self._keep_layout, "layout")

    async def _keep_layout(self) -> None:
        if self.desk.folder is not None:
            async with self.desk.keeping:
                trouble = await asyncio.to_thread(keep_layout, self.desk.folder, self.desk.layout)
            if trouble:
                self.desk.say(f"the layout stays so until this console is left: {trouble}", "warn")

    def _copy_cell(self) -> None:
        from console.screens.copying import cell_menu, copied

        row, target = self.model.selected(), self.pointed()
        if row is None or isinstance(target, str):
            self.desk.say(self._no_row(), "warn")
            return
        # as it was when the key was pressed, whatever becomes of the row meanwhile
        columns, now = self.model.columns, self.desk.cores.now()

        def chosen(choice: str | None) -> None:
            if choice is None:
                self.desk.say("nothing was copied")
                return
            found = copied(columns, row, now, choice)
            self.app.copy_to_clipboard(found.text)
            self.desk.say(f"copied {found.name}: {found.text}")

        self.open_above(cell_menu(columns, row, now, target.label), chosen)

    def _columns(self) -> None:
        from console.screens.columns import ColumnsScreen

        pane_id = self.model.pane.id

        def keep() -> None:
            in_background(self, lambda: self._keep_columns(pane_id), "columns")

        self.open_above(ColumnsScreen(self.desk, self.model, self._table.places, keep))

    async def _keep_columns(self, pane_id: str) -> None:
        if self.desk.folder is None:
            return
        async with self.desk.keeping:
            # as they are now: several changes may wait here
            chosen = {pane_id: self.desk.columns[pane_id]}
            trouble = await asyncio.to_thread(keep_columns, self.desk.folder, chosen)
        if trouble:
            self.desk.say(f"the columns stay so until this console is left: {trouble}", "warn")

    def _export(self) -> None:
        from console.screens.exporting import carry_out, export_of, format_menu

        export = export_of(self.desk, self.model)
        if isinstance(export, str):
            self.desk.say(export, "warn")
            return

        def chosen(how: Format | None) -> None:
            if how is None:
                self.desk.say("nothing was exported")
            else:
                in_background(self, lambda: carry_out(self.desk, export, how), "export")

        self.open_above(format_menu(export), chosen)

    # ---------------------------------------------------------------------------------------- filter

    @property
    def _bar(self) -> FilterBar:
        return self.query_one(FilterBar)

    def _filter(self) -> None:
        # The field is there from the start: what is typed after the key must neither reach the table's own keys,
        # nor be lost.
        self.query_one("#status").display = False
        self._bar.open(self.model)
        self._table.post_message(Field.Reached())

    def typed_late(self, character: str) -> None:
        self._bar.take(character)

    def on_key(self, event: events.Key) -> None:
        """In the filter, tab completes and up and down bring earlier filters back; all else is as in any screen."""
        if self.typing and self._bar.step(event.key):
            event.stop()
            event.prevent_default()
            return
        super().on_key(event)

    @on(Field.Reached)
    async def _reached(self) -> None:
        await self._bar.reached()

    @on(FilterBar.Kept)
    def _close_filter(self) -> None:
        self._bar.shut()
        self.query_one("#status").display = True
        self.set_focus(self._table)
        self.desk.hurry()

    # ---------------------------------------------------------------------------------------- acting

    @property
    def worth(self) -> tuple[str, ...]:
        return self.model.pane.worth

    @property
    def way(self) -> str:
        return " › ".join((*self._trail.crumbs, self.model.pane.title))

    def pointed(self) -> Target | str:
        return self.model.target(self.desk.drawn_from) or self._no_row()

    def aim(self) -> Target | str:
        """What is hit must be what the operator looks at: the drawn row, in sight, where they know the cursor to be."""
        model, target = self.model, self.pointed()
        if isinstance(target, str):
            return target
        if not model.confirm():
            return (
                f"the row before has gone from here, and the cursor is on {target.label}: press again to act"
            )
        if not model.visible:
            model.reveal()
            self.desk.hurry()
            return f"the cursor was out of sight, on {target.label}: here it is; press again to act on it"
        return target

    def aimed(self) -> Aimed | str:
        model = self.model
        if not model.marks:
            return super().aimed()
        rows = model.marked()
        return Aimed(
            targets=tuple(model.pane.target(self.desk.drawn_from, row) for _, row in rows),
            keys=tuple(key for key, _ in rows),
            marked=True,
            hidden=model.marked_hidden,
            unmark=model.unmark,
        )

    def hold_aim(self) -> Aimed | str:
        if self.model.selected() is not None:
            self.model.move(0)  # from now on it is the operator's row, and in sight
        return self.aimed()

    def example(self) -> str:
        shown = self.desk.cores.known and not self.model.known
        return self.desk.curl if shown and "{curl}" in self.model.pane.empty else ""

    def _no_row(self) -> str:
        if self.model.lost:
            return "the row under the cursor is gone: choose another with the arrows"
        return "choose a row with the arrows first" if len(self.model) else "there is nothing here"

    # --------------------------------------------------------------------------------------- drawing

    @on(LiveTable.Moved)
    def _moved(self) -> None:
        self.desk.hurry()

    @on(LiveTable.Opened)
    def _opened(self) -> None:
        self._open()

    def on_resize(self) -> None:
        """Another size may have room for more, or for less."""
        self._arrange()

    def _arrange(self) -> None:
        width, height = self.app.size
        layout = "table" if self._maximised else self.desk.layout
        self.query_one("#facts").display = width >= _WIDE and layout in ("all", "facts")
        tail = height >= _TALL and layout in ("all", "journal") and self.model.pane.id != JOURNAL.id
        self.query_one("#tail").display = tail
        self.query_one("#scopes").display = bool(self.model.pane.scopes)
        self.desk.hurry()

    @property
    def _roomy(self) -> bool:
        """Whether the terminal has room for what the layout wants beside the table."""
        width, height = self.app.size
        wide, tall = self.desk.layout in ("all", "facts"), self.desk.layout in ("all", "journal")
        return (width >= _WIDE or not wide) and (height >= _TALL or not tall)

    def restyle(self) -> None:
        for table in self.query(LiveTable):
            table.redraw()
        self.query_one(FactsPanel).redraw()

    def draw(self) -> None:
        desk, now = self.desk, self.desk.cores.now()
        table = self._table
        self.model.catch_up(desk.drawn_from)
        if self.model.progress is not None:
            model = self.model
            in_background(self, lambda: self._go_on(model), "go on", alone=True)
        table.stale, table.empty = desk.stale, self._empty()
        table.draw(now)
        facts = self.query_one(FactsPanel)
        if facts.display:
            row = self.model.selected()
            facts.put([] if row is None else self.model.pane.facts(row, now), stale=desk.stale)
        tail = self.query_one("#tail", LiveTable)
        if tail.display:
            self._tail.catch_up(desk.drawn_from)
            tail.stale = desk.stale
            tail.draw(now)
        self._bar.draw()
        header = self.query_one("#header", Lines)
        header.put(0, self.link_parts(), told.totals(desk, wide=self.app.size.width >= _WIDE))
        header.put(1, told.tabs(desk, self._stack, self.app.size.width))
        self.query_one("#scopes", Lines).put(0, told.scopes(desk, self.model))
        self.query_one("#status", Lines).put(0, self._status(), told.place(desk, self.model))
        self.query_one("#footer", Lines).put(0, self._bar.hint() if self.typing else self.footer())

    async def _go_on(self, model: PaneModel) -> None:
        """Read and filter the rest of a large table, between the keys; what is found is drawn meanwhile."""
        clock = asyncio.get_running_loop().time
        left = True
        while left:
            enough = clock() + _SLICE_SECONDS
            while left and clock() < enough:
                left = model.go_on()
            self.desk.wake()
            for _ in range(_TURNS):
                await asyncio.sleep(0)

    def _empty(self) -> tuple[str, ...]:
        if not self.desk.cores.known:
            feeds = [core.feed for core in self.desk.cores]
            feed = next((feed for feed in feeds if feed.link != "lost"), feeds[0])
            if feed.link == "lost":
                what = "None of the cores" if self.desk.cores.several else "The core"
                verb = "can be reached" if self.desk.cores.several else "cannot be reached"
                return (f"{what} {verb}: {feed.trouble}", "Trying again, for ever; ctrl+q leaves.")
            return ("Loading the view …" if feed.link == "loading" else "Starting the core …",)
        if self.model.filter and self.model.known:
            esc = "goes back" if self._trail.brought(self.model) else "drops it"
            told = f"No row matches the filter {self.model.filter!r}; esc {esc}."
            return (told, *self._no_such_columns())
        text = "\n".join(self.model.pane.empty)
        if self.desk.fresh or "{curl}" in text:
            text += f"\nOr look at a busy house with invented people first: {self.desk.way_to_sandbox}"
        return tuple(text.replace("{curl}", self.desk.curl).split("\n"))

    def _no_such_columns(self) -> list[str]:
        """Who wrote a column that there is not learns which there are; session keys have colons, too."""
        names = [f"{name}:" for name in self.model.no_columns]
        if not names:
            return []
        columns = ", ".join(column.id for column in self.model.pane.columns)
        were = "was" if len(names) == 1 else "were"
        return wrap(f"{' and '.join(names)} {were} looked for as text; the columns here: {columns}", _LINE)

    @on(Lines.Pressed, "#scopes")
    def _scope_clicked(self, event: Lines.Pressed) -> None:
        event.stop()
        event.prevent_default()
        wanted = "" if event.action == told.ALL else event.action
        while self.model.scope != wanted:
            self.model.next_scope()
        self.desk.hurry()

    def _status(self) -> list[Part]:
        desk, look = self.desk, self.desk.looks.current
        parts: list[Part] = [Part(" ", look.style("text"))]
        if self._trail.crumbs:
            parts.append(Part(f"{self.way}  ", look.style("dim")))
        parts += told.how_shown(desk, self.model, frozen_at=self._frozen_at)
        # the answer to a key first: that the link is lost stands in the header as well
        answer, trouble = desk.answer(), self.trouble_parts()
        between = "  " if answer.text and trouble else ""
        return [*parts, Part(f"{answer.text}{between}", look.style(answer.tone)), *trouble]
