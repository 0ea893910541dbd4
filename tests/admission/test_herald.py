"""The order in which things are told: that of the changes, then of names; never that of hashes."""

from __future__ import annotations

import asyncio
import threading

from core.protocol import QueueChanged, SeatChanged, SeatGone
from tests.admission.house import BIG, MODELS, SMALL, OpenHouse, admission


async def test_queues_that_one_tick_changes_are_told_in_the_order_of_their_names(
    open_house: OpenHouse,
) -> None:
    models = [f"model-{number:02}" for number in range(12)]
    house = await open_house(
        admission(
            models=[{"id": SMALL, "limited": True}, *({"id": model} for model in models)],
            limited_model=SMALL,
            session_seconds=60,
            grace_seconds=0,
        )
    )
    for model in reversed(models):
        await house.admitted(f"user of {model}", model)
    before = len(await house.events())
    house.clock.advance(60)
    await house.room.tick()
    events = (await house.events())[before:]
    assert len([event for event in events if isinstance(event, SeatGone)]) == 12
    assert [event.queue.model for event in events if isinstance(event, QueueChanged)] == models


async def test_a_ban_shows_on_the_seat_until_the_tick_takes_it(open_house: OpenHouse) -> None:
    house = await open_house()
    await house.queued("ann")
    cursor = house.journal.cursor
    await house.room.ban("ann", actor="op")
    await house.room.ban("ann", actor="op")
    await house.room.ban("nobody", actor="op")
    await house.room.unban("ann", actor="op")
    told = [event for event in await house.events(cursor) if isinstance(event, SeatChanged)]
    assert [(event.what, event.seat.banned) for event in told] == [("banned", True), ("unbanned", False)]
    assert house.room.seat_row("ann") == told[-1].seat


async def test_a_queue_tells_whether_an_operator_holds_it_and_how_fast_it_moves(
    open_house: OpenHouse,
) -> None:
    house = await open_house(admission(tick_seconds=20, admits_per_tick=3))
    await house.room.pause(SMALL, actor="op")
    house.room.set_health(SMALL, "unhealthy")
    row = next(row for row in house.room.queue_rows() if row.model == SMALL)
    assert (row.paused, row.paused_reason) == (True, "unhealthy")
    assert (row.admits_per_tick, row.tick_ms) == (3, 20_000)


async def test_rows_of_seats_carry_their_place_in_the_order(open_house: OpenHouse) -> None:
    house = await open_house()
    for user in ("zoe", "ann", "bob"):
        await house.queued(user)
    rows = sorted(house.room.seat_rows(), key=lambda row: row.ticket)
    assert [row.user_id for row in rows] == ["zoe", "ann", "bob"]


async def test_a_queue_is_told_once_for_all_that_one_commit_brings(open_house: OpenHouse) -> None:
    house = await open_house()
    cursor, go_on = house.journal.cursor, threading.Event()
    # the writer is held until all of them stand in line, so that they share a commit
    held = house.database.submit(lambda _: go_on.wait())
    told: list[int] = []

    async def join(user: str) -> None:
        await house.queued(user)
        told.append(next(row for row in house.room.queue_rows() if row.model == SMALL).waiting)

    joining = [asyncio.create_task(join(user)) for user in ("ann", "bob", "cid", "dot")]
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(held, *joining)
    queues = [event.queue for event in await house.events(cursor) if isinstance(event, QueueChanged)]
    assert [(queue.model, queue.waiting) for queue in queues] == [(SMALL, 4)]
    assert told == [4, 4, 4, 4], "whoever goes on finds the queue as it is"


async def test_the_row_of_a_model_that_is_gone_and_empty_still_follows_a_pause(open_house: OpenHouse) -> None:
    house = await open_house()
    await house.queued("ann", BIG)
    await house.restart(admission(models=[model for model in MODELS if model["id"] != BIG]))
    await house.room.end("ann")
    await house.room.pause(None, actor="op")
    assert {row.model: row.paused for row in house.room.queue_rows()} == {
        model["id"]: True for model in MODELS
    }


async def test_a_clock_that_is_set_back_gives_seats_their_time_again(open_house: OpenHouse) -> None:
    house = await open_house(admission(each={"instant_admit_capacity": 9}))
    await house.admitted("ann")
    house.clock.advance(1800)
    await house.admitted("bob")
    cursor = house.journal.cursor
    for seconds, back in ((1800, 0.0), (0, 1.0), (0.999, 0.0), (0.001, 0.0), (1800, 0.0)):
        house.clock.advance(seconds)
        house.clock.correct(-back)
        await house.room.tick()
    told = [event for event in await house.events(cursor) if isinstance(event, SeatChanged)]
    assert [(event.what, event.seat.user_id, event.seat.state) for event in told] == [
        ("ended", "ann", "ended"),
        ("revived", "ann", "active"),
        ("ended", "ann", "ended"),
        ("ended", "bob", "ended"),
    ]
