"""The gate of a turn whose caller may know nothing of seats: then the house takes care of one. Pure.

A client that requested its seat itself is held to the gate's rules. For everybody else a seat is requested when it
is needed, so that with admission on its defaults a local developer is simply let in (DESIGN, "One turn").
"""

from __future__ import annotations

from typing import Literal, assert_never

from core.admission.answers import (
    ActiveSeat,
    BannedUser,
    Disabled,
    EndedSeat,
    ModelLocked,
    ModelUnavailable,
    ModelUnknown,
    NoSeat,
    QueuedSeat,
    RateLimited,
    SeatAnswer,
    Superseded,
)
from core.admission.catalog import Catalog
from core.admission.gate import GateAnswer, GateCode, passed, refused
from core.admission.seat import Seat, stage
from core.protocol import AccessTier

Care = Literal["gate", "request"]


def care(seat: Seat, model: str, tier: AccessTier, catalog: Catalog, *, now: int, grace: int) -> Care:
    """Whether the seat that is there decides at the gate, or the house requests one for the caller first."""
    where = stage(seat, now, grace)
    if where == "gone":
        return "request"
    if seat.held_by == "client":
        return "gate"
    fits = catalog.fits(seat.model, seat.access_tier, tier)
    return "gate" if where == "active" and fits and catalog.usable(seat.model, model, tier) else "request"


def as_gate(answer: SeatAnswer, tick: int) -> GateAnswer:
    """The gate's answer after the house has requested a seat; who queues had better wait `tick` ms at least."""
    match answer:
        case Disabled():
            return passed("disabled")
        case ActiveSeat(remaining_ms=remaining):
            return passed("active", remaining=remaining)
        case EndedSeat(grace_period_remaining_ms=left):
            return passed("draining", grace=left)
        case QueuedSeat():
            return _queued(answer, tick)
        case RateLimited():
            return _rate_limited(answer)
        case _:
            return refused(*_reason(answer))


def _reason(
    answer: BannedUser | ModelLocked | ModelUnavailable | ModelUnknown | NoSeat | Superseded,
) -> tuple[GateCode, str]:
    """The code of a refusal that waiting does not mend, and what to do next (empty: the code's own words)."""
    match answer:
        case BannedUser():
            return "banned", ""
        case ModelLocked(current_model=current):
            return (
                "model_locked",
                f"Your active seat is for {current}; use that model, or end the seat first.",
            )
        case ModelUnavailable(requested_model=asked, available_hours=hours):
            return (
                "model_unavailable",
                f"{asked} is closed now; come back in its hours ({hours}), or use another model.",
            )
        case ModelUnknown(requested_model=asked):
            return (
                "model_unknown",
                f"{asked or 'No model'} is not offered; ask for one of the configured models.",
            )
        case NoSeat() | Superseded():
            return "waiting_room_required", ""
        case _:
            assert_never(answer)


def _queued(answer: QueuedSeat, tick: int) -> GateAnswer:
    wait = max(tick, answer.estimated_wait_ms)
    held = f"; the queue is held ({answer.paused_reason})" if answer.paused else ""
    return refused(
        "waiting_room_queued",
        f"You are number {answer.position} in the queue for {answer.model}{held}; try again in {-(-wait // 1000)} s.",
        retry_after=wait,
    )


def _rate_limited(answer: RateLimited) -> GateAnswer:
    if answer.period == "address":
        message = "Too many seats come from your address; try again when one of them has ended."
    else:
        message = (
            f"Today's {answer.limit:g} units for {answer.model} are used up; "
            f"come back after {answer.reset_at}, or use another model."
        )
    return refused("rate_limited", message, retry_after=answer.retry_after_ms)
