"""What lies on the operator's desk: everything the screens share, made by the app and handed to each of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from console.acting import Acting
from console.actions import BY_ID, Target
from console.cores import Attached, Cores
from console.instances import INSTANCES
from console.keymap import Keymap
from console.look import Looks
from console.panes.catalog import PANES
from console.panes.columns import Arrangement
from console.panes.merged import RowOf, merged
from console.panes.model import PaneModel
from console.panes.pane import Pane
from console.panes.runs import abort_answer
from console.preferences import Layout
from console.state import Changed, ConsoleState
from console.views import Kept, change_kept

_FILTERS = 50
"""So many filters of a pane are remembered."""

ADDRESS = "http://127.0.0.1:8484"
# it breaks only inside the JSON, where a terminal that copies the blanks at a line's end does no harm
_CURL = (
    'curl -H content-type:application/json -d \'{{"model": "{model}",\n'
    '  "messages": [{{"role": "user", "content":\n'
    '  "hello"}}]}}\' {address}/v1/chat/completions'
)


def example_request(address: str, model: str) -> str:
    """Lines for a shell that send a first turn to the core at `address`."""
    return _CURL.format(address=address, model=model)


@dataclass(slots=True)
class Said:
    """The line that answers the operator's last key, until the next one."""

    text: str = ""
    tone: str = ""
    run_id: str | None = None
    """The run whose abort it tells of, step by step, once the core has acknowledged it."""
    core: int = 0
    """The core that it tells of."""
    while_lost: bool = False
    """It is so because of that core's link, and not any more when that is back."""


@dataclass(slots=True)
class Bulk:
    """An act on many that is under way."""

    what: str
    total: int
    done: int = 0
    refused: int = 0
    begun: bool = False
    stopped: bool = False
    """The operator wants no more of it."""

    def text(self) -> str:
        """How far it is."""
        return f"{self.what}: {self.done + self.refused:,} of {self.total:,} …"


@dataclass(slots=True)
class Exporting:
    """An export that is under way."""

    what: str
    rows: int
    done: int = 0
    stopped: bool = False
    """The operator does not want it any more."""

    def text(self) -> str:
        """How far it is."""
        return f"exporting {self.what}: {100 * self.done // self.rows} % …"


@dataclass(slots=True)
class Desk:
    """The cores, the hands, the keys and the looks of one console.

    `wake` asks for a frame, `hurry` for one at once, since a key was pressed. `leave` quits (True: at once), `restyle`
    draws everything in another theme. `play` leaves as `leave` does and has the sandbox opened instead; it is None
    where that would close somebody's house.
    """

    cores: Cores
    acting: Acting
    keys: Keymap
    looks: Looks
    wake: Callable[[], None]
    hurry: Callable[[], None]
    leave: Callable[[bool], None]
    restyle: Callable[[], None]
    play: Callable[[], None] | None = None
    folder: Path | None = None
    """Where files of this console are kept; None where nothing is."""
    title: str = "maitred"
    address: str = ADDRESS
    model: str = "auto"
    """The model that an example asks for."""
    said: Said = field(default_factory=Said)
    models: dict[str, PaneModel] = field(default_factory=dict)
    """By the pane's id."""
    filters: dict[str, list[str]] = field(default_factory=dict)
    """The filters that were kept, by the pane's id, the latest last."""
    columns: dict[str, Arrangement] = field(default_factory=dict)
    """The columns that were chosen, by the pane's id."""
    layout: Layout = "all"
    """What stands beside the tables."""
    kept: Kept = field(default_factory=Kept)
    """The views that have names, and the filters of earlier starts."""
    keeping: asyncio.Lock = field(default_factory=asyncio.Lock)
    """One after the other changes a file of what is kept."""
    bulk: Bulk | None = None
    exporting: Exporting | None = None
    watching: list[PaneModel] = field(default_factory=list)
    """Models beside those of the seven panes that want to know what changed."""

    def __post_init__(self) -> None:
        self.models = {pane.id: self.model_of(pane) for pane in PANES}
        self.filters = {pane: [*filters] for pane, filters in self.kept.filters.items()}
        if self.cores.several:
            model = self.models[INSTANCES.id] = PaneModel(INSTANCES, now=self.cores.now)
            model.show_columns(self.columns.get(INSTANCES.id, Arrangement()))

    def model_of(
        self,
        pane: Pane[Any, ConsoleState],
        only: Callable[[Any], bool] | None = None,
        *,
        of_core: int | None = None,
    ) -> PaneModel:
        """A model of this pane over all cores, or of one of them, with the rows that `only` lets through."""
        model = self._model_of(pane, only, of_core)
        model.show_columns(self.columns.get(pane.id, Arrangement()))
        return model

    def _model_of(
        self, pane: Pane[Any, ConsoleState], only: Callable[[Any], bool] | None, of_core: int | None
    ) -> PaneModel:
        if not self.cores.several:
            return PaneModel(pane, only=only, now=self.cores.now)

        def lets_through(placed: RowOf[Any]) -> bool:
            return of_core in (None, placed.core) and (only is None or only(placed.row))

        return PaneModel(merged(pane, self.cores), only=lets_through, now=self.cores.now)

    @property
    def drawn_from(self) -> Cores | ConsoleState:
        """What the panes draw from: the one state, or all cores."""
        return self.cores if self.cores.several else self.cores[0].state

    def keep_filter(self, pane_id: str, text: str) -> None:
        """Remember a filter, once, as the latest."""
        if text.strip():
            before = [each for each in self.filters.get(pane_id, []) if each != text]
            self.filters[pane_id] = [*before, text][-_FILTERS:]

    def show_columns(self, pane_id: str, arrangement: Arrangement) -> None:
        """Show these columns of the pane, wherever it is shown."""
        self.columns[pane_id] = arrangement
        for model in (*self.models.values(), *self.watching):
            if model.pane.id == pane_id:
                model.show_columns(arrangement)
        self.hurry()

    async def keep(self, change: Callable[[Kept], Kept]) -> None:
        """Change what is kept, here and in its file; told where that cannot be."""
        self.kept = change(self.kept)
        if self.folder is None:
            return
        async with self.keeping:
            trouble = await asyncio.to_thread(change_kept, self.folder, change)
        if trouble:
            self.say(f"that is so until this console is left: {trouble}", "warn")

    def core_of(self, target: Target) -> Attached:
        """The core that a command for this target goes to."""
        return self.cores[target.core]

    def say(
        self, text: str, tone: str = "", *, run_id: str | None = None, core: int = 0, while_lost: bool = False
    ) -> None:
        """Answer the operator in the status line; see `Said`."""
        self.said = Said(text, tone, run_id, core, while_lost)
        self.hurry()

    def answer(self) -> Said:
        """What the status line says now."""
        core = self.cores[self.said.core]
        if self.said.while_lost and core.feed.link == "live":
            return Said()
        walk = core.state.walks.by_run.get(self.said.run_id or "")
        if walk is None or self.said.run_id is None:
            return self.said
        text, tone = abort_answer(walk, self.said.run_id, core.now())
        return Said(text, tone)

    def next_theme(self) -> None:
        """Look another way, and say which."""
        look = self.looks.next()
        self.restyle()
        self.say(f"theme: {look.name}")

    def note(self) -> None:
        """Tell every pane what changed since the last time."""
        every = [*self.models.values(), *self.watching]
        for core in self.cores:
            changed = core.state.take_changed(core.now())
            for model in every:
                model.note(changed)
        if self.cores.several:
            # how old each core's word is changes by itself
            self.models[INSTANCES.id].note(Changed(everything=True))
        if self.cores.choose_speakers():
            for model in every:
                if model.pane.house_wide:
                    model.note(Changed(everything=True))

    def catch_up(self, model: PaneModel) -> None:
        """Bring one pane up to what is known now: a key may be pressed before the next frame."""
        self.note()
        model.catch_up(self.drawn_from)

    @property
    def fresh(self) -> bool:
        """Whether the house may be closed for the sandbox: it is ours, nothing is set up, and nobody has come yet."""
        return self.play is not None and self.cores.known and not self.cores[0].state.rows.count()

    @property
    def way_to_sandbox(self) -> str:
        """How somebody who has nothing to look at yet opens the sandbox."""
        return f"press {self.keys.shown(BY_ID['sandbox'])}" if self.fresh else "maitred sandbox"

    @property
    def curl(self) -> str:
        """How somebody who sees an empty pane fills it."""
        return example_request(self.address, self.model)

    @property
    def stale(self) -> bool:
        """Whether what is shown may no longer be so."""
        return self.cores.stale
