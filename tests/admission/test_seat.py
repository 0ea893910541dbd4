"""The seat's stages, and what a request is to it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from core.admission.seat import Access, Ask, Seat, check_user, claim, queued, reclaimed, stage
from core.errors import InvalidArgument
from tests.admission.house import START

L, GRACE = 3_600_000, 1_800_000


def ask(model: str = "a", **changes: Any) -> Ask:
    values: dict[str, Any] = {
        "user_id": "u",
        "asked": model,
        "model": model,
        "access_tier": "full",
        "held_by": "client",
        "instance_id": "new",
        "access": None,
        "now": START,
    }
    return Ask(**{**values, **changes})


def waiting(model: str = "a", **changes: Any) -> Seat:
    first = ask(model, instance_id="old", now=START - 500, access=Access(country_code="DE"))
    return msgspec.structs.replace(queued(first, 7, START - 900), **changes)


def active(model: str = "a", *, expires_in: int, **changes: Any) -> Seat:
    times: dict[str, Any] = {"admitted_at": START + expires_in - L, "expires_at": START + expires_in}
    return waiting(model, status="active", admit_id=1, **{**times, **changes})


@pytest.mark.parametrize(
    ("expires_in", "expected"),
    [
        (L, "active"),
        (1, "active"),
        (0, "draining"),
        (-GRACE + 1, "draining"),
        (-GRACE, "gone"),
        (-GRACE - 1, "gone"),
    ],
)
def test_stages_to_the_millisecond(expires_in: int, expected: str) -> None:
    assert stage(active(expires_in=expires_in), START, GRACE) == expected


def test_without_grace_a_seat_is_gone_at_its_expiry() -> None:
    assert stage(active(expires_in=0), START, 0) == "gone"
    assert stage(active(expires_in=1), START, 0) == "active"


def test_a_queued_seat_has_no_end() -> None:
    assert stage(waiting(), START + 10**12, GRACE) == "queued"
    assert stage(active(expires_in=5, expires_at=None), START, GRACE) == "gone"


@pytest.mark.parametrize(
    ("seat", "fits", "held_by", "expected"),
    [
        (None, False, "client", "fresh"),
        (waiting("a"), True, "client", "reclaimed"),
        (waiting("b"), True, "client", "fresh"),
        (active("a", expires_in=1), True, "client", "reclaimed"),
        (active("b", expires_in=1), True, "client", "locked"),
        (active("a", expires_in=0), True, "client", "fresh"),  # exactly at expiry it is nobody's to reclaim
        (active("b", expires_in=0), True, "client", "fresh"),
        (active("a", expires_in=1, access_tier="limited"), True, "client", "reclaimed"),
        # what does not fit does not lock, and makes way
        (active("b", expires_in=1), False, "client", "replaced"),
        (active("a", expires_in=1), False, "client", "replaced"),
        (waiting("a"), False, "client", "replaced"),
        # the house moves its own seats, keeps what is there, and takes nothing from a client
        (active("b", expires_in=1, held_by="house"), True, "house", "replaced"),
        (active("b", expires_in=1, held_by="house"), True, "client", "locked"),
        (active("b", expires_in=1), True, "house", "locked"),
        (active("a", expires_in=1), True, "house", "kept"),
        (waiting("a", held_by="house"), True, "house", "kept"),
        (active("a", expires_in=0, held_by="house"), True, "house", "fresh"),
    ],
)
def test_what_a_request_is_to_the_seat(seat: Seat | None, fits: bool, held_by: str, expected: str) -> None:
    assert claim(seat, ask("a", held_by=held_by), fits=fits) == expected


def test_a_takeover_changes_the_holder_only() -> None:
    before = active("a", expires_in=L, access_tier="limited", held_by="house")
    after = reclaimed(before, ask("a"))
    changed = {name for name in Seat.__struct_fields__ if getattr(before, name) != getattr(after, name)}
    assert changed == {"instance_id", "held_by", "seen_at", "updated_at"}


def test_a_takeover_brings_its_own_origin() -> None:
    assert reclaimed(waiting(), ask(access=Access(country_code="FR"))).access == Access(country_code="FR")


@pytest.mark.parametrize("user_id", ["", "a\0b", "\ud800"])
def test_user_ids_that_no_database_can_hold(user_id: str) -> None:
    with pytest.raises(InvalidArgument):
        check_user(user_id)


@pytest.mark.parametrize("user_id", ["u", " ", "a/b:c", "ü", "😀", "'; drop table seats; --"])
def test_any_other_user_id_is_one(user_id: str) -> None:
    check_user(user_id)
