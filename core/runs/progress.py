"""Figures that move all the time, told four times a second and only while they move."""

from __future__ import annotations

from collections.abc import Callable

from core.clock import Clock, Timer

EVERY_SECONDS = 0.25


class Pace:
    """Collects the ids of runs that moved; `tell` gets them, each once, `EVERY_SECONDS` after the first."""

    __slots__ = ("_clock", "_moved", "_stopped", "_tell", "_timer")

    def __init__(self, clock: Clock, tell: Callable[[list[str]], None]) -> None:
        self._clock = clock
        self._tell = tell
        self._moved: dict[str, None] = {}
        self._timer: Timer | None = None
        self._stopped = False

    def moved(self, run_id: str) -> None:
        """A run has other figures than were told last."""
        if run_id not in self._moved and not self._stopped:
            self._moved[run_id] = None
            if self._timer is None:
                self._timer = self._clock.call_later(EVERY_SECONDS, self._due)

    def told(self, run_id: str) -> None:
        """The run's latest figures went out another way, or the run is gone."""
        self._moved.pop(run_id, None)

    def stop(self) -> None:
        """Tell nothing more, whatever moves."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._moved.clear()

    def _due(self) -> None:
        self._timer = None
        moved, self._moved = self._moved, {}
        if moved:
            self._tell(list(moved))
