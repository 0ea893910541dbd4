"""The main screen: one of seven panes, the house in two lines above it, and what is beside it when there is room."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input

from console import units
from console.actions import BY_ID, Aimed, Scope, Target
from console.desk import Desk
from console.instances import INSTANCES
from console.panes.catalog import BEHIND, PANES
from console.panes.completion import Completion, complete
from console.panes.findings import FINDINGS
from console.panes.journal import JOURNAL, worth_telling
from console.panes.links import Link, links_of
from console.panes.model import PaneModel
from console.panes.pane import Column, Pane
from console.panes.queues import QUEUES
from console.panes.runs import RUNS
from console.panes.seats import SEATS
from console.preferences import LAYOUTS, Layout, keep_columns, keep_layout
from console.screens.base import DeskScreen, Handlers
from console.state import At, Table
from console.text import width
from console.trail import CameFrom, Trail, crumb
from console.trends import spark
from console.views import View, view_of, with_filter
from console.widgets.facts import FactsPanel
from console.widgets.field import Field
from console.widgets.line import Lines, Part
from console.widgets.table import LiveTable

if TYPE_CHECKING:
    from console.panes.export import Format

_FEW = 7
"""With never more turns than this the trend is drawn low."""

_TABLES: dict[str, Table] = {
    "queues": "queues",
    "runs": "runs",
    "sessions": "sessions",
    "strikes": "pins",
    "cost": "costs",
    "journal": "journal",
    "findings": "findings",
}
"""Pane → the rows that it shows."""

_LOOKED_AT = 500
"""So many rows are looked at for values that a filter may ask for."""

_BEFORE_FAULT = 12
"""So much of a long filter is shown before what is wrong with it."""

_WIDE, _TALL = 112, 34
_BESIDE: dict[Layout, str] = {
    "all": "the facts of the row, and the latest of the journal",
    "facts": "the facts of the row",
    "journal": "the latest of the journal",
    "table": "nothing",
}
"""From these sizes on the facts stand beside the table, and the journal below it."""


class MainScreen(DeskScreen):
    """Shows the model of one pane; the models live on the desk, so that nothing is forgotten between panes."""

    scope: ClassVar[Scope] = "panes"
    CSS = """
    MainScreen #tail { height: 9; border-top: solid $panel; }
    MainScreen #bar { height: 1; background: $surface; }
    MainScreen #prompt { width: 3; background: $surface; }
    MainScreen #filter { width: 1fr; height: 1; background: $surface; }
    MainScreen #status, MainScreen #footer { background: $surface; }
    """
    AUTO_FOCUS: ClassVar[str | None] = "#table"

    def __init__(self, desk: Desk, *, first: str = "runs") -> None:
        super().__init__(desk)
        self._stack: list[PaneModel] = [desk.models[first]]
        self._trail = Trail(desk)
        self._maximised = False
        self._frozen_at = 0
        self._completing: tuple[int, tuple[str, ...]] | None = None
        """Where the word begins that tab walks through, and what it may be; none while one types."""
        self._option = 0
        self._filled: str | None = None
        self._recalled = 0
        """How many filters back one has gone."""
        self._unsent = ""
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
        with Horizontal(id="bar"):
            yield Lines(1, id="prompt")
            yield Field(
                placeholder="words, column:word, cost>1, -word, a OR b",
                id="filter",
                compact=True,
                select_on_focus=False,
            )
        yield Lines(1, id="status")
        yield Lines(1, id="footer")

    def on_mount(self) -> None:
        """The first picture is drawn before anything is known of a core."""
        self.query_one("#bar").display = False
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
        if link.id == "pane":
            self.show(self.desk.models[link.pane])
        else:
            self.go_to(link)

    def go_to(self, link: Link, came_from: CameFrom | None = None) -> None:
        """Show what a link leads to; escape comes back to what is shown now, or to where one `came_from`."""
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
        if self.desk.bulk is not None:
            self.desk.bulk.stopped = True
            self.desk.hurry()
            return
        if self.model.marks and not self.query_one("#bar").display:
            self.model.unmark(list(self.model.marks))
            self.desk.say("no row is marked any more")
            return
        if self.query_one("#bar").display or (self.model.filter and not self._trail.brought(self.model)):
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
        self.run_worker(self._keep_layout(), group="layout")

    async def _keep_layout(self) -> None:
        if self.desk.folder is not None:
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

        def done(changed: bool | None) -> None:
            if changed:
                self.run_worker(self._keep_columns(pane_id), group="columns")

        self.open_above(ColumnsScreen(self.desk, self.model, self._table.places), done)

    async def _keep_columns(self, pane_id: str) -> None:
        if self.desk.folder is None:
            return
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
                self.run_worker(carry_out(self.desk, export, how), group="export")

        self.open_above(format_menu(export), chosen)

    # ---------------------------------------------------------------------------------------- filter

    def _filter(self) -> None:
        # The field is there from the start: what is typed after the key must neither reach the table's own keys,
        # nor be lost.
        field = self.query_one("#filter", Field)
        self.query_one("#bar").display = True
        self.query_one("#status").display = False
        field.value = self.model.filter
        field.cursor_position = len(field.value)
        self._completing = self._filled = None
        self._recalled = 0
        field.hold()
        self.set_focus(field)
        self._table.post_message(Field.Reached())

    def typed_late(self, character: str) -> None:
        self.query_one("#filter", Field).take(character)

    def on_key(self, event: events.Key) -> None:
        """In the filter, tab completes and up and down bring earlier filters back; all else is as in any screen."""
        if self.typing and event.key in ("tab", "shift+tab", "up", "down"):
            event.stop()
            event.prevent_default()
            if event.key in ("up", "down"):
                self._recall(1 if event.key == "up" else -1)
            else:
                self._complete(1 if event.key == "tab" else -1)
            return
        super().on_key(event)

    def _options(self) -> Completion:
        """What the word at the cursor may become."""
        field, model = self.query_one("#filter", Field), self.model
        return complete(
            model.pane, field.value, field.cursor_position, model.some(_LOOKED_AT), self.desk.cores.now()
        )

    def _complete(self, by: int) -> None:
        """Put the next option in the word's place; where it began, and what there was, is known until one types."""
        field = self.query_one("#filter", Field)
        if self._completing is None:
            options = self._options()
            if not options.options:
                return
            word = field.value[options.start : field.cursor_position]
            self._completing = (options.start, (*options.options, word))
            self._option = -1 if by > 0 else 0
        start, choices = self._completing
        self._option = (self._option + by) % len(choices)
        rest = field.value[field.cursor_position :]
        chosen = choices[self._option]
        self._filled = field.value[:start] + chosen + rest
        field.value = self._filled
        field.cursor_position = start + len(chosen)

    def _recall(self, by: int) -> None:
        """An earlier filter of this pane, or a later one again."""
        earlier = self.desk.filters.get(self.model.pane.id, [])
        place = self._recalled + by
        if 0 <= place <= len(earlier):
            field = self.query_one("#filter", Field)
            if self._recalled == 0:
                self._unsent = field.value
            self._recalled = place
            field.value = earlier[-place] if place else self._unsent
            field.cursor_position = len(field.value)

    @on(Field.Reached)
    async def _reached(self) -> None:
        await self.query_one("#filter", Field).release()

    @on(Input.Changed, "#filter")
    def _filter_typed(self, event: Input.Changed) -> None:
        if event.value != self._filled:
            self._completing = self._filled = None
        if self.query_one("#bar").display and event.value != self.model.filter:
            self.model.filter_by(event.value)
            self.desk.hurry()

    @on(Input.Submitted, "#filter")
    def _filter_kept(self) -> None:
        if self.model.fault is not None:
            self.desk.hurry()  # it stays open until it can be used
            return
        pane_id, text = self.model.pane.id, self.model.filter
        self.desk.keep_filter(pane_id, text)
        self.run_worker(self.desk.keep(lambda kept: with_filter(kept, pane_id, text)), group="keep")
        self._close_filter()

    def _close_filter(self) -> None:
        if self.model.fault is not None:
            self.model.filter_by(self.model.in_force)
        self.query_one("#bar").display = False
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
        if self.model.sifting is not None:
            self.run_worker(self._sift(self.model), group="sift", exclusive=True)
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
        self.query_one("#prompt", Lines).put(0, [Part(" / ", desk.looks.current.style("key"))])
        header = self.query_one("#header", Lines)
        header.put(0, self.link_parts(), self._totals())
        header.put(1, self._tabs())
        self.query_one("#scopes", Lines).put(0, self._scopes())
        self.query_one("#status", Lines).put(0, *self._status())
        self.query_one("#footer", Lines).put(0, self._hint() if self.typing else self.footer())

    async def _sift(self, model: PaneModel) -> None:
        """Have the filter go through the rest of a large table, between the keys; what it finds is drawn meanwhile."""
        left = True
        while left:
            left = model.sift()
            self.desk.wake()
            await asyncio.sleep(0)

    def _hint(self) -> list[Part]:
        """Below the filter while one types: what is wrong and where, or what the word may become."""
        look, fault = self.desk.looks.current, self.model.fault
        if fault is not None:
            field = self.query_one("#filter", Field)
            # the field scrolls with a long text; the mark stands below the character wherever that is
            at = width(" / ") + width(field.value[: fault.at]) - field.scroll_offset.x
            if 0 <= at < self.app.size.width // 2:
                return [Part(" " * at, look.style("text")), Part(f"▲ {fault.why}", look.style("bad"))]
            before = field.value[: fault.at][-_BEFORE_FAULT:]
            return [Part(f" ▲ after {before!r}: {fault.why}", look.style("bad"))]
        keys, dim = look.style("key"), look.style("dim")
        options = self._completing[1][:-1] if self._completing else self._options().options
        if not options:
            return [
                Part(" ↵", keys),
                Part(" keep  ", dim),
                Part("esc", keys),
                Part(" drop  ", dim),
                Part("↑", keys),
                Part(" earlier ones  ", dim),
                Part("column:word  cost>1  age<5m  -word  a OR b  (…)", dim),
            ]
        parts = [Part(" tab", keys)]
        for number, option in enumerate(options):
            chosen = self._completing is not None and number == self._option
            parts += [Part(" ", dim), Part(f" {option} ", look.style("tab_shown" if chosen else "tab"))]
        return parts

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
            return (f"No row matches the filter {self.model.filter!r}; esc {esc}.",)
        text = "\n".join(self.model.pane.empty)
        if self.desk.fresh or "{curl}" in text:
            text += f"\nOr look at a busy house with invented people first: {self.desk.way_to_sandbox}"
        return tuple(text.replace("{curl}", self.desk.curl).split("\n"))

    def _totals(self) -> list[Part]:
        cores, look = self.desk.cores, self.desk.looks.current
        if not cores.known:
            return []
        text, totals = look.style("text"), cores.totals()
        parts = [Part(f"{totals.in_flight:,} in flight", text)]
        if self.app.size.width >= _WIDE:
            turns = cores.in_flight()
            parts.append(
                Part(f" {spark(turns, max(_FEW, *(figure or 0 for figure in turns)))}", look.style("accent"))
            )
        people = f" · {totals.waiting:,} waiting · {totals.seated:,} seated · {units.cents(totals.micros)}"
        parts.append(Part(people, text))
        if self.app.size.width >= _WIDE:
            rate = cores.micros_per_hour()
            parts.append(Part(f", {units.cents(rate)}/h" if rate else "", text))
        return [*parts, Part(" ", text)]

    def _tabs(self) -> list[Part]:
        look, cores = self.desk.looks.current, self.desk.cores
        counts = {pane_id: cores.count(table) for pane_id, table in _TABLES.items()}
        root = self._stack[0].pane.id
        shown: list[tuple[int, Pane[Any, Any]]] = [*enumerate(PANES, 1)]
        if cores.several:
            shown.insert(0, (0, INSTANCES))
            counts[INSTANCES.id] = len(cores)
        names: list[str] = []
        for n, pane in shown:
            crumb = f" › {self.model.pane.title}" if pane.id == root and len(self._stack) > 1 else ""
            names.append(f"{'▸' if pane.id == root else ' '}{n} {pane.title}{crumb} ")
        figures = [f"{units.short(counts[pane.id])} " if counts[pane.id] else "" for _, pane in shown]
        if sum(map(len, names)) >= self.app.size.width:
            names, figures = [name.rstrip() for name in names], [""] * len(names)
        # where the line is too short for all of them the last ones go first
        left = self.app.size.width - 1 - sum(map(len, names))
        texts: list[str] = []
        for name, figure in zip(names, figures, strict=True):
            left -= len(figure)
            texts.append(name + figure if left >= 0 else name)
        styles = [look.style("tab_shown" if pane.id == root else "tab") for _, pane in shown]
        if counts[FINDINGS.id] and root != FINDINGS.id:
            styles[-1] = look.style("warn")
        return [Part(" ", look.style("tab")), *map(Part, texts, styles, [pane.id for _, pane in shown])]

    def _scopes(self) -> list[Part]:
        """The kinds of rows, where there are several; what is shown is marked as the panes are above."""
        look, model = self.desk.looks.current, self.model
        parts = [Part(f"  {self.desk.keys.shown(BY_ID['scope'])} ", look.style("key"), "all")]
        for scope in ("", *model.pane.scopes):
            shown = scope == model.scope
            name = f"{'▸' if shown else ' '}{scope or 'all'} "
            parts.append(Part(name, look.style("tab_shown" if shown else "tab"), scope or "all"))
        return parts

    @on(Lines.Pressed, "#scopes")
    def _scope_clicked(self, event: Lines.Pressed) -> None:
        event.stop()
        event.prevent_default()
        wanted = "" if event.action == "all" else event.action
        while self.model.scope != wanted:
            self.model.next_scope()
        self.desk.hurry()

    def _status(self) -> tuple[list[Part], list[Part]]:
        desk, look, model = self.desk, self.desk.looks.current, self.model
        left: list[Part] = [Part(" ", look.style("text"))]
        if self._trail.crumbs:
            left.append(Part(f"{self.way}  ", look.style("dim")))
        if model.frozen:
            since = units.age(desk.cores.now() - self._frozen_at)
            left.append(Part(f"‖ frozen {since}, {model.held_back:,} changed  ", look.style("warn")))
        if model.filter:
            left.append(Part(f"/{model.filter}  ", look.style("accent")))
        if model.marks:
            hidden = f", {model.marked_hidden:,} hidden" if model.marked_hidden else ""
            left.append(Part(f"▪ {len(model.marks):,} marked{hidden}  ", look.style("accent")))
        if desk.bulk is not None:
            stops = "stopping" if desk.bulk.stopped else "esc stops it"
            left.append(Part(f"◐ {desk.bulk.text()} {stops}  ", look.style("warn")))
        # the answer to a key first: that the link is lost stands in the header as well
        answer = desk.answer()
        left.append(Part(f"{answer.text}  " if answer.text else "", look.style(answer.tone)))
        left += self.trouble_parts()
        at = model.position
        place = "–" if at is None else f"{at + 1:,}"
        if model.sifting is not None:
            place = f"filtered {model.sifting} %  {place}"
        of = f"{len(model):,}" if len(model) == model.known else f"{len(model):,} shown of {model.known:,}"
        order = model.pane.column(model.sort).title.lower()
        arrow = "▾" if model.descending else "▴"
        return left, [Part(f"by {order}{arrow}  {place}/{of} ", look.style("dim"))]
