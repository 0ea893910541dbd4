"""A screen that is opened by a key and typed into at once gets all that is typed after that key, in order.

Keys that come fast are given to the screen below before the one above is there: what a terminal sends at once is in
its queue already. So the screen below passes them on, until `Passed`, which was sent the same way behind them, says
that these were all.
"""

from __future__ import annotations

from abc import abstractmethod

from textual import events
from textual.message import Message
from textual.screen import Screen, ScreenResultType


class Passed(Message):
    """Comes behind all keys that were pressed here before a screen that is typed into was opened above."""


class Typed(Screen[ScreenResultType]):
    """A screen that one types into at once: the one below gives it the keys that came too early for it."""

    @abstractmethod
    def typed_below(self, event: events.Key) -> None:
        """A key that was pressed for this screen, and was given to the one below."""

    @abstractmethod
    def all_typed_below(self) -> None:
        """There are no more of these."""
