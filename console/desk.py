"""What lies on the operator's desk: everything the screens share, made by the app and handed to each of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from console.acting import Acting
from console.actions import BY_ID
from console.feed import Feed
from console.keymap import Keymap
from console.look import Looks
from console.panes.catalog import PANES
from console.panes.model import PaneModel
from console.panes.runs import abort_answer
from console.state import Changed, ConsoleState

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


@dataclass(slots=True)
class Desk:
    """The state, the link, the hands, the keys and the looks of one console.

    `wake` asks for a frame, `leave` quits (True: at once), `restyle` draws everything in another theme. `play` leaves
    as `leave` does and has the sandbox opened instead; it is None where that would close somebody's house.
    """

    state: ConsoleState
    feed: Feed
    acting: Acting
    keys: Keymap
    looks: Looks
    wake: Callable[[], None]
    leave: Callable[[bool], None]
    restyle: Callable[[], None]
    play: Callable[[], None] | None = None
    title: str = "maitred"
    address: str = ADDRESS
    model: str = "auto"
    """The model that an example asks for."""
    said: Said = field(default_factory=Said)
    models: dict[str, PaneModel] = field(default_factory=lambda: {pane.id: PaneModel(pane) for pane in PANES})
    watching: list[PaneModel] = field(default_factory=list)
    """Models beside those of the seven panes that want to know what changed."""

    def say(self, text: str, tone: str = "", *, run_id: str | None = None) -> None:
        """Answer the operator in the status line; see `Said`."""
        self.said = Said(text, tone, run_id)
        self.wake()

    def answer(self) -> Said:
        """What the status line says now."""
        walk = self.state.walks.by_run.get(self.said.run_id or "")
        if walk is None or self.said.run_id is None:
            return self.said
        text, tone = abort_answer(walk, self.said.run_id, self.feed.now())
        return Said(text, tone)

    def next_theme(self) -> None:
        """Look another way, and say which."""
        look = self.looks.next()
        self.restyle()
        self.say(f"theme: {look.name}")

    def note(self, changed: Changed) -> None:
        """Tell every pane what changed."""
        for model in self.models.values():
            model.note(changed)
        for model in self.watching:
            model.note(changed)

    def catch_up(self, model: PaneModel) -> None:
        """Bring one pane up to what is known now: a key may be pressed before the next frame."""
        self.note(self.state.take_changed(self.feed.now()))
        model.catch_up(self.state)

    @property
    def fresh(self) -> bool:
        """Whether the house may be closed for the sandbox: it is ours, nothing is set up, and nobody has come yet."""
        return self.play is not None and self.state.head is not None and not self.state.rows.count()

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
        return self.feed.link in ("lost", "connecting") and self.state.head is not None
