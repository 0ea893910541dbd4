"""Is a model's server fit to take more? By the latest reading of it; no I/O.

Rules: behaviours/admission.md, "Health gate and tick"; figures are those of the original.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec

from core.protocol import Health

STALE = 180_000
"""A reading older than this many ms says nothing good, where the settings do not say otherwise."""

_CACHE_FULL, _CACHE_HIGH = 0.98, 0.8
_BUSY_REQUESTS, _FAILING_ONE_IN = 0.1, 10
_SLOW_QUEUE_MS = 500.0


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What a server said of itself at `at` (ms); None where it did not say.

    Fractions are 0 to 1, rates are per second, `queue_p90_ms` is the wait before a prompt is worked on. `said` is what
    it called itself in so many words.
    """

    at: int
    said: Health | None = None
    cache_fraction: float | None = None
    request_rate: float | None = None
    failure_rate: float | None = None
    queue_p90_ms: float | None = None


def classify(reading: Reading | None, now: int, stale: int = STALE) -> Health:
    """The health that the latest reading gives; a server that nobody asks is healthy. `stale` in ms."""
    if reading is None:
        return "healthy"
    if _is_stale(reading, now, stale) or _is_unfit(reading):
        return "unhealthy"
    slow = reading.queue_p90_ms is not None and reading.queue_p90_ms > _SLOW_QUEUE_MS
    if slow or (reading.cache_fraction or 0.0) >= _CACHE_HIGH:
        return "degraded"
    return reading.said or "healthy"


def _is_stale(reading: Reading, now: int, stale: int) -> bool:
    # one from long after `now` is worth as little: the clock was set back, and the reading would be fresh for too long
    return abs(now - reading.at) > stale


def _is_unfit(reading: Reading) -> bool:
    rate = reading.request_rate or 0.0
    failing = rate >= _BUSY_REQUESTS and (reading.failure_rate or 0.0) * _FAILING_ONE_IN >= rate
    return (reading.cache_fraction or 0.0) >= _CACHE_FULL or failing


def quantile(buckets: Sequence[tuple[float, float]], share: float) -> float | None:
    """The value below which `share` of a histogram's observations lie, None when there are none.

    `buckets` are pairs of upper bound and cumulative count, ascending, the last bound infinite. Inside a bucket the
    value is interpolated; in the infinite one it is the last finite bound.
    """
    if not buckets or buckets[-1][1] <= 0:
        return None
    target = buckets[-1][1] * share
    lower, below = 0.0, 0.0
    for upper, count in buckets:
        if count >= target and count > below:
            if math.isinf(upper):
                return lower
            return lower + (upper - lower) * (target - below) / (count - below)
        if not math.isinf(upper):
            lower = upper
        below = count
    return lower


class FleetHealth:
    """The health of every model: what was set by hand, else what its latest reading gives."""

    def __init__(self, stale: int = STALE, asked: Iterable[str] = ()) -> None:
        """`stale` is the age (ms) beyond which a reading says nothing good. The servers of `asked` models are asked how
        they are: until the first answer they count as unhealthy.
        """
        self._stale = stale
        self._asked = frozenset(asked)
        self._set: dict[str, Health] = {}
        self._readings: dict[str, Reading] = {}

    def set(self, model: str, health: Health) -> None:
        """Say how a model is; it stays so until it is said otherwise."""
        self._set[model] = health

    def report(self, model: str, reading: Reading) -> None:
        """Keep a model's latest reading."""
        self._readings[model] = reading

    def of(self, model: str, now: int) -> Health:
        """How the model is now."""
        if (health := self._set.get(model)) is not None:
            return health
        reading = self._readings.get(model)
        return "unhealthy" if self._is_unheard(model, reading) else classify(reading, now, self._stale)

    def unknown(self, model: str, now: int) -> str:
        """Why nothing is known of how the model is now, in a few words; empty when something is."""
        reading = self._readings.get(model)
        if model in self._set:
            return ""
        if self._is_unheard(model, reading):
            return "it has not answered yet"
        if reading is not None and _is_stale(reading, now, self._stale):
            age = (now - reading.at) // 1000
            return (
                f"its latest figures are {age} s old" if age > 0 else "its latest figures are of the future"
            )
        return ""

    def _is_unheard(self, model: str, reading: Reading | None) -> bool:
        return reading is None and model in self._asked
