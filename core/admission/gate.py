"""The gate: may this request pass? Pure.

Rules: behaviours/admission.md, decisions 5, 11, 12, 16 and 17 and "checkSessionAdmissible".
"""

from __future__ import annotations

from typing import Literal

import msgspec

from core.admission.catalog import Catalog
from core.admission.seat import Seat, stage
from core.protocol import AccessTier, Wire

GateReason = Literal["disabled", "active", "draining"]
GateCode = Literal[
    "banned",
    "update_required",
    "waiting_room_required",
    "waiting_room_queued",
    "session_expired",
    "session_superseded",
    "session_model_mismatch",
    "rate_limited",
    "model_unavailable",
    "model_locked",
    "model_unknown",
]

_REFUSALS: dict[GateCode, tuple[int, str]] = {
    "banned": (403, "This account is banned; an operator can lift that."),
    "update_required": (
        426,
        "Send the instance id of your seat, as POST /v1/seats gave it; a client that knows of none needs an update.",
    ),
    "waiting_room_required": (428, "Request a seat first, with POST /v1/seats."),
    "waiting_room_queued": (429, "Wait, and poll GET /v1/seats/{userId} until your seat is active."),
    "session_expired": (410, "Your seat is over; request a new one with POST /v1/seats."),
    "session_superseded": (
        409,
        "Another client has taken over your seat; request it again with POST /v1/seats to take it back.",
    ),
    "session_model_mismatch": (
        409,
        "Your seat is for another model; use that one, or DELETE /v1/seats/{userId} and request a new one.",
    ),
    "rate_limited": (429, "The day's units are used up; come back after the reset, or use another model."),
    "model_unavailable": (409, "The model is closed at this hour; come back when it opens, or use another."),
    "model_locked": (
        409,
        "Your active seat is for another model; use that one, or end it with DELETE /v1/seats/{userId}.",
    ),
    "model_unknown": (400, "This model is not offered; ask for one of the configured models."),
}


class GateAnswer(Wire, frozen=True, kw_only=True, omit_defaults=True):
    """Whether a request may pass: `reason` when it may, `code` and `message` when not. Durations in ms."""

    ok: bool
    http_status: int
    reason: GateReason | None = None
    code: GateCode | None = None
    remaining_ms: int | None = None
    grace_period_remaining_ms: int | None = None
    retry_after_ms: int | None = None
    message: str = ""


class Passenger(msgspec.Struct, frozen=True, kw_only=True):
    """Who stands at the gate with what. An empty instance id or model counts as missing."""

    instance_id: str | None
    model: str | None
    access_tier: AccessTier
    banned: bool
    exempt: bool
    """Admission is off, or does not apply to this caller's address."""
    require_active: bool


def passed(reason: GateReason, *, remaining: int | None = None, grace: int | None = None) -> GateAnswer:
    """The answer that lets a request through."""
    return GateAnswer(
        ok=True, http_status=200, reason=reason, remaining_ms=remaining, grace_period_remaining_ms=grace
    )


def refused(code: GateCode, message: str = "", *, retry_after: int | None = None) -> GateAnswer:
    """The answer that does not; without a `message` it is the code's own."""
    status, standard = _REFUSALS[code]
    return GateAnswer(
        ok=False, http_status=status, code=code, retry_after_ms=retry_after, message=message or standard
    )


def check(who: Passenger, seat: Seat | None, catalog: Catalog, *, now: int, grace: int) -> GateAnswer:
    """The gate's decision, in its strict order; the first that holds counts."""
    if who.banned:
        return refused("banned")
    if who.exempt and not who.require_active:
        return passed("disabled")
    if not who.instance_id:
        return refused("update_required")
    if seat is None:
        return refused("waiting_room_required")
    fits = catalog.fits(seat.model, seat.access_tier, who.access_tier)
    match stage(seat, now, grace):
        case "queued":
            return refused("waiting_room_queued" if fits else "waiting_room_required")
        case "gone":
            return refused("session_expired")
        case "active" | "draining":
            return _check_held(who, seat, catalog, fits=fits, now=now, grace=grace)


def _check_held(
    who: Passenger, seat: Seat, catalog: Catalog, *, fits: bool, now: int, grace: int
) -> GateAnswer:
    """The rest of the way, for a seat that is active or draining."""
    if who.instance_id != seat.instance_id:
        return refused("session_superseded")
    if not fits or (who.model and not catalog.usable(seat.model, who.model, who.access_tier)):
        return refused("session_model_mismatch")
    end = seat.expires_at or 0
    if now < end:
        return passed("active", remaining=end - now)
    return passed("draining", grace=end + grace - now)
