"""What to mark dirty: one session, its project, all, or take a mark back."""

from __future__ import annotations

from typing import Literal

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Label

from console.actions import Target
from console.text import neutral

Choice = Literal["session", "project", "all", "clear"]

_KEYS: dict[str, Choice] = {"o": "session", "p": "project", "a": "all", "c": "clear"}


class DirtyMenu(ModalScreen[Choice | None]):
    """Answers what was chosen, or None. What cannot be done here is not offered."""

    CSS = """
    DirtyMenu { align: center middle; background: $background 60%; }
    #box { width: 64; max-width: 96%; height: auto; padding: 1 2; background: $panel; border-left: thick $accent; }
    #box Label { width: 100%; }
    #title { text-style: bold; margin-bottom: 1; }
    #box Button { width: 100%; content-align: left middle; text-align: left; }
    """

    def __init__(self, target: Target) -> None:
        super().__init__()
        self._target = target

    def choices(self) -> list[tuple[Choice, str]]:
        """What is offered for this target, with its label."""
        target = self._target
        offered: list[tuple[Choice, str]] = []
        live = target.session_key is not None and target.generation is not None
        if live:
            offered.append(("session", "o  one: this session, at once"))
        if target.project is not None:
            offered.append(("project", "p  project: every session of it, asks first"))
        offered.append(("all", "a  all sessions, asks first"))
        if live and target.dirty:
            offered.append(("clear", "c  clear: take the mark back"))
        return offered

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield Label("Rebuild at the next use:", id="title")
            yield Label(neutral(f"session  {self._target.session_key or '–'}", 300), markup=False)
            yield Label(neutral(f"project  {self._target.project or '–'}", 300), markup=False)
            yield Label("")
            choices = [*self.choices(), ("cancel", "esc  cancel")]
            # as wide as one another, so that the one with the focus stands out the same everywhere
            widest = max(len(label) for _, label in choices)
            for name, label in choices:
                yield Button(f"{label:<{widest}}", id=name, compact=True)

    def on_mount(self) -> None:
        """The first choice has the focus when it can be undone, else Cancel."""
        first = self.choices()[0][0]
        self.query_one("#session" if first == "session" else "#cancel").focus()

    def on_key(self, event: events.Key) -> None:
        """A letter chooses, arrows move, Escape cancels."""
        choice = _KEYS.get((event.character or "").lower())
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
            case _ if choice is not None and any(choice == offered for offered, _ in self.choices()):
                event.stop()
                _ = self.dismiss(choice)
            case _:
                pass

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        for choice, _ in self.choices():
            if event.button.id == choice:
                _ = self.dismiss(choice)
                return
        _ = self.dismiss(None)
