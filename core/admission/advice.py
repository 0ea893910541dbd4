"""What a caller can do next, in words, for every answer about a seat. Pure."""

from __future__ import annotations

from typing import assert_never

import msgspec

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
from core.admission.gate import GateCode, refused


def advised(answer: SeatAnswer) -> SeatAnswer:
    """The answer with its `message`, where there is something to be done."""
    return msgspec.structs.replace(answer, message=next_step(answer))


def next_step(answer: SeatAnswer) -> str:
    """What the answer means for its caller, and what to do next; empty for one who may simply go on."""
    match answer:
        case ActiveSeat() | Disabled():
            return ""
        case QueuedSeat():
            return f"{place(answer)}; wait, and poll GET /v1/seats/{{userId}}."
        case EndedSeat():
            return "Your seat is over: let what runs come to its end, then request a new one with POST /v1/seats."
        case NoSeat() | Superseded() | BannedUser():
            return refused(_gate_code(answer)).message
        case _:
            return _refusal(answer)


def _gate_code(answer: NoSeat | Superseded | BannedUser) -> GateCode:
    match answer:
        case NoSeat():
            return "waiting_room_required"
        case Superseded():
            return "session_superseded"
        case BannedUser():
            return "banned"
        case _:
            assert_never(answer)


def _refusal(answer: ModelLocked | ModelUnavailable | ModelUnknown | RateLimited) -> str:
    match answer:
        case ModelLocked(current_model=current):
            return (
                f"Your active seat is for {current}; use that model, or end the seat first with "
                "DELETE /v1/seats/{userId}."
            )
        case ModelUnavailable(requested_model=asked, available_hours=hours):
            return f"{asked} is closed now; come back in its hours ({hours}), or use another model."
        case ModelUnknown(requested_model=asked):
            return f"{asked or 'No model'} is not offered; ask for one of the configured models."
        case RateLimited():
            return _come_back(answer)
        case _:
            assert_never(answer)


def place(answer: QueuedSeat) -> str:
    """Where somebody waits, and what holds the queue, if anything does; without a full stop."""
    held = f"; the queue is held ({answer.paused_reason})" if answer.paused else ""
    return f"You are number {answer.position} in the queue for {answer.model}{held}"


def _come_back(answer: RateLimited) -> str:
    if answer.period == "address":
        return "Too many seats come from your address; try again when one of them has ended."
    return (
        f"Today's {answer.limit:g} units for {answer.model} are used up; "
        f"come back after {answer.reset_at}, or use another model."
    )
