"""The question before something is lost. Cancel has the focus, Escape cancels, and many targets must be counted out."""

from __future__ import annotations

from dataclasses import dataclass

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label

from console.screens.closing import ClosesOnce
from console.screens.typed import Typed
from console.text import neutral

_EARLY_SECONDS = 0.15
"""What would be lost is mostly told sooner: nothing is shown before that, so that nothing flickers."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. With `reason`, one may be given."""

    title: str
    verb: str
    reason: str | None = None
    cancel: str = "Cancel"


@dataclass(frozen=True, slots=True)
class Stake:
    """What would be lost, in lines. With `number`, exactly that number must be typed."""

    losses: list[str]
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Yes; no is None."""

    reason: str


class AskScreen(ClosesOnce[Answer | None], Typed[Answer | None], ModalScreen[Answer | None]):
    """Answers an `Answer` when the operator chose the verb, else None.

    It opens with the key that asks for it, and is told the stake when that is known. Before that it can be left and
    no more: Escape and Cancel do so, and any other key is no answer.
    """

    CSS = """
    AskScreen { align: center middle; background: $background 60%; }
    AskScreen.-early { background: transparent; }
    AskScreen.-early #box { display: none; }
    #box { width: 70; max-width: 96%; height: auto; padding: 1 2; background: $panel; border-left: thick $warning; }
    #box Label { width: 100%; }
    #title { text-style: bold; margin-bottom: 1; }
    #buttons { height: 1; margin-top: 1; align-horizontal: right; }
    #buttons Button { margin-left: 2; min-width: 1; }
    #box Input { margin-top: 1; }
    #box Input:focus { background-tint: transparent; }
    #wrong { color: $warning; display: none; }
    """

    def __init__(self, question: Question, stake: Stake | None = None) -> None:
        super().__init__(classes=None if stake is not None else "-early")
        self._question = question
        self._stake = stake
        self._standing = self._given_up = False

    def compose(self) -> ComposeResult:
        question = self._question
        with Vertical(id="box"):
            yield Label(neutral(question.title, 300), id="title", markup=False)
            yield Label("asking what would be lost …", id="losses", markup=False)
            yield Input(id="number", compact=True)
            yield Label("", id="wrong", markup=False)
            if question.reason is not None:
                yield Input(placeholder=f"reason (else: {question.reason})", id="reason", compact=True)
            with Horizontal(id="buttons"):
                yield Button(question.cancel, id="cancel", compact=True)
                yield Button(question.verb, id="go", variant="error", compact=True)

    def on_mount(self) -> None:
        """Nothing can be consented to before it is known what it costs."""
        self._standing = True
        self.query_one("#number").display = False
        if self._given_up:
            _ = self.dismiss(None)
        elif self._stake is not None:
            self._show(self._stake)
        else:
            for widget in self.query("#reason, #go"):
                widget.disabled = True
            _ = self.set_timer(_EARLY_SECONDS, self._appear)

    def tell(self, stake: Stake) -> None:
        """This would be lost: from now on there can be an answer."""
        self._stake = stake
        if self._standing:
            self._show(stake)

    def give_up(self) -> None:
        """There is nothing to ask: it closes as if it was cancelled."""
        self._given_up = True
        if self._standing:
            _ = self.dismiss(None)

    def typed_below(self, event: events.Key) -> None:
        if event.key == "escape":
            self.give_up()

    def all_typed_below(self) -> None:
        """What else was typed before the question could be read has been no answer."""

    def _appear(self) -> None:
        if self.has_class("-early"):
            self.remove_class("-early")
            self.query_one("#cancel").focus()

    def _show(self, stake: Stake) -> None:
        """What is safe has the focus."""
        self.remove_class("-early")
        self.query_one("#losses", Label).update("\n".join(neutral(line, 400) for line in stake.losses))
        for widget in self.query("#reason, #go"):
            widget.disabled = False
        number = self.query_one("#number", Input)
        if stake.number is not None:
            number.placeholder = f"type {stake.number} to go on"
            number.display = True
        (number if stake.number is not None else self.query_one("#cancel")).focus()

    def on_key(self, event: events.Key) -> None:
        """Arrows go from button to button, Escape cancels."""
        match event.key:
            case "escape":
                event.stop()
                _ = self.dismiss(None)
            case "left" | "up" if not isinstance(self.focused, Input):
                event.stop()
                self.focus_previous()
            case "right" | "down" if not isinstance(self.focused, Input):
                event.stop()
                self.focus_next()
            case _:
                pass

    @on(Button.Pressed, "#cancel")
    def _cancel(self) -> None:
        _ = self.dismiss(None)

    @on(Button.Pressed, "#go")
    def _pressed(self) -> None:
        self._go()

    @on(Input.Submitted, "#number")
    def _typed(self) -> None:
        self._go()

    @on(Input.Submitted, "#reason")
    def _reasoned(self) -> None:
        # a reason is no consent: the button that loses work is chosen by itself
        self.query_one("#go").focus()

    def _go(self) -> None:
        if self._stake is None:
            return
        number = self._stake.number
        if number is not None:
            typed = self.query_one("#number", Input).value.strip()
            if typed != str(number):
                wrong = self.query_one("#wrong", Label)
                wrong.update(f"that is not {number}: nothing was done")
                wrong.display = True
                return
        reason = self.query_one("#reason", Input).value.strip() if self._question.reason is not None else ""
        _ = self.dismiss(Answer(neutral(reason, 500)))
