"""The day's pool of session units. Pure. Units are counted in whole tenths.

Rules: behaviours/admission.md, decision 10, "endSession / session units" and "Quota pools and day bounds".
"""

from __future__ import annotations

import math
from datetime import timedelta
from zoneinfo import ZoneInfo

import msgspec

from core.admission.catalog import Catalog
from core.admission.zones import instant, local_date
from core.protocol import AccessTier
from core.settings import Quota

FULL_UNIT = 10
"""What an admission costs before it is ended early, in tenths."""


class Day(msgspec.Struct, frozen=True):
    """A quota day: ``start <= now < reset``, both in ms."""

    start: int
    reset: int


def day_of(now: int, zone: ZoneInfo) -> Day:
    """The local day of `zone` that `now` falls on, 23 to 25 hours long where clocks change."""
    today = local_date(now, zone)
    return Day(instant(today, 0, zone), instant(today + timedelta(days=1), 0, zone))


def charged_tenths(admitted_at: int, expires_at: int, now: int) -> int:
    """What a seat that is ended at `now`, before its expiry, costs: by the tenth, rounded up, at least one."""
    length = max(1, expires_at - admitted_at)
    elapsed = min(max(0, now - admitted_at), length)
    return max(1, -(-elapsed * FULL_UNIT // length))


class Admit(msgspec.Struct, frozen=True, kw_only=True):
    """One admission in the log: which user, to which model, when (ms), and its units in tenths."""

    id: int
    user_id: str
    model: str
    access_tier: AccessTier
    admitted_at: int
    tenths: int


class Meter:
    """What the settings allow a day, and for which models."""

    def __init__(self, settings: Quota, catalog: Catalog) -> None:
        self._zone = ZoneInfo(settings.zone)
        self._catalog = catalog
        self.zone = settings.zone
        self.limits: dict[AccessTier, float] = {"full": settings.full, "limited": settings.limited}
        self._tenths: dict[AccessTier, int] = {
            tier: math.floor(limit * 10 + 0.5) for tier, limit in self.limits.items()
        }

    def day(self, now: int) -> Day:
        """The quota day that `now` falls on."""
        return day_of(now, self._zone)

    def since(self, now: int) -> int:
        """From when on (ms) admissions are remembered: yesterday's too, for a clock that is set back over midnight."""
        return self.day(self.day(now).start - 1).start

    def spent(self, tier: AccessTier, used: int) -> bool:
        """Whether `used` tenths leave nothing of the day's pool."""
        return used >= self._tenths[tier]

    def counts(self, admit: Admit) -> bool:
        """Whether an admission costs units of a pool at all."""
        return self._catalog.metered(admit.model, admit.access_tier)


_MOST_DAYS = 3
"""Yesterday and today, and a day between two clocks that do not agree which of them it is."""


class Usage:
    """The units used lately by everybody, day by day, kept in memory for the views; the log itself decides."""

    def __init__(self, meter: Meter, now: int) -> None:
        self._meter = meter
        self._day = meter.day(now)
        self._days: dict[int, dict[tuple[str, AccessTier], dict[int, int]]] = {}

    def day(self, now: int) -> Day:
        """The day that `now` falls on."""
        if not self._day.start <= now < self._day.reset:
            self._day = self._meter.day(now)
        return self._day

    def book(self, admit: Admit) -> None:
        """Count an admission, or its new price after an early end, on the day of the admission."""
        if not self._meter.counts(admit):
            return
        by_user = self._days.setdefault(self.day(admit.admitted_at).start, {})
        by_user.setdefault((admit.user_id, admit.access_tier), {})[admit.id] = admit.tenths
        if len(self._days) > _MOST_DAYS:
            del self._days[min(self._days)]

    def used(self, user_id: str, tier: AccessTier, now: int) -> int:
        """The tenths that a user has used today in that access tier's pool."""
        by_user = self._days.get(self.day(now).start)
        units = by_user.get((user_id, tier)) if by_user else None
        return sum(units.values()) if units else 0
