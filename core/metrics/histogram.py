"""How often something took how long: counts by upper bounds, as Prometheus wants them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Bounds for what machines do."""

WAITS = (1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0)
"""Bounds for what people wait."""

DISTANCES = (0, 1, 10, 100, 1_000, 10_000, 100_000)
"""Bounds for how far behind somebody is."""


class Histogram:
    """Counts values by `bounds`, each the largest value that it takes; beyond the last one is infinity."""

    __slots__ = ("_bounds", "_counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self.total = 0.0
        """The sum of all values."""

    def note(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    def buckets(self) -> list[tuple[str, int]]:
        """Each bound as Prometheus writes it, with how many values were not over it."""
        sums: list[tuple[str, int]] = []
        count = 0
        for bound, more in zip((*map(float, self._bounds), float("inf")), self._counts, strict=True):
            count += more
            sums.append(("+Inf" if bound == float("inf") else repr(bound), count))
        return sums
