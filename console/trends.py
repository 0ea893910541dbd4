"""What the last minutes looked like: figures by the minute, forgotten when they are ten minutes old.

Everything goes by the times that the core's events carry, so that the same journal gives the same trend. Noting
costs what is noted, and forgetting costs what is forgotten: nothing here counts what the house holds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from math import exp
from typing import Generic, TypeVar

STEP_MS = 60_000
"""One figure stands for a minute."""

STEPS = 10
"""So many minutes are kept, with the one that is going on."""

_LEVELS = "▁▂▃▄▅▆▇█"
_NOTHING, _UNKNOWN = " ", "·"

K = TypeVar("K", bound=Hashable)


def spark(figures: Sequence[int | None], top: int) -> str:
    """One character for each figure: `top` and more a full block, zero a blank, a dot where nothing is known."""
    return "".join(
        _UNKNOWN
        if figure is None
        else _NOTHING
        if figure <= 0
        else _LEVELS[min(len(_LEVELS) - 1, figure * len(_LEVELS) // (top + 1))]
        for figure in figures
    )


@dataclass(slots=True)
class Level:
    """A figure that stands until it changes, such as a number of people; each minute is shown by its highest."""

    _minutes: deque[tuple[int, int, int]] = field(default_factory=lambda: deque(maxlen=STEPS + 1))
    """(minute, highest in it, last in it); one more than is shown, for what stood before."""

    def note(self, now: int, figure: int) -> None:
        """The figure from `now` on, in milliseconds. An earlier time than the last one counts as that."""
        minute = now // STEP_MS
        if not self._minutes:
            self._minutes.append((minute, figure, figure))
            return
        latest, highest, last = self._minutes[-1]
        if minute <= latest:
            self._minutes[-1] = (latest, max(highest, figure), figure)
        else:
            # at the start of its minute the old figure was still there
            self._minutes.append((minute, max(last, figure), figure))

    def series(self, now: int) -> list[int | None]:
        """The highest of each minute, the latest last; None before the first note."""
        end = now // STEP_MS
        known = {minute: (highest, last) for minute, highest, last in self._minutes}
        standing: int | None = None
        for minute, _, last in self._minutes:
            if minute <= end - STEPS:
                standing = last
        figures: list[int | None] = []
        for minute in range(end - STEPS + 1, end + 1):
            highest, standing = known.get(minute, (standing, standing))
            figures.append(highest)
        return figures


@dataclass(slots=True)
class Amounts(Generic[K]):
    """What was added up by key in each of the last minutes, such as money spent.

    `since` is the time from when on it has been noted, in milliseconds; None before the first time.
    """

    since: int | None = None
    _by_key: dict[K, dict[int, int]] = field(default_factory=dict)
    _totals: dict[K, int] = field(default_factory=dict)
    """What is in `_by_key`, added up: tables are sorted by it."""
    _minutes: deque[tuple[int, set[K]]] = field(default_factory=deque)

    def begin(self, now: int) -> None:
        """Begin to note; a trend from before that is not known."""
        if self.since is None:
            self.since = now

    def add(self, key: K, now: int, amount: int) -> None:
        """Add to what the key has in this minute. A time of an earlier minute counts as the latest one."""
        minute = now // STEP_MS
        if not self._minutes or self._minutes[-1][0] < minute:
            self._minutes.append((minute, set()))
        minute, keys = self._minutes[-1]
        keys.add(key)
        minutes = self._by_key.setdefault(key, {})
        minutes[minute] = minutes.get(minute, 0) + amount
        self._totals[key] = self._totals.get(key, 0) + amount

    def forget(self, now: int) -> set[K]:
        """Let go what is too old; answers the keys that have less now."""
        oldest = now // STEP_MS - STEPS + 1
        less: set[K] = set()
        while self._minutes and self._minutes[0][0] < oldest:
            minute, keys = self._minutes.popleft()
            for key in keys:
                minutes = self._by_key[key]
                self._totals[key] -= minutes.pop(minute)
                if not minutes:
                    del self._by_key[key], self._totals[key]
            less |= keys
        return less

    def series(self, key: K, now: int) -> list[int]:
        """What was added in each minute, the latest last."""
        minutes, end = self._by_key.get(key, {}), now // STEP_MS
        return [minutes.get(minute, 0) for minute in range(end - STEPS + 1, end + 1)]

    def total(self, key: K) -> int:
        """All that is known of the last minutes."""
        return self._totals.get(key, 0)

    def per_hour(self, key: K, now: int) -> int:
        """What an hour would come to if it went on like the last minutes. At least one whole minute counts."""
        if self.since is None:
            return 0
        begin = max(self.since, (now // STEP_MS - STEPS + 1) * STEP_MS)
        return sum(self.series(key, now)) * 60 * STEP_MS // max(STEP_MS, now - begin)


@dataclass(slots=True)
class Ahead(Generic[K]):
    """What is spent and not booked yet, by who spends it: it counts as it grows, and not again when it is booked."""

    _by_who: dict[str, tuple[int, tuple[K, ...]]] = field(default_factory=dict)
    """Figure so far, and what it counts for."""

    def __contains__(self, who: str) -> bool:
        return who in self._by_who

    def of(self, who: str) -> int:
        """What it has spent that is not booked yet."""
        return self._by_who.get(who, (0, ()))[0]

    def begin(self, who: str, figure: int, keys: tuple[K, ...]) -> None:
        """So much was spent before anybody counted; from now on it counts for these keys."""
        self._by_who[who] = figure, keys

    def grow(self, who: str, figure: int) -> tuple[int, tuple[K, ...]]:
        """It is so much by now: how much more than before, and for which keys. Only after `begin`."""
        before, keys = self._by_who[who]
        self._by_who[who] = figure, keys
        return figure - before, keys

    def settle(self, who: str) -> tuple[int, tuple[K, ...]]:
        """It is booked, or over: what has been counted of it, and for which keys."""
        return self._by_who.pop(who, (0, ()))


_SETTLES_MS = 1_500.0
"""A speed follows a change in about this time."""
_STOPS_MS = 3_000
"""What has not moved for so long stands still."""


@dataclass(slots=True)
class Speed:
    """How fast a number goes up, a second: smoothed, so that it can be read."""

    _at: int
    _figure: int
    _rate: float | None = None

    def note(self, now: int, figure: int) -> None:
        """The number at `now`, in milliseconds."""
        passed = now - self._at
        if passed <= 0:
            return
        rate = (figure - self._figure) * 1000 / passed
        share = 1 - exp(-passed / _SETTLES_MS)
        self._rate = rate if self._rate is None else self._rate + (rate - self._rate) * share
        self._at, self._figure = now, figure

    def per_second(self, now: int) -> float | None:
        """The speed at `now`; None before it is known, 0 when it has not moved for a while."""
        return 0.0 if self._rate is not None and now - self._at > _STOPS_MS else self._rate
