"""A screen with one text field that has the focus: whatever is typed is for it, from the first key on."""

from __future__ import annotations

from collections.abc import Callable

from textual import events, on

from console.background import in_background
from console.desk import Desk
from console.screens.base import DeskScreen, Everywhere, Handlers
from console.screens.typed import Typed
from console.widgets.field import ENTER, Field

_MOVES = ("up", "down", "pageup", "pagedown")


class EntryScreen(DeskScreen, Typed[None]):
    """With `passed_on` the screen below passes on what was typed there for this one, and says when that was all."""

    def __init__(
        self,
        desk: Desk,
        everywhere: Everywhere,
        field: Field,
        step: Callable[[str], bool],
        *,
        passed_on: bool = False,
    ) -> None:
        """What moves goes to `step`, which answers whether it has; the field has all other keys."""
        super().__init__(desk, everywhere)
        self._field = field
        self._field.hold()
        self._step = step
        self._early: tuple[list[str], list[str]] = ([], [])
        """What was typed while the screen was made: given to the one below, and given to this one."""
        self._awaited = {"below", "here"} if passed_on else {"here"}

    def on_mount(self) -> None:
        """What was typed while the screen was made comes first, whatever has the focus by then."""
        self.desk.say("")
        self.set_focus(self._field)
        self.post_message(Field.Reached())

    def handlers(self) -> Handlers:
        return {"back": self._close}

    @property
    def typing(self) -> bool:
        # from the first key on: one that was meant for the field must not act on anything
        return True

    def typed_late(self, character: str) -> None:
        self._early[1].append(character)

    def typed_below(self, event: events.Key) -> None:
        if event.key == "escape":
            self._close()
        elif event.key == "enter":
            self._early[0].append(ENTER)
        elif event.is_printable and event.character is not None:
            self._early[0].append(event.character)

    def all_typed_below(self) -> None:
        in_background(self, lambda: self._arrived("below"), "typed")

    @on(Field.Reached)
    async def _reached(self) -> None:
        await self._arrived("here")

    async def _arrived(self, part: str) -> None:
        self._awaited.discard(part)
        if not self._awaited:
            behind = await self._field.release("".join((*self._early[0], *self._early[1])))
            if behind:
                self.typed_behind(behind)

    def typed_behind(self, text: str) -> None:
        """What was typed behind the enter key, before the field had the focus."""

    def on_key(self, event: events.Key) -> None:
        """What moves, moves in the list; the field has all other keys."""
        if event.key in _MOVES and self._step(event.key):
            event.stop()
            event.prevent_default()
            return
        super().on_key(event)

    def _close(self) -> None:
        self.desk.say("")
        _ = self.dismiss(None)
