"""The models that people are admitted to: who may use which, when they are open, which are metered. Pure.

Rules: behaviours/admission.md, decisions 3, 4 and 17 and "Quota pools".
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from zoneinfo import ZoneInfo

import msgspec

from core.admission.zones import instant, local_date
from core.protocol import AccessTier
from core.settings import Admission, Hours, Model

_DAY = timedelta(days=1)


class DailyTime(msgspec.Struct, frozen=True):
    """A time of day in a zone."""

    minutes: int
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str) -> DailyTime:
        """Read ``09:00 America/New_York``; the settings have checked that it is one."""
        clock, _, zone = text.partition(" ")
        hour, _, minute = clock.partition(":")
        return cls(int(hour) * 60 + int(minute), ZoneInfo(zone))

    def latest(self, now: int) -> int:
        """The latest instant (ms) at or before `now` at which it was this time."""
        day = local_date(now, self.zone) + _DAY
        while (moment := instant(day, self.minutes, self.zone)) > now:
            day -= _DAY
        return moment


class OpeningHours(msgspec.Struct, frozen=True):
    """When a model is open, every day."""

    opens: DailyTime
    closes: DailyTime
    label: str

    @classmethod
    def of(cls, hours: Hours) -> OpeningHours:
        """The hours of a settings file."""
        return cls(DailyTime.parse(hours.open), DailyTime.parse(hours.close), f"{hours.open} – {hours.close}")

    def is_open(self, now: int) -> bool:
        """Whether it opened later than it closed; a tie is open (decision 17)."""
        return self.opens.latest(now) >= self.closes.latest(now)


class Catalog:
    """The configured models and what the settings say of them."""

    def __init__(self, settings: Admission) -> None:
        self._models = {model.id: model for model in settings.models}
        self._fallback: dict[AccessTier, str] = {
            "full": settings.fallback_model,
            "limited": settings.limited_model,
        }
        self._hours = {model.id: OpeningHours.of(model.hours) for model in settings.models if model.hours}
        self._pools: dict[AccessTier, tuple[str, ...]] = {
            "full": tuple(model.id for model in settings.models if model.premium),
            "limited": tuple(model.id for model in settings.models if model.limited),
        }

    @property
    def models(self) -> Mapping[str, Model]:
        """The configured models by id, in the order of the settings."""
        return self._models

    def resolve(self, asked: str, tier: AccessTier) -> str | None:
        """The model that a caller of that access tier gets for what they asked; None when there is none."""
        if self.offered(asked, tier):
            # our own copy of the name: that of the request would be kept with every seat
            return self._models[asked].id
        return self._fallback[tier] or None

    def offered(self, model: str, tier: AccessTier) -> bool:
        """Whether a caller of that access tier may have a seat on the model."""
        known = self._models.get(model)
        return known is not None and (tier == "full" or known.limited)

    def fits(self, model: str, seat_tier: AccessTier, tier: AccessTier) -> bool:
        """Whether a seat on `model`, of access tier `seat_tier`, is one for a caller of access tier `tier`.

        A full caller may hold a limited seat; a limited caller no full one.
        """
        return (tier == "full" or seat_tier == "limited") and self.offered(model, tier)

    def usable(self, seat_model: str, model: str, tier: AccessTier) -> bool:
        """Whether a seat on `seat_model` lets a caller of that access tier use `model`: itself or a companion.

        What is not configured passes: a client's helpers run on models of their own.
        """
        if model not in self._models:
            return True
        if not self.offered(model, tier):
            return False
        return model == seat_model or self._is_companion(seat_model, model)

    def is_open(self, model: str, now: int) -> bool:
        """Whether the model is within its hours; one that is not configured never is."""
        hours = self._hours.get(model)
        return model in self._models if hours is None else hours.is_open(now)

    def hours_label(self, model: str) -> str:
        """``<open> – <close>`` as configured; empty for a model that is always open."""
        hours = self._hours.get(model)
        return hours.label if hours else ""

    def pool(self, tier: AccessTier) -> tuple[str, ...]:
        """The models that share the day's units of an access tier."""
        return self._pools[tier]

    def metered(self, model: str, tier: AccessTier) -> bool:
        """Whether an admission to the model costs units of that access tier's pool."""
        return model in self._pools[tier]

    def max_active(self, model: str) -> int | None:
        """The ceiling of occupied seats, None where there is none."""
        known = self._models.get(model)
        return known.max_active or None if known else None

    def instant_ceiling(self, model: str) -> int:
        """How many seats may be occupied for somebody to be admitted at once (decision 8)."""
        known = self._models.get(model)
        if known is None:
            return 0
        return min(known.instant_admit_capacity, known.max_active or known.instant_admit_capacity)

    def _is_companion(self, seat_model: str, model: str) -> bool:
        known = self._models.get(seat_model)
        return known is not None and model in known.companions
