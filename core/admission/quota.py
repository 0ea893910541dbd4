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

    def spent(self, tier: AccessTier, used: int) -> bool:
        """Whether `used` tenths leave nothing of the day's pool."""
        return used >= self._tenths[tier]

    def counts(self, admit: Admit) -> bool:
        """Whether an admission costs units of a pool at all."""
        return self._catalog.metered(admit.model, admit.access_tier)


class Usage:
    """The units used on the current day by everybody, kept in memory for the views; the log itself decides."""

    def __init__(self, meter: Meter, now: int) -> None:
        self._meter = meter
        self._day = meter.day(now)
        self._by_user: dict[tuple[str, AccessTier], dict[int, int]] = {}

    def day(self, now: int) -> Day:
        """The day that `now` falls on; yesterday's figures are dropped when it is a new one."""
        if now >= self._day.reset:
            self._day = self._meter.day(now)
            self._by_user = {}
        return self._day

    def book(self, admit: Admit, now: int) -> None:
        """Count an admission, or its new price after an early end."""
        if admit.admitted_at >= self.day(now).start and self._meter.counts(admit):
            self._by_user.setdefault((admit.user_id, admit.access_tier), {})[admit.id] = admit.tenths

    def used(self, user_id: str, tier: AccessTier, now: int) -> int:
        """The tenths that a user has used today in that access tier's pool."""
        self.day(now)
        units = self._by_user.get((user_id, tier))
        return sum(units.values()) if units else 0
