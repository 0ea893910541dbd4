"""The palette: everything that can be done or looked at from here, found by its name while one types."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from console import units
from console.actions import BY_ID, Action, Aimed, Scope, Target, offered
from console.background import in_background
from console.cores import Attached, Cores
from console.desk import Desk
from console.panes.catalog import PANES
from console.panes.entries import EntryItem
from console.panes.finder import Entry, Search, Source
from console.panes.messages import NoteItem
from console.panes.reel import Item
from console.panes.runs import run_state
from console.screens.act import refusal_of
from console.screens.base import DeskScreen
from console.screens.entry import EntryScreen
from console.views import LONGEST_NAME, name_of, trouble_of
from console.widgets.field import Field
from console.widgets.line import Lines, Part
from console.widgets.reel import ReelView

_STEP = 1_000
"""So many names are looked at before the loop has its turn: about a millisecond."""

_ITSELF = frozenset({"palette", "palette-too", "save-view"})
_SAVE = "save view as "
_SAVE_AS = re.compile(r"\s*save\s+view\s+as\s+(.*)", re.IGNORECASE | re.DOTALL)


class PaletteScreen(EntryScreen, ModalScreen[None]):
    """Lists what the screen `below` offers, and rows by their names; when it has closed, `chosen` is what was
    chosen, and `typed_after` what was typed behind that already.

    What acts hits what is `held`, which is what the cursor was on when the palette was opened, wherever it is by then.
    """

    # Only what leaves a text field is pressed here; both places have that.
    scope: ClassVar[Scope] = "panes"
    CSS = """
    PaletteScreen { align: center top; background: $background 60%; }
    PaletteScreen #box { width: 110; max-width: 100%; height: 80%; margin-top: 1; background: $panel; }
    PaletteScreen #bar { height: 1; background: $surface; }
    PaletteScreen #prompt { width: 3; background: $surface; }
    PaletteScreen #query { width: 1fr; height: 1; background: $surface; }
    PaletteScreen #told { background: $surface; }
    """
    AUTO_FOCUS: ClassVar[str | None] = "#query"

    def __init__(
        self, desk: Desk, below: DeskScreen, aimed: Aimed | str, text: str = "", *, passed_on: bool = False
    ) -> None:
        """`text` stands in the field already."""
        self._list = ReelView(desk.looks, id="entries", focus=False, filled=True)
        field = Field(
            text,
            placeholder="what to do, a pane, a session, a run, a user, a model",
            id="query",
            compact=True,
            select_on_focus=False,
        )
        super().__init__(desk, below.everywhere, field, self._list.step, passed_on=passed_on)
        self.chosen: Entry | None = None
        self.held = aimed
        self._below = below
        self._entries = [*_panes(desk, below), *_views(desk), *_actions(desk, below, aimed), *_removals(desk)]
        self._query = text
        self._finding = self._begin(text)
        self._moved = False
        """The operator has chosen among what is shown: better ones that come do not take the cursor away."""
        self._entered = False
        """Enter was pressed, and waits for the search to be over, or has chosen."""
        self.typed_after = ""
        self._going_on = False

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            with Horizontal(id="bar"):
                yield Lines(1, id="prompt")
                yield self._field
            yield self._list
            yield Lines(1, id="told")

    def on_mount(self) -> None:
        """All that can be done is listed until something is typed; the field has the focus by what is below."""
        self._show()

    def typed_behind(self, text: str) -> None:
        self._field.take(text)

    def pointed(self) -> Target | str:
        return "choose with the arrows, and enter"

    def restyle(self) -> None:
        self._list.redraw()

    # --------------------------------------------------------------------------------------- searching

    def _begin(self, query: str) -> Search:
        search = Search(query, [*self._entries, *self._saving(query)], _sources(self.desk.cores))
        _ = search.step(_STEP)
        return search

    def _saving(self, query: str) -> Iterator[Entry]:
        """Keeping what is shown as a view, under the name that is typed."""
        view = self._below.view()
        typed = _SAVE_AS.fullmatch(query)
        name = name_of(typed[1]) if typed is not None else ""
        if isinstance(view, str):
            if typed is not None:
                yield Entry("save", "", f"{_SAVE}{name}", refusal=view)
        elif not name:
            key = self.desk.keys.shown(BY_ID["save-view"])
            yield Entry("save", "", f"{_SAVE}…", f"keep what is shown: {view.text()}", key)
        elif len(name) > LONGEST_NAME:
            refusal = f"a name has no more than {LONGEST_NAME} characters"
            yield Entry("save", "", f"{_SAVE}{name}", refusal=refusal)
        else:
            instead = "instead of the one of that name: " if name in self.desk.kept.views else ""
            yield Entry("save", name, f"{_SAVE}{name}", f"{instead}{view.text()}")

    @on(Input.Changed, "#query")
    def _typed(self, event: Input.Changed) -> None:
        if self._entered:
            # typed behind enter: for what is opened by that
            self.typed_after = event.value.removeprefix(self._query)
        elif event.value != self._query:
            self._query, self._moved, self._entered = event.value, False, False
            self._finding = self._begin(event.value)
            self._show()
            if not self._finding.done and not self._going_on:
                self._going_on = True
                in_background(self, self._go_on, "search")

    async def _go_on(self) -> None:
        """Go on with the search, and with the one that takes its place when more is typed."""
        while not self._finding.step(_STEP):  # noqa: ASYNC110 - each round does a step of the work
            await asyncio.sleep(0)
        self._going_on = False
        self._show()
        if self._entered:
            self._choose()

    def _show(self) -> None:
        found = self._finding.found()
        items: list[Item] = [EntryItem(entry) for entry in found]
        if not items:
            what = "nothing here is called so" if self._finding.done else "looking …"
            items = [NoteItem("none", what, "dim")]
        if not self._moved:
            self._list.reel.cursor = None
        self._list.put(items, follow=False)
        if not self._moved:
            self._list.reel.home()
            self._list.redraw()
        self.desk.hurry()

    # ---------------------------------------------------------------------------------------- choosing

    @on(ReelView.Moved)
    def _chosen_another(self) -> None:
        self._moved = True
        self.desk.say("")

    @on(Input.Submitted, "#query")
    @on(ReelView.Opened)
    def _choose(self) -> None:
        self._entered = True
        if not self._finding.done:
            return
        item = self._list.reel.chosen
        self._entered = isinstance(item, EntryItem) and not item.entry.refusal
        if not isinstance(item, EntryItem):
            return
        if item.entry.refusal:
            self.desk.say(item.entry.refusal, "warn")
            return
        if item.entry.kind == "save" and not item.entry.id:
            self._entered = False
            self._field.value = _SAVE
            self._field.cursor_position = len(_SAVE)
            return
        self.chosen = item.entry
        self._close()

    # ----------------------------------------------------------------------------------------- drawing

    def draw(self) -> None:
        look = self.desk.looks.current
        self.query_one("#prompt", Lines).put(0, [Part(" : ", look.style("key"))])
        said = self.desk.answer()
        if said.text:
            left = [Part(f" {said.text}", look.style(said.tone))]
        else:
            left = [Part(" on ", look.style("dim")), Part(_subject(self.held), look.style("text"))]
        keys = [Part("↵", look.style("key")), Part(" choose  ", look.style("dim"))]
        keys += [Part("esc", look.style("key")), Part(" back ", look.style("dim"))]
        self.query_one("#told", Lines).put(0, left, keys)


def _subject(aimed: Aimed | str) -> str:
    """What acts hit."""
    if isinstance(aimed, str):
        return f"nothing: {aimed}"
    if aimed.marked:
        hidden = f", {aimed.hidden:,} of them hidden" if aimed.hidden else ""
        return f"all {len(aimed.targets):,} marked{hidden}"
    target = aimed.targets[0]
    run = f"run {target.run_id} of " if target.run_id is not None and target.run_id != target.label else ""
    where = f" on {target.instance}" if target.instance else ""
    return f"{run}{target.label}{where}"


def _actions(desk: Desk, below: DeskScreen, aimed: Aimed | str) -> Iterator[Entry]:
    """What looks comes first: who opens the palette and presses enter changes nothing."""
    here = offered(below.scope, acting=True, fresh=desk.fresh, several=desk.cores.several)
    panes = {pane.id for pane in PANES}
    listed = [each for each in here if each.id not in _ITSELF | panes and below.offers(each)]
    for action in sorted(listed, key=lambda each: each.acts):
        refusal = refusal_of(desk, action, aimed)
        yield Entry("action", action.id, action.label, action.help, desk.keys.shown(action), refusal)


def _panes(desk: Desk, below: DeskScreen) -> Iterator[Entry]:
    actions: dict[str, Action] = {action.id: action for action in offered(below.scope, acting=False)}
    for pane in PANES:
        action = actions.get(pane.id) if below.scope == "panes" else None
        key = desk.keys.shown(action) if action is not None else ""
        yield Entry("pane", pane.id, pane.title, action.help if action is not None else "", key)


def _views(desk: Desk) -> Iterator[Entry]:
    for name, view in desk.kept.views.items():
        yield Entry("view", name, name, view.text(), refusal=trouble_of(view, desk.models))


def _removals(desk: Desk) -> Iterator[Entry]:
    for name, view in desk.kept.views.items():
        yield Entry("remove", name, f"remove view {name}", view.text())


def _sources(cores: Cores) -> list[Source]:
    """Whatever is shown of these cores and has a name."""
    sources: list[Source] = []
    for core in cores:
        sources += [_sessions(core, cores.several), _runs(core, cores.several)]
    return [*sources, _users(cores), _models(cores)]


def _sessions(core: Attached, several: bool) -> Source:
    def names() -> Iterator[str | None]:
        rows = core.state.rows
        # copied: while one step waits for the next one, rows come and go
        yield from list(rows.sessions)
        yield from (None if key in rows.sessions else key for key in list(rows.pins))

    def entry(key: str) -> Entry:
        session = core.state.rows.sessions.get(key)
        run = core.state.rows.runs.get(session.run_id or "") if session is not None else None
        told = "not live" if session is None else "○ idle" if run is None else run_state(run).text
        project = f"  {session.project}" if session is not None and session.project else ""
        return Entry("session", key, key, f"{_on(core, several)}{told}{project}", core=core.number)

    return Source("session", names, entry)


def _runs(core: Attached, several: bool) -> Source:
    def entry(run_id: str) -> Entry:
        run = core.state.rows.runs.get(run_id)
        told = "gone" if run is None else f"{run_state(run).text}  {run.session_key}"
        return Entry("run", run_id, run_id, f"{_on(core, several)}{told}", core=core.number)

    return Source("run", lambda: list(core.state.rows.runs), entry)


def _users(cores: Cores) -> Source:
    def every() -> Iterator[str | None]:
        for core in cores:
            rows = core.state.rows
            yield from list(rows.seats)
            yield from (run.user_id for run in list(rows.runs.values()))
            yield from (key.key if key.scope == "user" else None for key in list(rows.costs))

    def entry(user_id: str) -> Entry:
        seats = (core.state.rows.seats.get(user_id) for core in cores)
        seat = next((seat for seat in seats if seat is not None), None)
        told = "" if seat is None else f"{'banned' if seat.banned else seat.state}, {seat.model}"
        return Entry("user", user_id, user_id, told)

    return Source("user", lambda: _once(every()), entry)


def _models(cores: Cores) -> Source:
    def every() -> Iterator[str]:
        for core in cores:
            yield from sorted(core.state.rows.models)

    def entry(model: str) -> Entry:
        queues = (core.state.rows.queues.get(model) for core in cores)
        queue = next((queue for queue in queues if queue is not None), None)
        told = "no queue" if queue is None else f"{units.count(queue.waiting)} waiting"
        return Entry("model", model, model, told)

    return Source("model", lambda: _once(every()), entry)


def _once(names: Iterable[str | None]) -> Iterator[str | None]:
    """Each name once; the others are none."""
    seen: set[str] = set()
    for name in names:
        if name is None or name in seen:
            yield None
        else:
            seen.add(name)
            yield name


def _on(core: Attached, several: bool) -> str:
    return f"{core.name}  " if several else ""
