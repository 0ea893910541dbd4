"""What the floor looks like from outside: the answers about a seat, and the rows of the view.

Rules: behaviours/admission.md, decisions 12, 14 and 17 and "Wire statuses".
"""

from __future__ import annotations

from typing import Literal, assert_never

import msgspec

from core.admission.answers import (
    ActiveSeat,
    EndedSeat,
    NoSeat,
    QueuedSeat,
    RateLimit,
    SeatAnswer,
    Superseded,
)
from core.admission.catalog import Catalog
from core.admission.floor import Floor
from core.admission.health import FleetHealth
from core.admission.queue import estimated_wait, holds
from core.admission.quota import Meter
from core.admission.seat import Seat, Stage, stage
from core.admission.why import Standing
from core.clock import timestamp
from core.protocol import AccessTier, PausedReason, QueueRow, SeatRow

_NO_SEAT = "There is no seat; request one to join the queue."
_ROW_STATES: dict[Stage, Literal["queued", "active", "ended"]] = {
    "queued": "queued",
    "active": "active",
    "draining": "ended",
    "gone": "ended",
}


class Pace(msgspec.Struct, frozen=True):
    """How fast the ticks let people in: so many every `tick` ms."""

    admits_per_tick: int
    tick: int


class Views:
    """Reads the floor, and how the models are."""

    def __init__(self, catalog: Catalog, meter: Meter, floor: Floor, pace: Pace, health: FleetHealth) -> None:
        self._catalog = catalog
        self._meter = meter
        self._floor = floor
        self._pace = pace
        self._health = health

    def none(self, user_id: str, tier: AccessTier, now: int) -> NoSeat:
        """The answer for somebody without a seat, or with none for their access tier."""
        return NoSeat(
            access_tier=tier,
            queue_depth_by_model=self._floor.lines.depths(),
            rate_limits_by_model=self._limits_if_used(user_id, tier, now),
            message=_NO_SEAT,
        )

    def state(self, seat: Seat, instance_id: str | None, tier: AccessTier, now: int) -> SeatAnswer:
        """What a poll is told of a seat that fits; a foreign instance is superseded while it is active or in grace."""
        if instance_id and instance_id != seat.instance_id:
            where = stage(seat, now, self._floor.grace)
            if where in ("active", "draining"):
                return Superseded()
        return self.seat(seat, tier, now)

    def seat(self, seat: Seat, tier: AccessTier, now: int, asked: str | None = None) -> SeatAnswer:
        """The answer about a seat; `asked` is the model of the request that it answers, if it does."""
        where = stage(seat, now, self._floor.grace)
        requested = None if asked is None or asked == seat.model else asked
        match where:
            case "queued":
                return self._queued(seat, now, requested)
            case "active":
                return self._active(seat, now, requested)
            case "draining":
                return self._ended(seat, now)
            case "gone":
                return self.none(seat.user_id, tier, now)
            case _:
                assert_never(where)

    def wait(self, seat: Seat) -> int:
        """How long (ms) a queued user had better wait before the next try: a tick at least."""
        return max(self._pace.tick, self._estimate(self.position(seat)))

    def position(self, seat: Seat) -> int:
        """A queued user's place, from 1."""
        return self._floor.lines.position(seat.model, seat.ticket)

    def paused_reason(self, model: str, now: int) -> PausedReason | None:
        """The gravest of what holds the model's queue."""
        found = self._holds(model, now)
        return found[-1] if found else None

    def _holds(self, model: str, now: int) -> list[PausedReason]:
        return holds(
            is_open=self._catalog.is_open(model, now),
            paused=self._floor.is_paused(model),
            health=self._health.of(model, now),
        )

    def standing(self, seat: Seat, now: int) -> Standing:
        """What the rules go by for that seat."""
        floor, model, tier = self._floor, seat.model, seat.access_tier
        known = self._catalog.models.get(model)
        metered = self._catalog.metered(model, tier)
        position = self.position(seat)
        return Standing(
            seat=seat,
            stage=stage(seat, now, floor.grace),
            banned=seat.user_id in floor.bans,
            configured=known is not None,
            position=position,
            depth=floor.lines.depth(model),
            holds=tuple(self._holds(model, now)) if known else (),
            hours=self._catalog.hours_label(model),
            health=self._health.of(model, now),
            health_unknown=self._health.unknown(model, now),
            occupied=sum(floor.seated(model, now)),
            ceiling=self._catalog.max_active(model) or 0,
            instant=self._catalog.instant_ceiling(model),
            frees_at=floor.frees_at(model, now),
            used=floor.usage.used(seat.user_id, tier, now) if metered else None,
            limit=self._meter.limits[tier] if metered else None,
            resets_at=floor.usage.day(now).reset,
            admits_per_tick=self._pace.admits_per_tick,
            tick=self._pace.tick,
            estimate=self._estimate(position),
            absent_at=floor.attendance.absent_at(seat.user_id),
        )

    def seat_row(self, seat: Seat, now: int) -> SeatRow:
        """A seat as operators see it."""
        return SeatRow(
            user_id=seat.user_id,
            model=seat.model,
            access_tier=seat.access_tier,
            state=_ROW_STATES[stage(seat, now, self._floor.grace)],
            queued_at=timestamp(seat.queued_at),
            admitted_at=None if seat.admitted_at is None else timestamp(seat.admitted_at),
            expires_at=None if seat.expires_at is None else timestamp(seat.expires_at),
            ticket=seat.ticket,
            banned=seat.user_id in self._floor.bans,
        )

    def queue_row(self, model: str, now: int) -> QueueRow:
        """A model's queue and seats in figures."""
        known = self._catalog.models.get(model)
        seated, draining = self._floor.seated(model, now)
        head = self._floor.lines.head(model)
        return QueueRow(
            model=model,
            name=known.name or model if known else model,
            tier=known.tier if known else "MEDIUM",
            waiting=self._floor.lines.depth(model),
            seated=seated,
            draining=draining,
            instant_admit_capacity=known.instant_admit_capacity if known else 0,
            max_active=known.max_active if known else 0,
            health=self._health.of(model, now),
            paused_reason=self.paused_reason(model, now),
            oldest_queued_at=None if head is None else timestamp(self._floor.seats[head].queued_at),
            paused=self._floor.is_paused(model),
            admits_per_tick=self._pace.admits_per_tick,
            tick_ms=self._pace.tick,
            context_tokens=known.context_tokens if known else 0,
        )

    def _queued(self, seat: Seat, now: int, requested: str | None) -> QueuedSeat:
        position = self.position(seat)
        depths = self._floor.lines.depths()
        reason = self.paused_reason(seat.model, now)
        tier = seat.access_tier
        return QueuedSeat(
            access_tier=tier,
            instance_id=seat.instance_id,
            model=seat.model,
            requested_model=requested,
            position=position,
            queue_depth=depths.get(seat.model, 0),
            queue_depth_by_model=depths,
            estimated_wait_ms=self._estimate(position),
            queued_at=timestamp(seat.queued_at),
            paused=True if reason else None,
            paused_reason=reason,
            rate_limit=self._limit(seat, now),
            rate_limits_by_model=self._limits_if_used(seat.user_id, tier, now),
        )

    def _active(self, seat: Seat, now: int, requested: str | None) -> ActiveSeat:
        expires_at = seat.expires_at or 0
        return ActiveSeat(
            access_tier=seat.access_tier,
            instance_id=seat.instance_id,
            model=seat.model,
            requested_model=requested,
            admitted_at=timestamp(_admitted_at(seat)),
            expires_at=timestamp(expires_at),
            remaining_ms=expires_at - now,
            rate_limit=self._limit(seat, now),
            rate_limits_by_model=self._limits_if_used(seat.user_id, seat.access_tier, now),
        )

    def _ended(self, seat: Seat, now: int) -> EndedSeat:
        expires_at = seat.expires_at or 0
        ends = expires_at + self._floor.grace
        return EndedSeat(
            access_tier=seat.access_tier,
            instance_id=seat.instance_id,
            admitted_at=timestamp(_admitted_at(seat)),
            expires_at=timestamp(expires_at),
            grace_period_ends_at=timestamp(ends),
            grace_period_remaining_ms=ends - now,
            rate_limits_by_model=self._limits(seat.user_id, seat.access_tier, now),
        )

    def _estimate(self, position: int) -> int:
        return estimated_wait(position, self._pace.admits_per_tick, self._pace.tick)

    def _limit(self, seat: Seat, now: int) -> RateLimit | None:
        """The seat's own pool, if its model is metered."""
        if not self._catalog.metered(seat.model, seat.access_tier):
            return None
        return self._limits(seat.user_id, seat.access_tier, now)[seat.model]

    def _limits_if_used(self, user_id: str, tier: AccessTier, now: int) -> dict[str, RateLimit] | None:
        return self._limits(user_id, tier, now) if self._floor.usage.used(user_id, tier, now) else None

    def _limits(self, user_id: str, tier: AccessTier, now: int) -> dict[str, RateLimit]:
        """Every model of the access tier's pool; they share one count."""
        used = self._floor.usage.used(user_id, tier, now)
        reset = timestamp(self._floor.usage.day(now).reset)
        return {
            model: RateLimit(
                model=model,
                limit=self._meter.limits[tier],
                reset_time_zone=self._meter.zone,
                reset_at=reset,
                recent_count=used / 10,
            )
            for model in self._catalog.pool(tier)
        }


def _admitted_at(seat: Seat) -> int:
    return seat.created_at if seat.admitted_at is None else seat.admitted_at
