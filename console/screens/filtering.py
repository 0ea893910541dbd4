"""The line in which a pane's filter is typed: tab completes it, its fault is pointed at, the arrows bring earlier ones.

What is typed is in force at once; what is faulty leaves the one before in force.
"""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input

from console.background import in_background
from console.desk import Desk
from console.panes.completion import Completion, complete
from console.panes.model import PaneModel
from console.text import width
from console.views import with_filter
from console.widgets.field import Field
from console.widgets.line import Lines, Part

_LOOKED_AT = 500
"""So many rows are looked at for values that a filter may ask for."""

_BEFORE_FAULT = 12
"""So much of a long filter is shown before what is wrong with it."""

_PROMPT = " / "


class FilterBar(Horizontal):
    """Hidden until it is opened for a model; `Kept` tells that the operator is done with it."""

    DEFAULT_CSS = """
    FilterBar { height: 1; background: $surface; display: none; }
    FilterBar #prompt { width: 3; background: $surface; }
    FilterBar #filter { width: 1fr; height: 1; background: $surface; }
    """

    class Kept(Message):
        """The filter stays as it is, and the keys are the pane's again."""

    def __init__(self, desk: Desk, model: PaneModel) -> None:
        super().__init__(id="bar")
        self._desk = desk
        self._model = model
        self._field = Field(
            placeholder="words, column:word, cost>1, -word, a OR b",
            id="filter",
            compact=True,
            select_on_focus=False,
        )
        self._completing: tuple[int, tuple[str, ...]] | None = None
        """Where the word begins that tab walks through, and what it may be; none while one types."""
        self._option = 0
        self._filled: str | None = None
        self._recalled = 0
        """How many filters back one has gone."""
        self._unsent = ""

    def compose(self) -> ComposeResult:
        yield Lines(1, id="prompt")
        yield self._field

    @property
    def is_open(self) -> bool:
        """Whether a filter is being typed."""
        return bool(self.display)

    def open(self, model: PaneModel) -> None:
        """Begin with the filter of this model; keys are held until `reached`."""
        self._model = model
        self.display = True
        self._field.value = model.filter
        self._field.cursor_position = len(self._field.value)
        self._completing = self._filled = None
        self._recalled = 0
        self._field.hold()
        self.screen.set_focus(self._field)

    def shut(self) -> None:
        """Hide it; of a faulty filter nothing is left."""
        if self._model.fault is not None:
            self._model.filter_by(self._model.in_force)
        self.display = False

    async def reached(self) -> None:
        """All that was typed before the field had the focus has come."""
        await self._field.release()

    def take(self, character: str) -> None:
        """A character that was typed before the field had the focus."""
        self._field.take(character)

    def step(self, key: str) -> bool:
        """Tab completes, up and down bring earlier filters back; whether the key was one of these."""
        match key:
            case "up":
                self._recall(1)
            case "down":
                self._recall(-1)
            case "tab":
                self._complete(1)
            case "shift+tab":
                self._complete(-1)
            case _:
                return False
        return True

    def draw(self) -> None:
        """Its sign, in the colours of the theme."""
        self.query_one("#prompt", Lines).put(0, [Part(_PROMPT, self._desk.looks.current.style("key"))])

    def hint(self) -> list[Part]:
        """What is wrong and where, or what the word may become; to stand below the field."""
        look, fault, field = self._desk.looks.current, self._model.fault, self._field
        if fault is not None:
            # the field scrolls with a long text; the mark stands below the character wherever that is
            at = width(_PROMPT) + width(field.value[: fault.at]) - field.scroll_offset.x
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

    def _options(self) -> Completion:
        """What the word at the cursor may become."""
        field, model = self._field, self._model
        now = self._desk.cores.now()
        return complete(model.pane, field.value, field.cursor_position, model.some(_LOOKED_AT), now)

    def _complete(self, by: int) -> None:
        """Put the next option in the word's place; where it began, and what there was, is known until one types."""
        field = self._field
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
        earlier = self._desk.filters.get(self._model.pane.id, [])
        place = self._recalled + by
        if 0 <= place <= len(earlier):
            if self._recalled == 0:
                self._unsent = self._field.value
            self._recalled = place
            self._field.value = earlier[-place] if place else self._unsent
            self._field.cursor_position = len(self._field.value)

    @on(Input.Changed, "#filter")
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        if event.value != self._filled:
            self._completing = self._filled = None
        if self.is_open and event.value != self._model.filter:
            self._model.filter_by(event.value)
            self._desk.hurry()

    @on(Input.Submitted, "#filter")
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if self._model.fault is not None:
            self._desk.hurry()  # it stays open until it can be used
            return
        pane_id, text = self._model.pane.id, self._model.filter
        self._desk.keep_filter(pane_id, text)
        in_background(self, lambda: self._desk.keep(lambda kept: with_filter(kept, pane_id, text)), "keep")
        self.post_message(self.Kept())
