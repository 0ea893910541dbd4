"""How many requests one token may make: a bucket that fills up evenly and is emptied one request at a time."""

from __future__ import annotations

_BURST_SECONDS = 2.0
"""Whoever was silent may ask for so many seconds' worth at once."""


class Bucket:
    """The requests that are still free. Only who is let through takes one, so that asking on does not lock out."""

    __slots__ = ("_at", "_free", "_full", "_per_second")

    def __init__(self, per_second: float, now: float) -> None:
        """Full at the beginning. `now` is in monotonic seconds, here and below."""
        self._per_second = per_second
        self._full = max(1.0, per_second * _BURST_SECONDS)
        self._free = self._full
        self._at = now

    def take(self, now: float) -> int:
        """Take one request, and answer 0; or take none, and answer the milliseconds until there is one."""
        self._free = min(self._full, self._free + (now - self._at) * self._per_second)
        self._at = now
        # what one waited for to the millisecond must not fall short by a rounding
        if self._free >= 1.0 - 1e-6:
            self._free = max(0.0, self._free - 1.0)
            return 0
        return max(1, -(-int((1.0 - self._free) * 1_000_000 / self._per_second) // 1000))
