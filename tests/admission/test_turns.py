"""The gate of a turn, for callers who know of seats and for those who do not."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import Connection

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
from core.admission.gate import GateAnswer
from core.admission.seat import Seat
from core.admission.turns import as_gate, care
from core.protocol import AccessTier, SeatChanged
from core.settings import Admission
from tests.admission.house import BIG, LIMITED, MODELS, OFFICE, SMALL, START, House, OpenHouse, admission
from tests.admission.test_seat import GRACE, L, active, waiting

INSTANT = {"instant_admit_capacity": 9}
CATALOG = Catalog(admission(models=[{**MODELS[0], "companions": [OFFICE]}, *MODELS[1:]]))
HOUSE = {"held_by": "house"}


@pytest.mark.parametrize(
    ("seat", "model", "tier", "expected"),
    [
        (active(SMALL, expires_in=-GRACE), SMALL, "full", "request"),
        (active(SMALL, expires_in=L), BIG, "full", "refuse"),
        (active(SMALL, expires_in=0), SMALL, "full", "refuse"),
        (waiting(SMALL), SMALL, "full", "refuse"),
        (active(SMALL, expires_in=L, **HOUSE), SMALL, "full", "gate"),
        (active(SMALL, expires_in=L, **HOUSE), OFFICE, "full", "gate"),
        (active(SMALL, expires_in=L, **HOUSE), "someone/subagent", "full", "gate"),
        (active(SMALL, expires_in=L, **HOUSE), BIG, "full", "request"),
        (active(SMALL, expires_in=L, **HOUSE), SMALL, "limited", "request"),
        (active(SMALL, expires_in=0, **HOUSE), SMALL, "full", "request"),
        (waiting(SMALL, **HOUSE), SMALL, "full", "request"),
    ],
)
def test_who_takes_care(seat: Seat, model: str, tier: AccessTier, expected: str) -> None:
    assert care(seat, model, tier, CATALOG, now=START, grace=GRACE) == expected


QUEUED = QueuedSeat(
    access_tier="full",
    instance_id="i",
    model=SMALL,
    position=3,
    queue_depth=3,
    queue_depth_by_model={SMALL: 3},
    estimated_wait_ms=30_000,
    queued_at="2026-04-17T12:00:00Z",
)
LIMITED_TODAY = RateLimited(
    access_tier="full",
    model=BIG,
    limit=5,
    period="day",
    reset_time_zone="UTC",
    reset_at="2026-04-18T00:00:00Z",
    recent_count=5,
    retry_after_ms=12_000,
)


@pytest.mark.parametrize(
    ("answer", "code", "status", "retry", "says"),
    [
        (BannedUser(), "banned", 403, None, "banned"),
        (QUEUED, "waiting_room_queued", 429, 30_000, "number 3 in the queue for small; try again in 30 s"),
        (LIMITED_TODAY, "rate_limited", 429, 12_000, "after 2026-04-18T00:00:00Z"),
        (
            RateLimited(
                access_tier="full", model=BIG, limit=2, period="address", recent_count=2, retry_after_ms=7
            ),
            "rate_limited",
            429,
            7,
            "your address",
        ),
        (
            ModelUnavailable(access_tier="full", requested_model=OFFICE, available_hours="09:00 – 17:00"),
            "model_unavailable",
            409,
            None,
            "09:00 – 17:00",
        ),
        (
            ModelLocked(access_tier="full", current_model=SMALL, requested_model=BIG),
            "model_locked",
            409,
            None,
            "for small",
        ),
        (ModelUnknown(access_tier="full", requested_model="x/y"), "model_unknown", 400, None, "x/y"),
        (
            NoSeat(access_tier="full", queue_depth_by_model={}, message=""),
            "waiting_room_required",
            428,
            None,
            "Request",
        ),
        (Superseded(), "waiting_room_required", 428, None, "Request"),
    ],
)
def test_a_refused_seat_is_a_refused_turn(
    answer: SeatAnswer, code: str, status: int, retry: int | None, says: str
) -> None:
    found = as_gate(answer, 15_000)
    assert (found.ok, found.code, found.http_status, found.retry_after_ms) == (False, code, status, retry)
    assert says in found.message


def test_a_granted_seat_is_a_granted_turn() -> None:
    active_seat = ActiveSeat(
        access_tier="full",
        instance_id="i",
        model=SMALL,
        admitted_at="2026-04-17T12:00:00Z",
        expires_at="2026-04-17T13:00:00Z",
        remaining_ms=5,
    )
    ended = EndedSeat(
        access_tier="full",
        instance_id="i",
        admitted_at="",
        expires_at="",
        grace_period_ends_at="",
        grace_period_remaining_ms=7,
        rate_limits_by_model={},
    )
    assert as_gate(active_seat, 1) == GateAnswer(ok=True, http_status=200, reason="active", remaining_ms=5)
    assert as_gate(ended, 1).grace_period_remaining_ms == 7
    assert as_gate(Disabled(), 1).reason == "disabled"


async def code(
    house: House, user_id: str, model: str, instance_id: str | None = None, **terms: object
) -> str:
    """What a turn is told: the reason or the code."""
    answer = await house.room.pass_turn(user_id, instance_id, model, **terms)  # type: ignore[arg-type]
    return answer.reason or answer.code or ""


@pytest.mark.parametrize("settings", [Admission(), admission(enabled=False)])
async def test_where_admission_has_nothing_to_say_everybody_passes(
    open_house: OpenHouse, settings: Admission
) -> None:
    house = await open_house(settings)
    assert await code(house, "local", "any/model") == "disabled"
    assert house.room.seat_count() == 0
    await house.room.ban("local", actor="op")
    assert await code(house, "local", "any/model") == "banned"


async def test_a_developer_is_simply_let_in_and_later_turns_ask_no_database(open_house: OpenHouse) -> None:
    house = await open_house(admission(each=INSTANT))
    first, *others = await asyncio.gather(*(code(house, "local", SMALL) for _ in range(5)))
    assert {first, *others} == {"active"}
    assert len(await house.room.admits_of("local")) == 1
    told = house.journal.cursor
    await house.database.aclose()
    assert await code(house, "local", SMALL) == "active"
    assert await code(house, "local", "someone/subagent") == "active"
    assert house.journal.cursor == told


async def test_five_turns_at_once_take_one_seat_and_take_it_over_from_nobody(open_house: OpenHouse) -> None:
    house = await open_house(admission(each=INSTANT))
    await asyncio.gather(*(code(house, "local", SMALL) for _ in range(5)))
    told = [event.what for event in await house.events() if isinstance(event, SeatChanged)]
    assert told == ["queued", "admitted"]


async def test_a_developer_who_switches_models_is_not_locked_out(open_house: OpenHouse) -> None:
    house = await open_house(admission(each=INSTANT))
    assert await code(house, "local", BIG) == "active"
    house.clock.advance(60)
    assert await code(house, "local", SMALL) == "active"
    assert [(each.model, each.units) for each in await house.room.admits_of("local")] == [
        (BIG, 0.1),
        (SMALL, 1.0),
    ]


async def test_a_switch_that_is_not_granted_destroys_nothing(open_house: OpenHouse) -> None:
    house = await open_house(admission(each=INSTANT, quota={"full": 0}))
    assert await code(house, "local", SMALL) == "active"
    assert await code(house, "local", OFFICE) == "model_unavailable"
    assert await code(house, "local", BIG) == "rate_limited"
    assert await code(house, "local", SMALL) == "active"
    assert len(await house.room.admits_of("local")) == 1


async def test_a_switch_within_a_pool_counts_what_it_gives_back(open_house: OpenHouse) -> None:
    more = [*MODELS, {**MODELS[1], "id": "bigger"}]
    settings = admission(models=[{**model, **INSTANT} for model in more], quota={"full": 1})
    house = await open_house(settings)
    assert await code(house, "local", BIG) == "active"
    house.clock.advance(60)
    assert await code(house, "local", "bigger") == "active"
    assert [each.units for each in await house.room.admits_of("local")] == [0.1, 1.0]
    house.clock.advance(3599)
    assert await code(house, "local", BIG) == "rate_limited"


async def test_a_seat_of_the_house_is_renewed_when_it_drains(open_house: OpenHouse) -> None:
    house = await open_house(admission(each=INSTANT))
    await code(house, "local", SMALL)
    house.clock.advance(3600)
    answer = await house.room.pass_turn("local", None, SMALL)
    assert (answer.reason, answer.remaining_ms) == ("active", 3_600_000)


async def test_a_seat_that_a_client_requested_is_held_to_the_gates_rules(open_house: OpenHouse) -> None:
    house = await open_house(admission(each=INSTANT))
    seat = await house.admitted("u")
    mine = seat.instance_id
    assert await code(house, "u", SMALL) == "update_required"
    assert await code(house, "u", SMALL, mine) == "active"
    assert await code(house, "u", BIG, mine) == "session_model_mismatch"
    house.clock.advance(3600)
    assert await code(house, "u", SMALL) == "update_required"
    assert await code(house, "u", SMALL, mine) == "draining"
    assert house.room.state("u", instance_id=seat.instance_id).__struct_config__.tag == "ended"
    house.clock.advance(1800)
    assert await code(house, "u", SMALL) == "active"
    now = house.room.seat_of("u")
    assert now is not None
    assert now.held_by == "house"


async def test_a_client_that_queues_is_told_to_wait_and_keeps_its_instance(open_house: OpenHouse) -> None:
    house = await open_house()
    await house.queued("first")
    seat = await house.queued("u")
    answer = await house.room.pass_turn("u", seat.instance_id, SMALL)
    assert (answer.code, answer.http_status, answer.retry_after_ms) == ("waiting_room_queued", 429, 15_000)
    assert await code(house, "u", SMALL) == "update_required"
    after = house.room.seat_of("u")
    assert after is not None
    assert after.instance_id == seat.instance_id


async def test_with_an_instance_it_is_the_gate(open_house: OpenHouse) -> None:
    house = await open_house(admission(each=INSTANT))
    assert await code(house, "u", SMALL, "i") == "waiting_room_required"
    seat = await house.admitted("u")
    assert await code(house, "u", SMALL, seat.instance_id) == "active"
    assert await code(house, "u", BIG, seat.instance_id) == "session_model_mismatch"
    assert await code(house, "u", SMALL, "foreign") == "session_superseded"
    assert await code(house, "u", SMALL, "") == "update_required"  # an empty one counts as missing


async def test_a_turn_waits_its_turn_and_gets_in(open_house: OpenHouse) -> None:
    house = await open_house(admission(each={"max_active": 1}))
    await house.queued("first")
    assert await code(house, "local", SMALL) == "waiting_room_queued"
    assert await code(house, "local", SMALL) == "waiting_room_queued"
    assert house.room.queue_rows()[0].waiting == 2
    await house.room.tick()
    await house.room.end("first")
    await house.room.tick()
    assert await code(house, "local", SMALL) == "active"


async def test_a_held_queue_says_what_holds_it(open_house: OpenHouse) -> None:
    house = await open_house(admission(each=INSTANT))
    await house.room.pause(None, actor="op")
    answer = await house.room.pass_turn("local", None, SMALL)
    assert answer.code == "waiting_room_queued"
    assert "held (paused)" in answer.message


async def test_an_unknown_model_takes_a_seat_on_the_fallback(open_house: OpenHouse) -> None:
    house = await open_house(admission(each=INSTANT))
    assert await code(house, "local", "x/y") == "active"
    seat = house.room.seat_of("local")
    assert seat is not None
    assert seat.model == SMALL
    without = await open_house(admission(each=INSTANT, fallback_model=""))
    assert await code(without, "local", "x/y") == "model_unknown"


async def test_a_limited_caller_is_not_served_what_is_not_theirs(open_house: OpenHouse) -> None:
    house = await open_house(admission(each=INSTANT))
    assert await code(house, "u", BIG, access_tier="limited") == "session_model_mismatch"
    assert house.room.seat_count() == 0
    assert await code(house, "u", LIMITED, access_tier="limited") == "active"


async def test_a_client_takes_the_houses_seat_over(open_house: OpenHouse) -> None:
    house = await open_house(admission(each=INSTANT))
    await code(house, "u", SMALL)
    seat = await house.admitted("u")
    assert len(await house.room.admits_of("u")) == 1
    assert await code(house, "u", BIG) == "update_required"
    assert await code(house, "u", BIG, seat.instance_id) == "session_model_mismatch"
    assert await code(house, "u", SMALL, seat.instance_id) == "active"


@pytest.mark.parametrize(
    ("user_id", "model", "tier", "expected"),
    [
        ("big", BIG, "full", True),  # their seat is on it
        ("big", SMALL, "full", True),
        ("small", BIG, "full", False),  # metered: it would take a new admission
        (None, BIG, "full", False),
        (None, SMALL, "full", True),
        (None, LIMITED, "limited", False),
        (None, SMALL, "limited", False),
        (None, "x/y", "full", False),
    ],
)
async def test_what_an_escalation_may_use(
    open_house: OpenHouse, user_id: str | None, model: str, tier: AccessTier, expected: bool
) -> None:
    house = await open_house(admission(each=INSTANT))
    await house.admitted("big", BIG)
    await house.admitted("small", SMALL)
    assert house.room.may_use(user_id, model, tier) is expected


async def test_without_admission_an_escalation_may_use_anything(open_house: OpenHouse) -> None:
    off = await open_house(admission(enabled=False))
    assert off.room.may_use(None, BIG, "limited")
    empty = await open_house(Admission())
    assert empty.room.may_use("u", "x/y", "full")


async def test_an_ended_seat_covers_no_escalation(open_house: OpenHouse) -> None:
    house = await open_house(admission(each=INSTANT))
    await house.admitted("big", BIG)
    house.clock.advance(3600)
    assert not house.room.may_use("big", BIG, "full")


async def test_the_origin_of_a_request_is_kept_and_never_sent(open_house: OpenHouse) -> None:
    house = await open_house(admission(each=INSTANT))
    await code(house, "u", SMALL)

    def stored(connection: Connection) -> object:
        return connection.exec_driver_sql("SELECT access, held_by FROM seats").one()

    assert tuple(await house.database.read(stored)) == (None, "house")  # type: ignore[arg-type]
