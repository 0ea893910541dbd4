"""What can be done here: made from the action table for the place that help was asked in."""

from __future__ import annotations

from itertools import groupby

from textual import events
from textual.app import ComposeResult
from textual.screen import ModalScreen

from console.actions import Scope, offered
from console.desk import Desk
from console.screens.closing import ClosesOnce
from console.widgets.log import Log, Paragraph

_MOVES = (
    ("↑ ↓", "one row; page up and page down by pages, home and end to the ends"),
    ("tab", "the next part of the screen that takes keys"),
)


class HelpScreen(ClosesOnce[None], ModalScreen[None]):
    """A list that scrolls; any of the keys that leave closes it."""

    CSS = """
    HelpScreen { align: center middle; background: $background 60%; }
    HelpScreen Log { width: 76; max-width: 96%; height: 90%; background: $panel; padding: 1 1; }
    """

    def __init__(self, desk: Desk, scope: Scope) -> None:
        super().__init__()
        self._desk = desk
        self._scope = scope

    def compose(self) -> ComposeResult:
        log = Log(self._desk.looks)
        log.put(self.paragraphs(), from_top=True)
        yield log

    def on_mount(self) -> None:
        """The list takes the keys that move."""
        self.query_one(Log).focus()

    def paragraphs(self) -> list[Paragraph]:
        """The text, one key a paragraph."""
        acting = self._desk.acting
        place = "a session" if self._scope == "session" else "the panes"
        shown = [Paragraph("", f"Keys in {place}. Lowercase looks; uppercase acts on the core.", "strong")]
        shown.append(Paragraph("", "esc closes this; arrows and pages scroll.", "dim"))
        if not acting.armed:
            state = "read-only" if acting.read_only else "disarmed: ! arms"
            shown.append(Paragraph("", f"Keys that act are not listed: this console is {state}.", "warn"))
        here = offered(
            self._scope, acting=acting.armed, fresh=self._desk.fresh, several=self._desk.cores.several
        )
        listed = [action for action in here if not (acting.read_only and action.id == "arm")]
        actions = sorted(listed, key=lambda action: action.group)
        for group, members in groupby(actions, key=lambda action: action.group):
            shown += [Paragraph("", ""), Paragraph("", group, "accent")]
            for action in members:
                keys = self._desk.keys.shown(action)
                shown.append(Paragraph(f"{keys:>7}  {action.label:<11}", action.help))
        shown += [Paragraph("", ""), Paragraph("", "Moving", "accent")]
        shown += [Paragraph(f"{keys:>7}  {'':<11}", text) for keys, text in _MOVES]
        return shown

    def on_key(self, event: events.Key) -> None:
        """Escape, q and ? close."""
        if event.key in ("escape", "q", "question_mark", "enter"):
            event.stop()
            _ = self.dismiss(None)
