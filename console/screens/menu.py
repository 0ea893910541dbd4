"""A short list to choose from, before a key acts: a letter for each choice, Escape for none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Label

from console.screens.closing import ClosesOnce
from console.text import neutral


@dataclass(frozen=True, slots=True)
class Choice:
    """One line: its id, the letter that chooses it, and what it says. `safe` ones can be taken back."""

    id: str
    key: str
    label: str
    safe: bool = False


class Menu(ClosesOnce[str | None], ModalScreen[str | None]):
    """Answers the id of what was chosen, or None. `facts` are told above the choices."""

    CSS = """
    Menu { align: center middle; background: $background 60%; }
    #box { width: 64; max-width: 96%; height: auto; padding: 1 2; background: $panel; border-left: thick $accent; }
    #box Label { width: 100%; }
    #title { text-style: bold; margin-bottom: 1; }
    #box Button { width: 100%; content-align: left middle; text-align: left; }
    """

    def __init__(self, title: str, facts: Sequence[str], choices: Sequence[Choice]) -> None:
        super().__init__()
        self._title = title
        self._facts = facts
        self.choices = tuple(choices)

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield Label(neutral(self._title, 300), id="title", markup=False)
            for fact in self._facts:
                yield Label(neutral(fact, 300), markup=False)
            yield Label("")
            labels = [(choice.id, f"{choice.key}  {choice.label}") for choice in self.choices]
            labels.append(("cancel", "esc  cancel"))
            # as wide as one another, so that the one with the focus stands out the same everywhere
            widest = max(len(label) for _, label in labels)
            for name, label in labels:
                yield Button(f"{neutral(label, 60):<{widest}}", id=name, compact=True)

    def on_mount(self) -> None:
        """The first choice has the focus when it can be taken back, else Cancel."""
        first = self.choices[0] if self.choices else None
        self.query_one(f"#{first.id}" if first is not None and first.safe else "#cancel").focus()

    def on_key(self, event: events.Key) -> None:
        """A letter chooses, arrows move, Escape cancels."""
        letter = (event.character or "").lower()
        match event.key:
            case "escape" | "q":
                event.stop()
                _ = self.dismiss(None)
            case "up":
                event.stop()
                self.focus_previous()
            case "down":
                event.stop()
                self.focus_next()
            case _:
                for choice in self.choices:
                    if choice.key == letter:
                        event.stop()
                        _ = self.dismiss(choice.id)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        chosen = [choice.id for choice in self.choices if choice.id == event.button.id]
        _ = self.dismiss(chosen[0] if chosen else None)
