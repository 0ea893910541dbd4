"""What the keys that move, move in: a table, a long text, a list of messages."""

from __future__ import annotations

from abc import abstractmethod

from textual import events
from textual.widget import Widget


class Moving(Widget):
    """A widget with a place that keys change. A screen that has keys of its own leads it.

    Keys come to what has the focus first, and to the screen behind all others that wait there. Would it move at once,
    a key that was pressed before would be worked off after, and hit another row than it was pressed on.
    """

    led: bool = False
    """Whether the screen calls `step`, in the order in which keys were pressed."""

    @abstractmethod
    def step(self, key: str) -> bool:
        """Do what a key that moves does; False when it is none."""

    def on_key(self, event: events.Key) -> None:
        """Move, where no screen leads."""
        if not self.led and self.step(event.key):
            event.stop()
