"""A short list to choose from, before a key acts: a letter for each choice, Escape for none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Button, Label

from console.screens.closing import ClosesOnce
from console.screens.typed import Typed
from console.text import neutral


@dataclass(frozen=True, slots=True)
class Choice:
    """One line: its id, the letter that chooses it, and what it says. `safe` ones can be taken back."""

    id: str
    key: str
    label: str
    safe: bool = False


class Menu(ClosesOnce[str | None], Typed[str | None], ModalScreen[str | None]):
    """Answers the id of what was chosen, or None. `facts` are told above the choices."""

    CSS = """
    Menu { align: center middle; background: $background 60%; }
    #box { width: 64; max-width: 96%; height: auto; padding: 1 2; background: $panel; border-left: thick $accent;
           max-height: 100%; overflow-y: auto; scrollbar-size-vertical: 1; }
    #box Label { width: 100%; }
    #title { text-style: bold; margin-bottom: 1; }
    #box Button { width: 100%; content-align: left middle; text-align: left; }
    """

    def __init__(self, title: str, facts: Sequence[str], choices: Sequence[Choice]) -> None:
        super().__init__()
        self._early: list[tuple[str, str | None]] = []
        """Keys that were given to the screen below, until that has no more of them and this one stands."""
        self._all_early = False
        self._title = title
        self._facts = facts
        self.choices = tuple(choices)

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield Label(neutral(self._title, 300), id="title", markup=False)
            for fact in self._facts:
                yield Label(neutral(fact, 300), markup=False)
            if self._facts:
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
        self._work_off()

    def typed_below(self, event: events.Key) -> None:
        self._early.append((event.key, event.character))

    def all_typed_below(self) -> None:
        self._all_early = True
        self._work_off()

    def _work_off(self) -> None:
        if not self._all_early or self.focused is None:
            return
        early, self._early = self._early, []
        for key, character in early:
            if self.is_active and not self._press(key, character) and key == "enter":
                _ = self.dismiss(self._chosen_by(self.focused))

    def on_key(self, event: events.Key) -> None:
        """A letter chooses, arrows move, Escape cancels."""
        if self._press(event.key, event.character):
            event.stop()

    def _press(self, key: str, character: str | None) -> bool:
        """Do what a key does; False when it does nothing here."""
        letter = (character or "").lower()
        match key:
            case "escape" | "q":
                _ = self.dismiss(None)
            case "up":
                self.focus_previous()
            case "down":
                self.focus_next()
            case _:
                chosen = next((choice for choice in self.choices if choice.key == letter), None)
                if chosen is None:
                    return False
                _ = self.dismiss(chosen.id)
        return True

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        _ = self.dismiss(self._chosen_by(event.button))

    def _chosen_by(self, button: Widget | None) -> str | None:
        return next((choice.id for choice in self.choices if button and choice.id == button.id), None)
