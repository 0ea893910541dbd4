"""Requests, polls and ends on a real database."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from core.admission.answers import (
    BannedUser,
    EndedSeat,
    ModelLocked,
    ModelUnavailable,
    ModelUnknown,
    NoSeat,
    QueuedSeat,
    RateLimited,
    Superseded,
)
from core.admission.seat import Access
from core.clock import timestamp
from core.errors import AtCapacity, Banned, InvalidArgument, NotQueued, StorageFailed
from tests.admission.house import BIG, LIMITED, MODELS, OFFICE, SMALL, START, OpenHouse, admission

INSTANT = {"instant_admit_capacity": 9}


async def test_the_wire_of_a_queued_seat(open_house: OpenHouse) -> None:
    house = await open_house()
    answer = await house.queued("u", "x/y")
    assert msgspec.to_builtins(answer) == {
        "status": "queued",
        "accessTier": "full",
        "instanceId": "instance-1",
        "model": SMALL,
        "requestedModel": "x/y",
        "position": 1,
        "queueDepth": 1,
        "queueDepthByModel": {SMALL: 1},
        "estimatedWaitMs": 0,
        "queuedAt": "2026-04-17T12:00:00Z",
    }


async def test_the_wire_of_an_active_seat_in_a_pool(open_house: OpenHouse) -> None:
    house = await open_house(admission(each=INSTANT))
    answer = msgspec.to_builtins(await house.admitted("u", BIG))
    limit = {
        "model": BIG,
        "limit": 5.0,
        "period": "day",
        "resetTimeZone": "America/Los_Angeles",
        "resetAt": "2026-04-18T07:00:00Z",
        "recentCount": 1.0,
    }
    assert answer == {
        "status": "active",
        "accessTier": "full",
        "instanceId": "instance-1",
        "model": BIG,
        "admittedAt": "2026-04-17T12:00:00Z",
        "expiresAt": "2026-04-17T13:00:00Z",
        "remainingMs": 3_600_000,
        "rateLimit": limit,
        "rateLimitsByModel": {BIG: limit},
    }


async def test_an_ended_seat_names_no_model(open_house: OpenHouse) -> None:
    house = await open_house(admission(each=INSTANT))
    await house.admitted("u")
    house.clock.advance(3600.001)
    assert house.status("u", instance_id="foreign") == "superseded"
    answer = house.room.state("u", instance_id="instance-1")
    assert isinstance(answer, EndedSeat)
    wire = msgspec.to_builtins(answer)
    assert "model" not in wire
    assert wire["gracePeriodRemainingMs"] == 1_799_999
    assert wire["gracePeriodEndsAt"] == "2026-04-17T13:30:00Z"
    assert wire["rateLimitsByModel"][BIG]["recentCount"] == 0  # the full map, used or not


async def test_nobody_has_no_seat(open_house: OpenHouse) -> None:
    house = await open_house()
    await house.queued("other")
    answer = house.room.state("u")
    assert isinstance(answer, NoSeat)
    wire = msgspec.to_builtins(answer)
    assert set(wire) == {"status", "accessTier", "queueDepthByModel", "message"}
    assert wire["queueDepthByModel"] == {SMALL: 1}


async def test_ten_at_once_on_capacity_one(open_house: OpenHouse) -> None:
    house = await open_house(admission(each={"instant_admit_capacity": 1}))
    answers = await asyncio.gather(*(house.room.request(f"u{number}", SMALL) for number in range(10)))
    queued = [answer for answer in answers if isinstance(answer, QueuedSeat)]
    assert sorted(answer.position for answer in queued) == list(range(1, 10))
    assert house.room.queue_rows()[0].seated == 1


async def test_a_caller_who_has_left_is_seated_all_the_same(open_house: OpenHouse) -> None:
    house = await open_house(admission(each=INSTANT))
    task = asyncio.create_task(house.room.request("u", SMALL))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await house.room.request("other", SMALL)  # committed later, so the first has landed
    assert house.status("u") == "active"


async def test_each_of_two_clients_gets_its_own_instance_and_the_last_one_holds(
    open_house: OpenHouse,
) -> None:
    house = await open_house(admission(each=INSTANT))
    first, second = await asyncio.gather(house.admitted("u"), house.admitted("u"))
    assert first.instance_id != second.instance_id
    seat = house.room.seat_of("u")
    assert seat is not None
    assert seat.instance_id == second.instance_id
    assert isinstance(house.room.state("u", instance_id=first.instance_id), Superseded)
    assert len(await house.room.admits_of("u")) == 1


async def test_a_refusal_writes_nothing(open_house: OpenHouse) -> None:
    house = await open_house(admission(each=INSTANT, quota={"full": 1}))
    await house.admitted("u", BIG)
    before, told = house.room.seat_of("u"), house.journal.cursor
    answer = await house.room.request("u", SMALL, access=Access(country_code="FR"))
    assert answer == ModelLocked(access_tier="full", current_model=BIG, requested_model=SMALL)
    await house.room.end("u")
    house.clock.advance(7200)
    await house.admitted("u", BIG)
    assert house.room.seat_of("u") != before
    house.clock.advance(3600)
    before, told = house.room.seat_of("u"), house.journal.cursor
    assert isinstance(await house.room.request("u", BIG), RateLimited)
    assert (house.room.seat_of("u"), house.journal.cursor) == (before, told)


async def test_a_closed_model_tells_its_hours_and_what_was_asked(open_house: OpenHouse) -> None:
    house = await open_house(admission(fallback_model=OFFICE))
    answer = await house.room.request("u", "x/y")
    assert isinstance(answer, ModelUnavailable)
    assert (answer.requested_model, answer.access_tier, answer.http_status) == ("x/y", "full", 409)
    assert answer.available_hours == "09:00 America/New_York – 17:00 America/Los_Angeles"


async def test_an_active_seat_may_be_taken_over_after_hours(open_house: OpenHouse) -> None:
    house = await open_house(admission(each=INSTANT, session_seconds=100_000))
    house.clock.advance(3600)
    await house.admitted("u", OFFICE)
    house.clock.advance(12 * 3600)  # 01:00Z: closed
    assert isinstance(await house.room.request("other", OFFICE), ModelUnavailable)
    await house.admitted("u", OFFICE)


async def test_a_queued_seat_may_be_reclaimed_after_hours_but_is_not_admitted(open_house: OpenHouse) -> None:
    house = await open_house()
    house.clock.advance(3600)
    await house.queued("u", OFFICE)
    await house.restart(admission(each=INSTANT))
    house.clock.advance(12 * 3600)
    answer = await house.queued("u", OFFICE)
    assert (answer.paused, answer.paused_reason, answer.position) == (True, "closed", 1)


async def test_no_fallback(open_house: OpenHouse) -> None:
    house = await open_house(admission(fallback_model="", limited_model=""))
    answer = await house.room.request("u", "x/y")
    assert answer == ModelUnknown(access_tier="full", requested_model="x/y")
    assert answer.http_status == 400


async def test_a_seat_of_another_tier_is_ended_only_when_the_new_one_is_granted(
    open_house: OpenHouse,
) -> None:
    house = await open_house(admission(each=INSTANT, quota={"limited": 1}))
    await house.admitted("u", LIMITED, access_tier="limited")
    await house.room.end("u")
    house.clock.advance(24 * 3600)
    await house.admitted("u", LIMITED, access_tier="limited")
    house.clock.advance(3600)
    await house.room.end("u")
    await house.admitted("u", BIG)
    house.clock.advance(60)
    assert isinstance(await house.room.request("u", LIMITED, access_tier="limited"), RateLimited)
    assert house.status("u") == "active"
    house.clock.advance(24 * 3600 - 3660 - 60)
    await house.admitted("v", BIG)
    house.clock.advance(60)
    answer = await house.admitted("v", SMALL, access_tier="limited")
    assert (answer.model, answer.access_tier, answer.requested_model) == (LIMITED, "limited", SMALL)
    assert [(each.model, each.units) for each in await house.room.admits_of("v")] == [
        (BIG, 0.1),
        (LIMITED, 1.0),
    ]


async def test_a_queued_seat_of_another_tier_goes_to_the_back(open_house: OpenHouse) -> None:
    house = await open_house()
    await house.queued("u", LIMITED)
    await house.queued("v", LIMITED)
    answer = await house.queued("u", LIMITED, access_tier="limited")
    assert (answer.position, answer.access_tier) == (2, "limited")


async def test_a_full_caller_takes_a_limited_seat_over_as_it_is(open_house: OpenHouse) -> None:
    house = await open_house(admission(each=INSTANT, quota={"limited": 1, "full": 0}))
    await house.admitted("u", LIMITED, access_tier="limited")
    answer = await house.admitted("u", LIMITED)
    assert answer.access_tier == "limited"
    assert answer.rate_limit is not None
    assert answer.rate_limit.recent_count == 1


async def test_promotion_passes_who_is_over_their_own_quota_and_keeps_their_place(
    open_house: OpenHouse,
) -> None:
    house = await open_house(admission(quota={"full": 1}))
    await house.queued("spent", BIG)
    await house.queued("u", BIG)
    await house.execute(
        "INSERT INTO admits (user_id, model, access_tier, admitted_at, tenths)"
        f" VALUES ('spent', '{BIG}', 'full', {START}, 10)"
    )
    report = await house.room.tick()
    assert (report.admitted, report.skipped) == (1, {})
    assert house.status("u") == "active"
    report = await house.room.tick()
    assert (report.admitted, report.skipped, report.worst) == (0, {BIG: "rate_limited"}, "rate_limited")
    answer = house.room.state("spent")
    assert isinstance(answer, QueuedSeat)
    assert (answer.position, answer.paused) == (1, None)
    house.clock.advance(24 * 3600)
    assert (await house.room.tick()).admitted == 1


async def test_an_instant_round_admits_heads_until_the_caller_is_in(open_house: OpenHouse) -> None:
    house = await open_house()
    for name in "abc":
        await house.queued(name)
    await house.restart(admission(each={"instant_admit_capacity": 3}))
    answer = await house.queued("d")
    assert answer.position == 1
    assert [house.status(name) for name in "abcd"] == ["active", "active", "active", "queued"]


async def test_an_instant_round_passes_the_banned(open_house: OpenHouse) -> None:
    house = await open_house()
    await house.queued("bad")
    await house.room.ban("bad", actor="op")
    await house.restart(admission(each={"instant_admit_capacity": 1}))
    await house.admitted("u")


async def test_asking_again_brings_the_caller_in_but_not_those_behind(open_house: OpenHouse) -> None:
    house = await open_house()
    for name in "abc":
        await house.queued(name)
    await house.restart(admission(each=INSTANT))
    await house.admitted("b")
    assert [house.status(name) for name in "abc"] == ["active", "active", "queued"]


async def test_a_switch_takes_no_way_back(open_house: OpenHouse) -> None:
    house = await open_house()
    await house.queued("u")
    await house.queued("v")
    house.clock.advance(1)
    await house.queued("u", BIG)
    answer = await house.queued("u")
    assert (answer.position, answer.queued_at) == (2, "2026-04-17T12:00:01Z")
    seat = house.room.seat_of("u")
    assert seat is not None
    assert seat.created_at == START


async def test_the_end_of_a_seat_in_grace_costs_nothing_more(open_house: OpenHouse) -> None:
    house = await open_house(admission(each=INSTANT))
    await house.admitted("u")
    house.clock.advance(3600)
    await house.room.end("u")
    await house.room.end("u")
    assert [each.units for each in await house.room.admits_of("u")] == [1.0]
    assert house.room.seat_count() == 0


async def test_an_end_is_nothing_while_admission_does_not_apply(open_house: OpenHouse) -> None:
    settings = admission(each=INSTANT, bypass_emails=["team@acme.dev"])
    house = await open_house(settings)
    await house.admitted("u")
    await house.room.end("u", email="TEAM@acme.dev")
    assert house.room.seat_count() == 1
    await house.restart(msgspec.structs.replace(settings, enabled=False))
    await house.room.end("u")
    assert house.room.seat_count() == 1
    assert await house.room.end_seat("u")
    assert not await house.room.end_seat("u")


async def test_units_count_for_the_day_of_the_admission(open_house: OpenHouse) -> None:
    house = await open_house(admission(each=INSTANT, quota={"full": 1}))
    house.clock.advance(19 * 3600 - 1)  # a second before midnight in California
    await house.admitted("u", BIG)
    house.clock.advance(5400)
    answer = await house.admitted("u", BIG)
    assert answer.rate_limit is not None
    assert answer.rate_limit.recent_count == 1


async def test_a_ban_is_first_everywhere(open_house: OpenHouse) -> None:
    house = await open_house(admission(enabled=False))
    assert await house.room.ban("u", actor="op", reason="spam")
    assert not await house.room.ban("u", actor="op", reason="again")
    assert await house.room.request("u", SMALL) == BannedUser()
    assert house.status("u") == "banned"
    assert await house.room.unban("u")
    assert not await house.room.unban("u")
    assert house.status("u") == "disabled"


async def test_a_ban_that_another_process_wrote_is_found_at_the_door(open_house: OpenHouse) -> None:
    house = await open_house()
    await house.execute("INSERT INTO bans (user_id, at, actor, reason) VALUES ('u', 0, 'op', '')")
    assert await house.room.request("u", SMALL) == BannedUser()
    assert house.status("u") == "banned"


async def test_out_of_turn(open_house: OpenHouse) -> None:
    house = await open_house(admission(each={"max_active": 1}))
    for name in "abc":
        await house.queued(name)
    with pytest.raises(NotQueued):
        await house.room.admit_now("nobody")
    await house.room.ban("c", actor="op")
    with pytest.raises(Banned):
        await house.room.admit_now("c")
    assert (await house.room.admit_now("b")).__struct_config__.tag == "active"
    with pytest.raises(AtCapacity):
        await house.room.admit_now("a")
    house.clock.advance(5400)  # past the grace the place is free, swept or not
    await house.room.admit_now("a")


async def test_nobody_is_let_in_to_a_model_that_is_gone(open_house: OpenHouse) -> None:
    house = await open_house()
    await house.queued("a", BIG)
    await house.restart(admission(models=[model for model in MODELS if model["id"] != BIG]))
    with pytest.raises(NotQueued, match="not among the models"):
        await house.room.admit_now("a")
    seat = house.room.seat_of("a")
    assert seat is not None
    assert seat.status == "queued"


async def test_addresses_are_counted_and_capped(open_house: OpenHouse) -> None:
    house = await open_house(admission(each=INSTANT, address_cap=2))
    here = Access(address_hash="h", country_code="DE", privacy_signals=["vpn"])
    await house.admitted("a", access=here)
    await house.admitted("b", access=here)
    assert house.room.seats_at("h") == 2
    house.clock.advance(60)
    answer = await house.room.request("c", SMALL, access=here)
    assert isinstance(answer, RateLimited)
    assert (answer.period, answer.limit, answer.recent_count) == ("address", 2, 2)
    assert answer.retry_after_ms == (3600 + 1800 - 60) * 1000
    await house.admitted("b", access=here)  # a takeover is no further seat
    await house.admitted("c", access=Access(address_hash="elsewhere"))
    await house.room.end("a")
    assert house.room.seats_at("h") == 1
    await house.admitted("d", access=here)
    seat = house.room.seat_of("d")
    assert seat is not None
    assert seat.access == here


async def test_an_address_is_only_counted_without_a_cap(open_house: OpenHouse) -> None:
    house = await open_house()
    for number in range(5):
        await house.queued(f"u{number}", access=Access(address_hash="h"))
    assert house.room.seats_at("h") == 5


async def test_malformed_ids_are_refused_everywhere(open_house: OpenHouse) -> None:
    house = await open_house()
    room = house.room
    for call in (lambda: room.state(""), lambda: room.gate("", "i")):
        with pytest.raises(InvalidArgument):
            call()
    for awaited in (
        room.request("", SMALL),
        room.end(""),
        room.ban("", actor="op"),
        room.unban(""),
        room.admit_now(""),
        room.admits_of(""),
        room.pass_turn("", None, SMALL),
        room.pause("x/y", actor="op"),
        room.resume("x/y"),
    ):
        with pytest.raises(InvalidArgument):
            await awaited
    with pytest.raises(InvalidArgument):
        room.set_health("x/y", "healthy")


async def test_what_could_not_be_written_did_not_happen(open_house: OpenHouse) -> None:
    house = await open_house(admission(each=INSTANT))
    await house.refuse("INSERT", "admits")
    told = house.journal.cursor
    with pytest.raises(StorageFailed):
        await house.room.request("u", SMALL)
    assert (house.room.seat_count(), house.journal.cursor) == (0, told)
    await house.relent("admits")
    await house.admitted("u")


async def test_pauses(open_house: OpenHouse) -> None:
    house = await open_house(admission(each=INSTANT))
    room = house.room
    await room.pause(None, actor="op")
    await room.pause(SMALL, actor="op")
    await room.pause(SMALL, actor="op")
    assert (await house.queued("u")).paused_reason == "paused"
    await room.resume(SMALL)
    assert (await house.queued("u")).paused_reason == "paused"  # all of them are, still
    await room.resume(None)
    await house.admitted("u")
    await room.pause(BIG, actor="op")
    await room.resume(None)
    await house.admitted("v", BIG)


async def test_polls_and_requests_of_queued_people_keep_them_waiting(open_house: OpenHouse) -> None:
    house = await open_house(admission(abandon_seconds=600))
    for name in ("polls", "asks", "is locked out", "gates", "another tier"):
        await house.queued(name, BIG)
    house.clock.advance(300)
    house.room.state("polls")
    await house.queued("asks", BIG)
    await house.room.request("is locked out", OFFICE)  # closed: nothing is written, but it was heard of
    house.room.gate("gates", "instance-4")
    house.room.state("another tier", access_tier="limited")
    house.clock.advance(300)
    report = await house.room.tick()
    assert (report.dropped, report.expired, report.evicted) == (2, 0, 0)
    names = {row.user_id for row in house.room.seat_rows()}
    assert names == {"polls", "asks", "is locked out"}
    assert timestamp(house.clock.now()) == "2026-04-17T12:10:00Z"


async def test_texts_of_strangers_are_kept_without_what_no_database_keeps(open_house: OpenHouse) -> None:
    house = await open_house(admission(each=INSTANT, address_cap=1))
    await house.admitted("u", access=Access(address_hash="a\0b", country_code="\0"))
    answer = await house.room.request("v", SMALL, access=Access(address_hash="a\0b"))
    assert isinstance(answer, RateLimited), "the same address again"
    await house.room.ban("u", actor="o\0p", reason="\0")
    await house.room.pause(None, actor="o\0p")
    await house.restart()
    assert house.status("u") == "banned"
