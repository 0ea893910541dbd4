"""The gate of a turn whose caller may know nothing of seats: then the house takes care of one. Pure.

A client that requested its seat itself is held to the gate's rules, the instance id included: without it any other
client of the user could go on beside the newest one, which alone holds the seat. For everybody else a seat is requested
when it is needed, so that with admission on its defaults a local developer is simply let in (DESIGN, "One turn").
"""

from __future__ import annotations

from typing import Literal, assert_never

from core.admission.advice import next_step, place
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

Care = Literal["gate", "request", "refuse"]


def care(seat: Seat, model: str, tier: AccessTier, catalog: Catalog, *, now: int, grace: int) -> Care:
    """For a caller without an instance id: whether the seat that is there decides at the gate, the house requests one
    first, or the caller is refused because a client holds it.
    """
    where = stage(seat, now, grace)
    if where == "gone":
        return "request"
    if seat.held_by == "client":
        return "refuse"
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
            return refused("rate_limited", next_step(answer), retry_after=answer.retry_after_ms)
        case _:
            return refused(*_reason(answer))


def _reason(
    answer: BannedUser | ModelLocked | ModelUnavailable | ModelUnknown | NoSeat | Superseded,
) -> tuple[GateCode, str]:
    """The code of a refusal that waiting does not mend, and what to do next (empty: the code's own words)."""
    match answer:
        case BannedUser():
            return "banned", ""
        case ModelLocked():
            return "model_locked", next_step(answer)
        case ModelUnavailable():
            return "model_unavailable", next_step(answer)
        case ModelUnknown():
            return "model_unknown", next_step(answer)
        case NoSeat() | Superseded():
            return "waiting_room_required", ""
        case _:
            assert_never(answer)


def _queued(answer: QueuedSeat, tick: int) -> GateAnswer:
    wait = max(tick, answer.estimated_wait_ms)
    message = f"{place(answer)}; try again in {-(-wait // 1000)} s."
    return refused("waiting_room_queued", message, retry_after=wait)
