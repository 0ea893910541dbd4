"""The gate's decision table, row by row."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from core.admission.catalog import Catalog
from core.admission.gate import GateAnswer, Passenger, check
from core.admission.seat import Seat
from tests.admission.house import BIG, LIMITED, SMALL, START, admission
from tests.admission.test_seat import GRACE, L, active, waiting

CATALOG = Catalog(admission())


def at_gate(seat: Seat | None, **changes: Any) -> GateAnswer:
    values: dict[str, Any] = {
        "instance_id": "old",
        "model": None,
        "access_tier": "full",
        "banned": False,
        "exempt": False,
        "require_active": False,
    }
    return check(Passenger(**{**values, **changes}), seat, CATALOG, now=START, grace=GRACE)


SEAT = active(SMALL, expires_in=L)


@pytest.mark.parametrize(
    ("seat", "changes", "code", "status"),
    [
        (SEAT, {"banned": True, "exempt": True}, "banned", 403),
        (SEAT, {"instance_id": None}, "update_required", 426),
        (SEAT, {"instance_id": ""}, "update_required", 426),
        (None, {}, "waiting_room_required", 428),
        (None, {"exempt": True, "require_active": True}, "waiting_room_required", 428),
        (waiting(SMALL), {}, "waiting_room_queued", 429),
        (waiting(SMALL), {"instance_id": "foreign"}, "waiting_room_queued", 429),
        (waiting(SMALL), {"access_tier": "limited"}, "waiting_room_required", 428),
        (active(SMALL, expires_in=-GRACE), {}, "session_expired", 410),
        (active(SMALL, expires_in=-GRACE), {"instance_id": "foreign"}, "session_expired", 410),
        (SEAT, {"instance_id": "foreign"}, "session_superseded", 409),
        (active(SMALL, expires_in=0), {"instance_id": "foreign"}, "session_superseded", 409),
        (SEAT, {"access_tier": "limited"}, "session_model_mismatch", 409),
        (SEAT, {"model": BIG}, "session_model_mismatch", 409),
        (active("no more", expires_in=L), {}, "session_model_mismatch", 409),
        (
            active(LIMITED, expires_in=L, access_tier="limited"),
            {"model": SMALL, "access_tier": "limited"},
            "session_model_mismatch",
            409,
        ),
    ],
)
def test_refusals(seat: Seat | None, changes: dict[str, Any], code: str, status: int) -> None:
    answer = at_gate(seat, **changes)
    assert (answer.ok, answer.code, answer.http_status, answer.reason) == (False, code, status, None)
    assert answer.message.endswith(".")
    assert "\n" not in answer.message


@pytest.mark.parametrize(
    ("seat", "changes", "reason", "remaining", "grace"),
    [
        (None, {"exempt": True}, "disabled", None, None),
        (None, {"exempt": True, "instance_id": None}, "disabled", None, None),
        (SEAT, {}, "active", L, None),
        (SEAT, {"exempt": True, "require_active": True}, "active", L, None),
        (SEAT, {"model": SMALL}, "active", L, None),
        (SEAT, {"model": ""}, "active", L, None),
        (SEAT, {"model": "someone/subagent"}, "active", L, None),
        (active(SMALL, expires_in=1), {}, "active", 1, None),
        (active(SMALL, expires_in=0), {}, "draining", None, GRACE),
        (active(SMALL, expires_in=1 - GRACE), {}, "draining", None, 1),
        (active(LIMITED, expires_in=L, access_tier="limited"), {}, "active", L, None),
    ],
)
def test_passes(
    seat: Seat | None, changes: dict[str, Any], reason: str, remaining: int | None, grace: int | None
) -> None:
    answer = at_gate(seat, **changes)
    assert (answer.ok, answer.reason, answer.http_status, answer.code) == (True, reason, 200, None)
    assert (answer.remaining_ms, answer.grace_period_remaining_ms) == (remaining, grace)


def test_the_wire_shows_only_what_applies() -> None:
    assert msgspec.to_builtins(at_gate(SEAT)) == {
        "ok": True,
        "httpStatus": 200,
        "reason": "active",
        "remainingMs": L,
    }
    assert set(msgspec.to_builtins(at_gate(None))) == {"ok", "httpStatus", "code", "message"}
