"""A screen closes itself, once, and never what lies under it."""

from __future__ import annotations

from textual.await_complete import AwaitComplete
from textual.screen import Screen, ScreenResultType


class ClosesOnce(Screen[ScreenResultType]):
    """For every screen that a key closes.

    Textual's own `dismiss` takes whatever screen is on top. A key that is pressed again before the first press was
    worked off comes here when this one is gone already, and would take the next one, down to an empty terminal.
    """

    def dismiss(self, result: ScreenResultType | None = None) -> AwaitComplete:
        return super().dismiss(result) if self.is_active else AwaitComplete()
