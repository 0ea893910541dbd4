"""The time. This is the only file that asks for it.

Rules take ``now`` as an argument; services hold a `Clock`. Wall time is whole milliseconds since 1970 (UTC),
monotonic time is seconds. Timeouts of sockets and of the screen are real time and do not belong here.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Timer(Protocol):
    """Something that will happen, unless it is cancelled."""

    def cancel(self) -> None:
        """Do not let it happen; cancelling twice, or too late, does nothing."""


class Clock(Protocol):
    """What a service may know about time."""

    def now(self) -> int:
        """Wall time in milliseconds since 1970-01-01T00:00Z."""

    def monotonic(self) -> float:
        """Seconds that only ever go forward."""

    async def sleep(self, seconds: float) -> None:
        """Wait that long."""

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` on the running loop after that many seconds."""


class SystemClock:
    """The machine's own time."""

    def now(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        return asyncio.get_running_loop().call_later(seconds, callback)


class ScaledClock:
    """Time that runs `speed` times as fast, for the sandbox: rules and scripts, never sockets or the screen."""

    def __init__(self, speed: float, inner: Clock | None = None) -> None:
        self._speed = speed
        self._inner = inner or SystemClock()
        self._wall_start = self._inner.now()
        self._start = self._inner.monotonic()

    def now(self) -> int:
        return self._wall_start + int((self._inner.monotonic() - self._start) * self._speed * 1000)

    def monotonic(self) -> float:
        return self._start + (self._inner.monotonic() - self._start) * self._speed

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds / self._speed)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        return self._inner.call_later(seconds / self._speed, callback)


class _ManualTimer:
    __slots__ = ("callback", "cancelled")

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class ManualClock:
    """Time that stands still until a test moves it; what falls due in between happens in order.

    >>> clock = ManualClock(at=parse_timestamp("2026-04-17T12:00:00Z"))
    >>> clock.advance(1.5)
    """

    def __init__(self, at: int = 0) -> None:
        self._start = at
        self._elapsed_ms = 0
        self._timers: list[tuple[int, int, _ManualTimer]] = []
        self._order = itertools.count()

    def now(self) -> int:
        return self._start + self._elapsed_ms

    def monotonic(self) -> float:
        return self._elapsed_ms / 1000

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.Event()
        timer = self.call_later(seconds, woken.set)
        try:
            await woken.wait()
        finally:
            timer.cancel()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        timer = _ManualTimer(callback)
        due = self._elapsed_ms + max(0, round(seconds * 1000))
        heapq.heappush(self._timers, (due, next(self._order), timer))
        return timer

    def advance(self, seconds: float) -> None:
        """Move forward by `seconds` (to the millisecond), firing due timers one by one at their own time.

        Tasks that a timer wakes run when the caller next yields to the loop; see `settle`.
        """
        target = self._elapsed_ms + round(seconds * 1000)
        while self._timers and self._timers[0][0] <= target:
            due, _, timer = heapq.heappop(self._timers)
            self._elapsed_ms = max(self._elapsed_ms, due)
            if not timer.cancelled:
                timer.callback()
        self._elapsed_ms = target

    def step(self, until: int) -> bool:
        """Move to the next timer due by the wall time `until`, and fire that one alone.

        False when there is none, and the clock stands at `until`.
        """
        target = until - self._start
        while self._timers and self._timers[0][0] <= target:
            due, _, timer = heapq.heappop(self._timers)
            if not timer.cancelled:
                self._elapsed_ms = max(self._elapsed_ms, due)
                timer.callback()
                return True
        self._elapsed_ms = max(self._elapsed_ms, target)
        return False

    async def settle(self, seconds: float, *, turns: int = 20) -> None:
        """Like `advance`, but lets woken tasks run between one due moment and the next."""
        target = self._elapsed_ms + round(seconds * 1000)
        while True:
            for _ in range(turns):
                await asyncio.sleep(0)
            if not self._timers or self._timers[0][0] > target:
                break
            self.advance(max(0, self._timers[0][0] - self._elapsed_ms) / 1000)
        self.advance((target - self._elapsed_ms) / 1000)

    def correct(self, seconds: float) -> None:
        """Set the wall clock forward or back, as a machine whose clock was wrong does; no time passes."""
        self._start += round(seconds * 1000)

    def set(self, at: int) -> None:
        """Move forward to the wall time `at`; raises ValueError for a time that is past."""
        if at < self.now():
            raise ValueError(f"the clock stands at {timestamp(self.now())} and does not go back")
        self.advance((at - self.now()) / 1000)


# Texts at hand: a waiting room answers polls of as many different times as people wait.
_SECONDS = tuple(f":{second:02d}" for second in range(60))
_MILLISECONDS = ("Z", *(f".{millisecond:03d}Z" for millisecond in range(1, 1000)))


@lru_cache(maxsize=1024)
def timestamp(ms: int) -> str:
    """Milliseconds since 1970 as the wire writes them: ``2026-04-17T12:00:00Z``, ``…:00.250Z``."""
    minutes, rest = divmod(ms, 60_000)
    seconds, rest = divmod(rest, 1000)
    return f"{_minute(minutes)}{_SECONDS[seconds]}{_MILLISECONDS[rest]}"


def day_of(ms: int) -> str:
    """The date in UTC, ``2026-04-17``."""
    return _minute(ms // 60_000)[:10]


def spoken(seconds: float) -> str:
    """A span of time for people: ``0.4 s``, ``45 s``, ``29 min``, ``6 h 39 min``, ``3 d 4 h``."""
    if seconds < 10:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        hours, minutes = divmod(minutes, 60)
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(round(minutes / 60), 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


@lru_cache(maxsize=1024)
def _minute(minutes: int) -> str:
    """Many things happen within one minute, and formatting a date costs more than most of them."""
    return (_EPOCH + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M")


def parse_timestamp(text: str) -> int:
    """The inverse of `timestamp`; also takes an offset, and cuts below the millisecond.

    Raises ValueError when the text is no such time or names no offset.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"a time needs an offset, as in 2026-04-17T12:00:00Z; found {text!r}")
    return (moment - _EPOCH) // timedelta(milliseconds=1)
