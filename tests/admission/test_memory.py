"""What survives a restart, what the journal tells, and that memory is what the database says."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.admission import Access
from core.admission.answers import ActiveSeat, QueuedSeat
from core.admission.ledger import load
from core.protocol import QueueChanged, SeatChanged, SeatGone
from tests.admission.house import BIG, LIMITED, SMALL, House, OpenHouse, admission
from tests.storage.storage import Fresh

INSTANT = {"instant_admit_capacity": 9}


async def test_everything_survives_a_restart(open_house: OpenHouse) -> None:
    house = await open_house(admission(each={"instant_admit_capacity": 1, "max_active": 1}))
    seat = await house.admitted("a", BIG, access=Access(address_hash="h", country_code="DE"))
    for name in ("b", "c", "d"):
        await house.queued(name, BIG)
    await house.room.ban("b", actor="op", reason="spam")
    await house.room.pause(SMALL, actor="op")
    house.room.set_health(BIG, "degraded")
    before = {row.user_id: row for row in house.room.seat_rows()}
    await house.restart()
    assert {row.user_id: row for row in house.room.seat_rows()} == before
    assert house.room.seat_of("a") is not None
    assert house.room.seat_of("a").access == Access(address_hash="h", country_code="DE")  # type: ignore[union-attr]
    assert house.room.seats_at("h") == 1
    assert house.room.gate("a", seat.instance_id).reason == "active"
    assert house.status("b") == "banned"
    answer = house.room.state("d")
    assert isinstance(answer, QueuedSeat)
    assert (answer.position, answer.paused) == (2, None)  # the health that was set is forgotten
    assert (await house.queued("e", SMALL)).paused_reason == "paused"
    again = house.room.state("a")
    assert isinstance(again, ActiveSeat)
    assert again.rate_limit is not None
    assert again.rate_limit.recent_count == 1
    assert isinstance(await house.room.request("x", BIG), QueuedSeat)  # the ceiling is known


async def test_tickets_are_never_drawn_twice(open_house: OpenHouse) -> None:
    house = await open_house()
    await house.queued("a")
    await house.queued("b")
    await house.room.end("b")
    await house.restart()
    await house.queued("c")
    seats = [house.room.seat_of(name) for name in "ac"]
    assert [seat.ticket for seat in seats if seat] == [1, 3]


async def test_a_drifted_count_of_places_is_mended_at_the_start(open_house: OpenHouse) -> None:
    house = await open_house(admission(each={"instant_admit_capacity": 1}))
    await house.admitted("a")
    await house.execute("UPDATE counters SET value = 7 WHERE name LIKE 'active%'")
    await house.restart()
    await house.room.end("a")
    await house.admitted("b")
    await house.queued("c")


async def test_the_journal_tells_a_seats_life(open_house: OpenHouse) -> None:
    house = await open_house(admission(each={"instant_admit_capacity": 1}))
    await house.admitted("a")
    await house.queued("b")
    await house.admitted("b", BIG)
    await house.room.end("a")
    await house.admitted("a")
    await house.admitted("a")
    house.clock.advance(3600)
    await house.room.tick()
    house.clock.advance(1800)
    await house.room.tick()
    told = [
        (event.what, event.seat.user_id if isinstance(event, SeatChanged) else event.user_id)
        for event in await house.events()
        if isinstance(event, SeatChanged | SeatGone)
    ]
    assert sorted(told[-2:]) == [("expired", "a"), ("expired", "b")]
    assert told[:-2] == [
        ("queued", "a"),
        ("admitted", "a"),
        ("queued", "b"),
        ("switched", "b"),
        ("admitted", "b"),
        ("ended", "a"),
        ("queued", "a"),
        ("admitted", "a"),
        ("taken_over", "a"),
        ("ended", "a"),
        ("ended", "b"),
    ]


async def test_queues_are_told_when_their_figures_change_and_only_then(open_house: OpenHouse) -> None:
    house = await open_house(admission(each={"instant_admit_capacity": 1}))
    await house.admitted("a")
    await house.queued("b")
    told = house.journal.cursor
    await house.queued("b")  # a takeover moves no figure
    await house.room.tick()
    assert [event for event in await house.events(told) if isinstance(event, QueueChanged)][:1] != []
    told = house.journal.cursor
    await house.room.tick()
    assert await house.events(told) == []
    await house.room.pause(SMALL, actor="op")
    house.room.set_health(SMALL, "unhealthy")
    rows = [event.queue for event in await house.events(told) if isinstance(event, QueueChanged)]
    assert [(row.model, row.paused_reason, row.health) for row in rows] == [
        (SMALL, "paused", "healthy"),
        (SMALL, "unhealthy", "unhealthy"),
    ]


async def test_a_view_and_the_later_events_add_up(open_house: OpenHouse) -> None:
    house = await open_house(admission(each={"instant_admit_capacity": 1}))
    await house.admitted("a")
    await house.queued("b")
    seats = {row.user_id: row for row in house.room.seat_rows()}
    queues = {row.model: row for row in house.room.queue_rows()}
    told = house.journal.cursor
    await house.queued("c")
    await house.room.ban("b", actor="op")
    await house.room.end("a")
    await house.room.tick()
    house.clock.advance(3600)
    await house.room.tick()
    for event in await house.events(told):
        match event:
            case SeatChanged():
                seats[event.seat.user_id] = event.seat
            case SeatGone():
                del seats[event.user_id]
            case QueueChanged():
                queues[event.queue.model] = event.queue
            case _:
                raise AssertionError(event)
    assert seats == {row.user_id: row for row in house.room.seat_rows()}
    assert queues == {row.model: row for row in house.room.queue_rows()}
    assert house.room.seat_row("c") == seats["c"]


async def test_draining_seats_are_shown_apart(open_house: OpenHouse) -> None:
    house = await open_house(admission(each=INSTANT))
    await house.admitted("a")
    house.clock.advance(60)
    await house.admitted("b")
    house.clock.advance(3540)
    await house.room.tick()
    row = house.room.queue_rows()[0]
    assert (row.model, row.seated, row.draining, row.waiting) == (SMALL, 1, 1, 0)
    assert [each.state for each in house.room.seat_rows()] == ["ended", "active"]
    told = house.journal.cursor
    await house.room.tick()
    assert await house.events(told) == []  # an end is told once


USERS = st.sampled_from("abcd")
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("request"),
            USERS,
            st.sampled_from([SMALL, BIG, LIMITED]),
            st.sampled_from(["full", "limited"]),
        ),
        st.tuples(st.sampled_from(["end", "ban", "unban", "turn"]), USERS),
        st.tuples(st.just("advance"), st.sampled_from([1, 1800, 3600, 5400])),
        st.tuples(st.sampled_from(["tick", "pause", "resume"])),
    ),
    max_size=25,
)


async def _do(house: House, step: tuple[Any, ...]) -> None:
    match step:
        case ("request", user, model, tier):
            await house.room.request(user, model, access_tier=tier)
        case ("end", user):
            await house.room.end(user)
        case ("ban", user):
            await house.room.ban(user, actor="op")
        case ("unban", user):
            await house.room.unban(user)
        case ("turn", user):
            await house.room.pass_turn(user, None, SMALL)
        case ("advance", seconds):
            house.clock.advance(seconds)
        case ("tick",):
            assert (await house.room.tick()).errors == {}
        case ("pause",):
            await house.room.pause(None, actor="op")
        case _:
            await house.room.resume(None)


async def _compare(house: House) -> None:
    """Seats, places, units and the counters of occupied places, against the file."""
    statement = "SELECT name, value FROM counters WHERE value <> 0"
    counters = {
        row.name: row.value
        for row in await house.database.read(lambda connection: connection.exec_driver_sql(statement).all())
    }
    stored = await house.database.write(lambda connection: load(connection, 0))
    assert {seat.user_id: seat for seat in stored.seats} == {
        user: seat for user in "abcd" if (seat := house.room.seat_of(user)) is not None
    }
    active = [seat.model for seat in stored.seats if seat.status == "active"]
    assert {name: value for name, value in counters.items() if name.startswith("active_seats:")} == {
        f"active_seats:{model}": active.count(model) for model in set(active)
    }
    for model in (SMALL, BIG, LIMITED):
        line = sorted(
            (seat for seat in stored.seats if seat.status == "queued" and seat.model == model),
            key=lambda seat: seat.ticket,
        )
        free = [seat for seat in line if seat.user_id not in stored.bans]
        for position, seat in enumerate(free, start=1):
            answer = house.room.state(seat.user_id, access_tier=seat.access_tier)
            assert isinstance(answer, QueuedSeat)
            assert (answer.position, answer.queue_depth) == (position, len(free))


@pytest.mark.parametrize("fresh", ["sqlite"], indirect=True)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_memory_is_what_the_database_says(fresh: Fresh, steps: list[Any]) -> None:
    asyncio.run(_play(fresh, steps))


@pytest.mark.parametrize("fresh", ["postgres"], indirect=True)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_memory_is_what_a_database_that_others_share_says(fresh: Fresh, steps: list[Any]) -> None:
    asyncio.run(_play(fresh, steps))


async def _play(fresh: Fresh, steps: list[Any]) -> None:
    """Whatever happens: seats, bans and counters agree, and no ceiling is crossed."""
    house = House(
        fresh(),
        admission(each={"instant_admit_capacity": 1, "max_active": 2}, quota={"full": 2, "limited": 2}),
    )
    await house.open()
    try:
        for step in steps:
            await _do(house, step)
            for row in house.room.queue_rows():
                assert row.seated + row.draining <= 2
        await _compare(house)
    finally:
        await house.aclose()
        fresh.give_back()
