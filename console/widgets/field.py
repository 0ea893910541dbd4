"""A text field that a key opens, and that gets all that is typed after that key, in order."""

from __future__ import annotations

from textual import events
from textual.message import Message
from textual.widgets import Input

ENTER = "\n"
"""How the enter key stands among what was typed."""


class Field(Input):
    """A field for keys that come faster than the focus moves, as over a slow line or on a busy machine.

    The first ones after the key that opens it are given to the widget that had the focus, and come out of it when the
    next ones have reached the field. So the field is told to `hold` those, and the screen types in what comes out
    with `take`, until `Field.Reached`, which was sent the same way behind it, says `release`.
    """

    class Reached(Message):
        """Nothing that was pressed before the field had the focus is on its way any more."""

    _held: list[str] | None = None

    def hold(self) -> None:
        """Keep back what is typed from now on."""
        self._held = []

    def take(self, text: str) -> None:
        """Type this."""
        self.insert_text_at_cursor(text)

    async def release(self, early: str = "") -> str:
        """Take over what came `early` and then what was kept back, and keep nothing back any more.

        Where the enter key is among it, that is pressed, and what was typed behind it is answered.
        """
        text, enter, behind = f"{early}{''.join(self._held or ())}".partition(ENTER)
        self._held = None
        self.take(text)
        if enter:
            await self.action_submit()
        return behind.replace(ENTER, "")

    async def on_key(self, event: events.Key) -> None:
        """Keep it back if that is asked for; other keys than those that type or submit go their way."""
        if not (event.is_printable or event.key == "enter"):
            return
        if self._held is None:
            if event.key == "enter":
                # as a binding it would be worked off behind what was typed after it
                event.stop()
                event.prevent_default()
                await self.action_submit()
            return
        self._held.append(ENTER if event.key == "enter" else event.character or "")
        event.stop()
        event.prevent_default()
