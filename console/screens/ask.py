"""The question before something is lost. Cancel has the focus, Escape cancels, and many targets must be counted out."""

from __future__ import annotations

from dataclasses import dataclass

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label

from console.screens.closing import ClosesOnce
from console.text import neutral


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. With `number`, exactly that number must be typed; with `reason`, one may be given."""

    title: str
    losses: list[str]
    verb: str
    number: int | None = None
    reason: str | None = None
    cancel: str = "Cancel"


@dataclass(frozen=True, slots=True)
class Answer:
    """Yes; no is None."""

    reason: str


class AskScreen(ClosesOnce[Answer | None], ModalScreen[Answer | None]):
    """Answers an `Answer` when the operator chose the verb, else None."""

    CSS = """
    AskScreen { align: center middle; background: $background 60%; }
    #box { width: 70; max-width: 96%; height: auto; padding: 1 2; background: $panel; border-left: thick $warning; }
    #box Label { width: 100%; }
    #title { text-style: bold; margin-bottom: 1; }
    #buttons { height: 1; margin-top: 1; align-horizontal: right; }
    #buttons Button { margin-left: 2; min-width: 1; }
    #box Input { margin-top: 1; }
    #box Input:focus { background-tint: transparent; }
    #wrong { color: $warning; display: none; }
    """

    def __init__(self, question: Question) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        question = self._question
        with Vertical(id="box"):
            yield Label(neutral(question.title, 300), id="title", markup=False)
            for line in question.losses:
                yield Label(neutral(line, 400), markup=False)
            if question.number is not None:
                yield Input(placeholder=f"type {question.number} to go on", id="number", compact=True)
                yield Label("", id="wrong", markup=False)
            if question.reason is not None:
                yield Input(placeholder=f"reason (else: {question.reason})", id="reason", compact=True)
            with Horizontal(id="buttons"):
                yield Button(question.cancel, id="cancel", compact=True)
                yield Button(question.verb, id="go", variant="error", compact=True)

    def on_mount(self) -> None:
        """What is safe has the focus."""
        self.query_one("#cancel" if self._question.number is None else "#number").focus()

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
        number = self._question.number
        if number is not None:
            typed = self.query_one("#number", Input).value.strip()
            if typed != str(number):
                wrong = self.query_one("#wrong", Label)
                wrong.update(f"that is not {number}: nothing was done")
                wrong.display = True
                return
        reason = self.query_one("#reason", Input).value.strip() if self._question.reason is not None else ""
        _ = self.dismiss(Answer(neutral(reason, 500)))
