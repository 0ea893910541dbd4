"""What admission answers, as the wire shows it: one struct for each status, told apart by `status`.

Fields: behaviours/admission.md, "Wire statuses". A field that does not apply is None here and absent on the wire.
Durations are ms.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from core.protocol import AccessTier, PausedReason, Timestamp, Wire

SkipReason = Literal["closed", "rate_limited", "at_capacity", "paused", "degraded", "unhealthy", "failed"]
"""Why a tick left somebody waiting, in rising order (decision 13)."""


class RateLimit(Wire, frozen=True, kw_only=True):
    """A model's daily pool: how many units there are, how many were used, and when it starts anew."""

    model: str
    limit: float
    period: Literal["day"] = "day"
    reset_time_zone: str
    reset_at: Timestamp
    recent_count: float


class SeatBase(Wire, frozen=True, kw_only=True, omit_defaults=True, tag_field="status"):
    """An answer about a seat; `http_status` is what it travels with (decision 20).

    `message` is for people, and says what to do next; see `core.admission.advice`.
    """

    http_status: ClassVar[int] = 200

    message: str = ""


class NoSeat(SeatBase, frozen=True, kw_only=True, tag="none"):
    """There is no seat (for this caller): request one."""

    access_tier: AccessTier
    queue_depth_by_model: dict[str, int]
    rate_limits_by_model: dict[str, RateLimit] | None = None


class QueuedSeat(SeatBase, frozen=True, kw_only=True, tag="queued"):
    """Waiting at `position` (from 1); `paused` while hours, health or an operator hold the queue."""

    access_tier: AccessTier
    instance_id: str
    model: str
    requested_model: str | None = None
    position: int
    queue_depth: int
    queue_depth_by_model: dict[str, int]
    estimated_wait_ms: int
    queued_at: Timestamp
    paused: bool | None = None
    paused_reason: PausedReason | None = None
    rate_limit: RateLimit | None = None
    rate_limits_by_model: dict[str, RateLimit] | None = None


class ActiveSeat(SeatBase, frozen=True, kw_only=True, tag="active"):
    """Admitted until `expires_at`."""

    access_tier: AccessTier
    instance_id: str
    model: str
    requested_model: str | None = None
    admitted_at: Timestamp
    expires_at: Timestamp
    remaining_ms: int
    rate_limit: RateLimit | None = None
    rate_limits_by_model: dict[str, RateLimit] | None = None


class EndedSeat(SeatBase, frozen=True, kw_only=True, tag="ended"):
    """Over, and in its grace: turns that are under way may finish."""

    access_tier: AccessTier
    instance_id: str
    admitted_at: Timestamp
    expires_at: Timestamp
    grace_period_ends_at: Timestamp
    grace_period_remaining_ms: int
    rate_limits_by_model: dict[str, RateLimit]


class Disabled(SeatBase, frozen=True, kw_only=True, tag="disabled"):
    """Admission is off, or does not apply to this caller: count as admitted for ever."""


class Superseded(SeatBase, frozen=True, kw_only=True, tag="superseded"):
    """Another instance holds the seat now."""


class BannedUser(SeatBase, frozen=True, kw_only=True, tag="banned"):
    """The account is banned."""

    http_status: ClassVar[int] = 403


class ModelLocked(SeatBase, frozen=True, kw_only=True, tag="model_locked"):
    """The active seat is bound to `current_model`; nothing was changed."""

    http_status: ClassVar[int] = 409

    access_tier: AccessTier
    current_model: str
    requested_model: str


class ModelUnavailable(SeatBase, frozen=True, kw_only=True, tag="model_unavailable"):
    """The model is closed at this hour; nothing was changed."""

    http_status: ClassVar[int] = 409

    access_tier: AccessTier
    requested_model: str
    available_hours: str


class ModelUnknown(SeatBase, frozen=True, kw_only=True, tag="model_unknown"):
    """The model is not configured, and there is nothing to fall back to."""

    http_status: ClassVar[int] = 400

    access_tier: AccessTier
    requested_model: str


class RateLimited(SeatBase, frozen=True, kw_only=True, tag="rate_limited"):
    """The day's units are used up, or (`period` is ``address``) the caller's address has its fill of seats.

    Nothing was changed. The reset's fields are those of the day.
    """

    http_status: ClassVar[int] = 429

    access_tier: AccessTier
    model: str
    requested_model: str | None = None
    limit: float
    period: Literal["day", "address"]
    reset_time_zone: str | None = None
    reset_at: Timestamp | None = None
    recent_count: float
    retry_after_ms: int


SeatAnswer = (
    NoSeat
    | QueuedSeat
    | ActiveSeat
    | EndedSeat
    | Disabled
    | Superseded
    | BannedUser
    | ModelLocked
    | ModelUnavailable
    | ModelUnknown
    | RateLimited
)


class AdmitAnswer(Wire, frozen=True, kw_only=True):
    """One admission of a user, with the units that it cost."""

    model: str
    access_tier: AccessTier
    admitted_at: Timestamp
    units: float


class TickReport(Wire, frozen=True, kw_only=True):
    """What one tick did. `skipped` has the models that kept somebody waiting; `errors` the parts that failed.

    `dropped` counts queued seats that nobody asked for any more, or whose model is no longer configured.
    """

    expired: int
    evicted: int
    dropped: int
    admitted: int
    skipped: dict[str, SkipReason]
    worst: SkipReason | None
    errors: dict[str, str]
