"""The seat, its stages, and what a request makes of it. Pure; times are milliseconds.

Rules: behaviours/admission.md, decisions 1, 3, 5 and 6, "joinOrTakeOver" and "Row → view".
"""

from __future__ import annotations

from typing import Literal

import msgspec

from core.errors import InvalidArgument
from core.protocol import AccessTier, Timestamp, Wire

HeldBy = Literal["client", "house"]
"""Who asked for a seat: a client, or the house itself for a caller that knows nothing of seats."""

Stage = Literal["queued", "active", "draining", "gone"]
"""Where a seat stands now. `draining` is the grace after its end, `gone` what the next sweep removes."""

Claim = Literal["locked", "kept", "reclaimed", "fresh", "replaced"]
"""What a request is to the seat that its user has (or has not): see `claim`."""


class Access(Wire, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the front knows of where a request comes from; for operators only."""

    country_code: str | None = None
    block_reason: str | None = None
    privacy_signals: list[str] = []
    address_hash: str | None = None
    checked_at: Timestamp | None = None


class Seat(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A user's place, as it is stored. `ticket` orders its queue; `instance_id` is a secret of its holder."""

    user_id: str
    status: Literal["queued", "active"]
    instance_id: str
    held_by: HeldBy
    model: str
    access_tier: AccessTier
    ticket: int
    queued_at: int
    admitted_at: int | None
    expires_at: int | None
    admit_id: int | None
    seen_at: int
    access: Access | None
    created_at: int
    updated_at: int


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One request for a seat: what was asked, the model that it comes to, and the one `now` of it."""

    user_id: str
    asked: str
    model: str
    access_tier: AccessTier
    held_by: HeldBy
    instance_id: str
    access: Access | None
    now: int


def check_user(user_id: str) -> None:
    """Raises InvalidArgument for a user id that is empty or that no database can hold (decision 16)."""
    if not user_id:
        raise InvalidArgument("the user id is empty; say whose seat it is", path="$.userId")
    if "\0" in user_id or (not user_id.isascii() and any("\ud800" <= each <= "\udfff" for each in user_id)):
        raise InvalidArgument("the user id holds characters that are no text", path="$.userId")


def stage(seat: Seat, now: int, grace: int) -> Stage:
    """Where the seat stands: alive while ``now < end``, at either of its ends (decision 1)."""
    if seat.status == "queued":
        return "queued"
    if seat.expires_at is None or now >= seat.expires_at + grace:
        return "gone"
    return "active" if now < seat.expires_at else "draining"


def is_active(seat: Seat, now: int) -> bool:
    """Whether the seat is admitted and not over."""
    return seat.status == "active" and seat.expires_at is not None and now < seat.expires_at


def claim(seat: Seat | None, ask: Ask, *, fits: bool) -> Claim:
    """What the request is to the seat; `fits` says that the seat is one for the caller's access tier.

    * ``locked``: the seat is active on another model
    * ``reclaimed``: the newest client takes over a living seat on the same model, as it is
    * ``kept``: the house asks for what is there already
    * ``replaced``: a seat that must make way, once the new one is granted: it does not fit, or the house moves
      its own seat to another model
    * ``fresh``: everything else; a queued seat of another model, or an ended one, becomes the new one
    """
    if seat is None:
        return "fresh"
    if not fits:
        return "replaced"
    if is_active(seat, ask.now) and seat.model != ask.model:
        return "replaced" if ask.held_by == seat.held_by == "house" else "locked"
    if seat.model == ask.model and (seat.status == "queued" or is_active(seat, ask.now)):
        return "kept" if ask.held_by == "house" else "reclaimed"
    return "fresh"


def reclaimed(seat: Seat, ask: Ask) -> Seat:
    """The seat after a takeover: another instance holds it, all else stays, its access tier included (decision 6)."""
    return msgspec.structs.replace(
        seat,
        instance_id=ask.instance_id,
        held_by=ask.held_by,
        access=ask.access or seat.access,
        seen_at=ask.now,
        updated_at=ask.now,
    )


def queued(ask: Ask, ticket: int, created_at: int) -> Seat:
    """A new place at the back of the queue."""
    return Seat(
        user_id=ask.user_id,
        status="queued",
        instance_id=ask.instance_id,
        held_by=ask.held_by,
        model=ask.model,
        access_tier=ask.access_tier,
        ticket=ticket,
        queued_at=ask.now,
        admitted_at=None,
        expires_at=None,
        admit_id=None,
        seen_at=ask.now,
        access=ask.access,
        created_at=created_at,
        updated_at=ask.now,
    )


def admitted(seat: Seat, admit_id: int, now: int, length: int) -> Seat:
    """The queued seat, let in for `length` ms."""
    return msgspec.structs.replace(
        seat, status="active", admitted_at=now, expires_at=now + length, admit_id=admit_id, updated_at=now
    )
