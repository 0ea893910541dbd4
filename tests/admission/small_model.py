"""The waiting room once more, small and slow: lists and dicts, everything counted anew each time it is asked for.

Written from behaviours/admission.md, to be compared with the real one step by step. It knows the settings, and
nothing of the code that it judges. Times and lengths are ms, units are tenths.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from core.clock import timestamp
from core.protocol import AccessTier
from core.settings import Admission, Model

Answer = dict[str, Any]
"""What an answer has to say, by the names of the wire; None for a field that has to be absent."""

_WORST = ("closed", "rate_limited", "at_capacity", "paused", "degraded", "unhealthy")


# ------------------------------------------------------------------------------------------------------ time


@cache
def local(now: int, zone: str) -> datetime:
    """The wall clock of `zone`."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=now)).astimezone(ZoneInfo(zone))


@cache
def next_day(now: int, zone: str) -> int:
    """The first instant that has a later date than `now` in `zone`."""
    today, low, high = local(now, zone).date(), now, now + 27 * 3_600_000
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if local(middle, zone).date() > today else (middle, high)
    return high


def moments(text: str, now: int) -> list[int]:
    """When it is ``09:00 America/New_York``, from two days before to two days after `now`."""
    clock, _, zone = text.partition(" ")
    today = local(now, zone).date()
    return [_moment(today + timedelta(days=day), clock, zone) for day in range(-2, 3)]


@cache
def _moment(day: date, clock: str, zone: str) -> int:
    """A local time that is skipped or comes twice counts once, by the clock of the day before."""
    hour, _, minute = clock.partition(":")
    wall = datetime(day.year, day.month, day.day, int(hour), int(minute), tzinfo=UTC)
    as_if_utc = int(wall.timestamp()) * 1000
    around = [local(as_if_utc + days * 86_400_000, zone).utcoffset() or timedelta() for days in (-1, 1)]
    candidates = [as_if_utc - int(offset.total_seconds()) * 1000 for offset in around]
    for candidate in sorted(candidates):
        if local(candidate, zone).replace(tzinfo=UTC) == wall:
            return candidate
    return candidates[0]


# ----------------------------------------------------------------------------------------------------- house


@dataclass
class Place:
    """What one user holds: a place in a queue, or (with `expires_at`) a seat."""

    user: str
    model: str
    tier: AccessTier
    number: int
    seen: int
    instance: str = ""
    expires_at: int | None = None
    entry: int | None = None


@dataclass
class Entry:
    """One admission in the log."""

    user: str
    model: str
    tier: AccessTier
    at: int
    tenths: int = 10


class SmallHouse:
    """All of it."""

    def __init__(self, terms: Admission, now: int) -> None:
        self.terms = terms
        self.now = now
        self.places: dict[str, Place] = {}
        self.log: list[Entry] = []
        self.bans: set[str] = set()
        self.pauses: set[str] = set()
        self.health: dict[str, str] = {}
        self.drawn = 0

    def restart(self, terms: Admission) -> None:
        """Only what was said of the health is forgotten; everybody counts as just seen (decisions 18 and 19)."""
        self.terms = terms
        self.health = {}
        for place in self.places.values():
            place.seen = self.now

    # --------------------------------------------------------------------------------------- what is what

    @property
    def models(self) -> dict[str, Model]:
        return {model.id: model for model in self.terms.models}

    @property
    def length(self) -> int:
        return round(self.terms.session_seconds * 1000)

    @property
    def grace(self) -> int:
        return round(self.terms.grace_seconds * 1000)

    @property
    def abandon(self) -> int:
        return round(self.terms.abandon_seconds * 1000)

    def pool(self, tier: AccessTier) -> list[str]:
        return [m.id for m in self.terms.models if (m.premium if tier == "full" else m.limited)]

    def limit(self, tier: AccessTier) -> int:
        return round((self.terms.quota.full if tier == "full" else self.terms.quota.limited) * 10)

    def exempt(self, email: str | None) -> bool:
        return not self.terms.enabled or (email or "?").lower() in self.terms.bypass_emails

    def offered(self, model: str, tier: AccessTier) -> bool:
        return model in self.models and (tier == "full" or self.models[model].limited)

    def fits(self, place: Place, tier: AccessTier) -> bool:
        return self.offered(place.model, tier) and not (tier == "limited" and place.tier == "full")

    def stage(self, place: Place) -> str:
        if place.expires_at is None:
            return "queued"
        if self.now < place.expires_at:
            return "active"
        return "draining" if self.now < place.expires_at + self.grace else "gone"

    def queue(self, model: str) -> list[Place]:
        """Who waits, in order, the banned left out."""
        here = [p for p in self.places.values() if p.model == model and self.stage(p) == "queued"]
        return sorted((p for p in here if p.user not in self.bans), key=lambda place: place.number)

    def depths(self) -> dict[str, int]:
        models = {place.model for place in self.places.values()}
        return {model: len(self.queue(model)) for model in models if self.queue(model)}

    def occupied(self, model: str) -> int:
        return sum(p.model == model and self.stage(p) in ("active", "draining") for p in self.places.values())

    def ceiling(self, model: str) -> float:
        known = self.models.get(model)
        return (known and known.max_active) or float("inf")

    def is_open(self, model: str) -> bool:
        hours = self.models[model].hours if model in self.models else None
        if hours is None:
            return model in self.models
        latest = [
            max(m for m in moments(each, self.now) if m <= self.now) for each in (hours.open, hours.close)
        ]
        return latest[0] >= latest[1]

    def used(self, user: str, tier: AccessTier) -> int:
        zone, pool = self.terms.quota.zone, self.pool(tier)
        today = local(self.now, zone).date()
        mine = (e for e in self.log if (e.user, e.tier) == (user, tier) and e.model in pool)
        return sum(entry.tenths for entry in mine if local(entry.at, zone).date() == today)

    def is_over(self, user: str, model: str, tier: AccessTier) -> bool:
        return model in self.pool(tier) and self.used(user, tier) >= self.limit(tier)

    def holds(self, model: str) -> list[str]:
        """What keeps everybody out of the model, the gravest last."""
        found = [] if self.is_open(model) else ["closed"]
        found += ["paused"] if {"", model} & self.pauses else []
        return found + [h for h in [self.health.get(model, "healthy")] if h != "healthy"]

    # ------------------------------------------------------------------------------------------- requests

    def request(self, user: str, asked: str, tier: AccessTier, email: str | None) -> Answer:
        """Decision 3, in its order."""
        if user in self.bans:
            return {"status": "banned"}
        if self.exempt(email):
            return {"status": "disabled"}
        fallback = self.terms.fallback_model if tier == "full" else self.terms.limited_model
        model = asked if self.offered(asked, tier) else fallback
        if not model:
            return {"status": "model_unknown", "requestedModel": asked}
        place = self.places.get(user)
        mine = place if place is not None and self.fits(place, tier) else None
        where = self.stage(mine) if mine else "none"
        if mine and where == "active" and mine.model != model:
            return {"status": "model_locked", "currentModel": mine.model, "requestedModel": asked}
        if mine:
            mine.seen = self.now
        if not mine or mine.model != model or where not in ("queued", "active"):
            refusal = self._refusal(user, asked, model, tier)
            if refusal:
                return refusal
            if not mine:
                self.end(user)
            self.drawn += 1
            mine = self.places[user] = Place(user, model, tier, self.drawn, self.now)
        if self.stage(mine) == "queued":
            self._instant(mine)
        return self.view(mine, asked)

    def _refusal(self, user: str, asked: str, model: str, tier: AccessTier) -> Answer | None:
        if not self.is_open(model):
            return {"status": "model_unavailable", "requestedModel": asked, "accessTier": tier}
        if not self.is_over(user, model, tier):
            return None
        reset = next_day(self.now, self.terms.quota.zone)
        return {
            "status": "rate_limited",
            "model": model,
            "recentCount": self.used(user, tier) / 10,
            "resetAt": timestamp(reset),
            "retryAfterMs": reset - self.now,
        }

    def _instant(self, caller: Place) -> None:
        """Decision 8: heads go in while there is room, until the caller is in."""
        model = caller.model
        room = min(self.models[model].instant_admit_capacity, self.ceiling(model))
        while not self.holds(model) and self.stage(caller) == "queued" and self.occupied(model) < room:
            if not self._admit_head(model):
                return

    def _admit_head(self, model: str) -> bool:
        for place in self.queue(model):
            if not self.is_over(place.user, model, place.tier):
                self._admit(place)
                return True
        return False

    def _admit(self, place: Place) -> None:
        place.expires_at = self.now + self.length
        place.entry = len(self.log)
        self.log.append(Entry(place.user, place.model, place.tier, self.now))

    def end(self, user: str) -> bool:
        """An early end costs by the tenth of the length begun, one at least."""
        place = self.places.pop(user, None)
        if place and place.entry is not None and self.stage(place) == "active":
            entry = self.log[place.entry]
            entry.tenths = max(1, -(-(self.now - entry.at) * 10 // self.length))
        return place is not None

    # ---------------------------------------------------------------------------------------------- views

    def view(self, place: Place, asked: str | None = None) -> Answer:
        tier, where = place.tier, self.stage(place)
        told: Answer = {"status": where, "instanceId": place.instance, "accessTier": tier}
        if where == "draining":
            assert place.expires_at is not None
            left = place.expires_at + self.grace - self.now
            return told | {
                "status": "ended",
                "gracePeriodRemainingMs": left,
                "counts": self._counts(place.user, tier),
            }
        if where == "gone":
            return self._none(place.user, tier)
        told |= {"model": place.model, "requestedModel": asked if asked != place.model else None}
        told |= {"counts": self._counts(place.user, tier) if self.used(place.user, tier) else None}
        if where == "active":
            assert place.expires_at is not None
            return told | {
                "remainingMs": place.expires_at - self.now,
                "expiresAt": timestamp(place.expires_at),
            }
        position = self.queue(place.model).index(place) + 1
        ticks = (position - 1) // self.terms.admits_per_tick
        return told | {
            "position": position,
            "queueDepth": len(self.queue(place.model)),
            "queueDepthByModel": self.depths(),
            "estimatedWaitMs": ticks * round(self.terms.tick_seconds * 1000),
            "pausedReason": next(reversed(self.holds(place.model)), None),
        }

    def _none(self, user: str, tier: AccessTier) -> Answer:
        counts = self._counts(user, tier) if self.used(user, tier) else None
        return {"status": "none", "accessTier": tier, "queueDepthByModel": self.depths(), "counts": counts}

    def _counts(self, user: str, tier: AccessTier) -> dict[str, tuple[float, str]]:
        """Model → what is used of its pool, and when that begins anew."""
        reset = timestamp(next_day(self.now, self.terms.quota.zone))
        return dict.fromkeys(self.pool(tier), (self.used(user, tier) / 10, reset))

    def state(
        self, user: str, tier: AccessTier, email: str | None = None, claimed: str | None = None
    ) -> Answer:
        """A poll: the one thing that it may change is when the user was last seen (decision 19)."""
        if user in self.bans:
            return {"status": "banned"}
        if self.exempt(email):
            return {"status": "disabled"}
        place = self.places.get(user)
        if place is None or not self.fits(place, tier):
            return self._none(user, tier)
        place.seen = self.now
        if claimed and claimed != place.instance and self.stage(place) in ("active", "draining"):
            return {"status": "superseded"}
        told = self.view(place)
        return self._none(user, tier) if told["status"] == "none" else told

    def gate(
        self,
        user: str,
        claimed: str | None,
        model: str | None,
        tier: AccessTier,
        email: str | None,
        strict: bool,
    ) -> str:
        """The reason or the code, by the table "checkSessionAdmissible" and decision 11."""
        place = self.places.get(user)
        where = self.stage(place) if place else "none"
        if user in self.bans:
            return "banned"
        if self.exempt(email) and not strict:
            return "disabled"
        if not claimed:
            return "update_required"
        if place is None or (where == "queued" and not self.fits(place, tier)):
            return "waiting_room_required"
        if where in ("queued", "gone"):
            return "waiting_room_queued" if where == "queued" else "session_expired"
        if claimed != place.instance:
            return "session_superseded"
        known = model in self.models
        own = known and model in (
            place.model,
            *(self.models[place.model].companions if place.model in self.models else ()),
        )
        if not self.fits(place, tier) or (known and not (own and self.offered(str(model), tier))):
            return "session_model_mismatch"
        return where

    # ------------------------------------------------------------------------------------------- operator

    def admit_now(self, user: str) -> str:
        """Decision 15: crosses everything but a ban and the ceiling; the code of the refusal, or ``active``."""
        place = self.places.get(user)
        if place is None or self.stage(place) != "queued":
            return "not_queued"
        if user in self.bans:
            return "banned"
        if place.model not in self.models:
            return "not_queued"
        if self.occupied(place.model) >= self.ceiling(place.model):
            return "at_capacity"
        self._admit(place)
        return "active"

    def pause(self, model: str | None) -> None:
        self.pauses.add(model or "")

    def resume(self, model: str | None) -> None:
        self.pauses = self.pauses - {model} if model else set()

    def tick(self) -> Answer:
        """Decision 13, in its order; what the report says."""
        report: Answer = {"expired": self._remove(lambda place: self.stage(place) == "gone")}
        report |= {"evicted": 0, "dropped": 0, "admitted": 0, "skipped": {}, "errors": {}}
        if self.terms.enabled:
            report["evicted"] = self._remove(lambda place: place.user in self.bans)
            report["dropped"] = self._remove(self._is_forgotten)
            for model in self.models:
                self._round(model, report)
        report["worst"] = max(report["skipped"].values(), key=_WORST.index, default=None)
        return report

    def _remove(self, which: Any) -> int:
        gone = [user for user, place in self.places.items() if which(place)]
        for user in gone:
            del self.places[user]
        return len(gone)

    def _is_forgotten(self, place: Place) -> bool:
        absent = self.abandon > 0 and self.now - place.seen >= self.abandon
        return self.stage(place) == "queued" and (absent or place.model not in self.models)

    def _round(self, model: str, report: Answer) -> None:
        held, count = self.holds(model), 0
        while not held and count < self.terms.admits_per_tick and self.occupied(model) < self.ceiling(model):
            if not self._admit_head(model):
                break
            count += 1
        report["admitted"] += count
        left = self.queue(model)
        if count == self.terms.admits_per_tick or not left:
            return
        why = list(held)
        why += ["at_capacity"] if self.occupied(model) >= self.ceiling(model) else []
        why += ["rate_limited"] if all(self.is_over(p.user, model, p.tier) for p in left) else []
        report["skipped"][model] = max(why, key=_WORST.index)

    # --------------------------------------------------------------------------------------------- moments

    def turning_points(self) -> list[int]:
        """The instants to come at which somebody's seat changes its stage, or their place is forgotten."""
        found: list[int] = []
        for place in self.places.values():
            if place.expires_at is not None:
                found += [place.expires_at, place.expires_at + self.grace]
            elif self.abandon:
                found.append(place.seen + self.abandon)
        return sorted({moment for moment in found if moment > self.now}) or [self.now + 1]

    def openings(self) -> list[int]:
        """The instants to come at which a day begins, or a model opens or closes."""
        found = [next_day(self.now, self.terms.quota.zone)]
        for model in self.terms.models:
            if model.hours:
                found += moments(model.hours.open, self.now) + moments(model.hours.close, self.now)
        return sorted({moment for moment in found if moment > self.now})
