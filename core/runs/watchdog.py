"""One timer for the silence of a run, however many events it has (behaviours/runs.md, decision 8)."""

from __future__ import annotations

from collections.abc import Callable

from core.clock import Clock, Timer
from core.runs.run import Run


class Watchdog:
    """Calls `on_silence` when nothing came from the run for that many seconds, once for each `start`.

    An event costs nothing: the timer looks at when the last one came and waits for the rest.
    """

    __slots__ = ("_clock", "_limit_ms", "_on_silence", "_run", "_timer")

    def __init__(self, clock: Clock, run: Run, seconds: float, on_silence: Callable[[Run], None]) -> None:
        self._clock = clock
        self._run = run
        self._limit_ms = max(1, round(seconds * 1000))
        self._on_silence = on_silence
        self._timer: Timer | None = None

    def start(self) -> None:
        """Watch from the run's last event on."""
        self.stop()
        self._look()

    def stop(self) -> None:
        """Watch no longer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        left = self._limit_ms - self._run.silent_ms(self._clock.monotonic())
        if left > 0:
            self._timer = self._clock.call_later(left / 1000, self._look)
        else:
            self._on_silence(self._run)
