"""Several waiting rooms on one database, as on several machines: nobody crosses a ceiling, no write is lost."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import Connection, func, select, text

from core.admission import ledger, places
from core.admission.answers import ActiveSeat
from core.store.tables import admits, counters, seats
from tests.admission.house import BIG, SMALL, House, admission
from tests.storage.storage import Storage


@pytest.fixture
async def houses(postgres: Storage) -> AsyncIterator[list[House]]:
    terms = admission(
        each={"instant_admit_capacity": 5, "max_active": 5}, quota={"full": 1000, "limited": 1000}
    )
    opened = [House(postgres, terms) for _ in range(3)]
    for house in opened:
        await house.open()
    yield opened
    for house in opened:
        await house.aclose()


async def stored(house: House) -> tuple[Counter[tuple[str, str]], dict[str, int], int]:
    """Seats by model and status, the counters of the active ones, and how many admissions were logged."""

    def look(connection: Any) -> tuple[Counter[tuple[str, str]], dict[str, int], int]:
        rows = connection.execute(select(seats.c.model, seats.c.status)).all()
        names = connection.execute(select(counters).where(counters.c.name.startswith("active_seats:"))).all()
        return (
            Counter((row.model, row.status) for row in rows),
            {row.name.partition(":")[2]: row.value for row in names},
            connection.execute(select(func.count()).select_from(admits)).scalar_one(),
        )

    return await house.database.read(look)


async def test_a_ceiling_holds_for_all_of_them(houses: list[House]) -> None:
    asked = [
        house.room.request(f"{number}-{place}", model)
        for number in range(40)
        for place, (house, model) in enumerate(zip(houses, (SMALL, BIG, SMALL), strict=True))
    ]
    async with asyncio.timeout(60):
        answers = await asyncio.gather(*asked)
    by_status, active, admitted = await stored(houses[0])
    assert by_status == {
        (SMALL, "active"): 5,
        (SMALL, "queued"): 75,
        (BIG, "active"): 5,
        (BIG, "queued"): 35,
    }
    assert active == {SMALL: 5, BIG: 5}
    assert (admitted, sum(isinstance(answer, ActiveSeat) for answer in answers)) == (10, 10)


async def test_ticks_of_all_at_once_let_in_no_more_than_there_is_room(houses: list[House]) -> None:
    for number in range(12):
        await houses[number % 3].room.request(f"u{number}", SMALL)
    for house in houses:
        await house.restart()
    for seat in list(houses[0].room.seat_rows()):
        if seat.state == "active":
            await houses[0].room.end(seat.user_id)
    async with asyncio.timeout(60):
        for _ in range(5):
            reports = await asyncio.gather(*(house.room.tick() for house in houses))
            assert [report.errors for report in reports] == [{}, {}, {}]
    by_status, active, _ = await stored(houses[0])
    assert by_status == {(SMALL, "active"): 5, (SMALL, "queued"): 2}
    assert active == {SMALL: 5}


async def test_one_user_at_all_of_them_at_once_has_one_seat(houses: list[House]) -> None:
    admitted = 0
    async with asyncio.timeout(60):
        for _ in range(5):
            answers = await asyncio.gather(
                *(house.room.request("u", SMALL) for house in houses for _ in range(4))
            )
            assert all(isinstance(answer, ActiveSeat) for answer in answers)
            by_status, active, admitted = await stored(houses[0])
            assert (by_status, active) == ({(SMALL, "active"): 1}, {SMALL: 1})
            await asyncio.gather(*(house.room.end("u") for house in houses))
            by_status, active, _ = await stored(houses[0])
            assert (by_status, active) == ({}, {SMALL: 0})
    assert admitted == 5


@pytest.mark.parametrize("counted_before", [False, True])
async def test_who_counts_the_places_of_a_model_holds_it(houses: list[House], counted_before: bool) -> None:
    """Whoever admits counts first, so that nobody else admits to the same model, and everybody to another."""
    first, second, _ = houses
    if counted_before:
        await first.admitted("u", SMALL)
    counted, free = threading.Event(), threading.Event()

    def holding(connection: Connection) -> int:
        found = places.occupied(connection, SMALL, 0)
        counted.set()
        assert free.wait(20)
        return found

    held = first.database.submit(holding)
    assert await asyncio.to_thread(counted.wait, 20)
    other = await second.database.write(lambda connection: places.occupied(connection, BIG, 0))
    same = second.database.submit(lambda connection: places.occupied(connection, SMALL, 0))
    await waits_for_a_lock(first)
    assert not same.done()
    free.set()
    assert (await held, await same, other) == (counted_before, counted_before, 0)


@pytest.mark.parametrize("model", [SMALL, None])
async def test_a_pause_waits_for_the_round_that_is_under_way(houses: list[House], model: str | None) -> None:
    first, second, _ = houses
    looked, free = threading.Event(), threading.Event()

    def letting_in(connection: Connection) -> None:
        places.hold(connection, [SMALL])
        assert not ledger.paused(connection)
        looked.set()
        assert free.wait(20)

    round_ = first.database.submit(letting_in)
    assert await asyncio.to_thread(looked.wait, 20)
    pausing = asyncio.create_task(second.room.pause(model, actor="op"))
    await waits_for_a_lock(first)
    assert not pausing.done()
    free.set()
    await round_
    await pausing
    assert await first.database.read(ledger.paused) == {model or ""}


async def test_nobody_is_let_in_past_a_head_who_is_just_being_served(houses: list[House]) -> None:
    """The head asks again at one process while another one ticks: it waits, and lets in the head."""
    first, second, _ = houses
    await first.room.pause(None, actor="op")
    for user_id in ("a", "b"):
        await first.queued(user_id)
    await first.room.resume(None)
    for house in houses:
        await house.room.catch_up()
    serving, free = threading.Event(), threading.Event()

    def holding(connection: Connection) -> None:
        assert ledger.seat_of(connection, "a") is not None
        serving.set()
        assert free.wait(20)

    held = first.database.submit(holding)
    assert await asyncio.to_thread(serving.wait, 20)
    tick = asyncio.create_task(second.room.tick())
    await waits_for_a_lock(first)
    assert not tick.done()
    free.set()
    await held
    assert (await tick).admitted == 1
    await first.room.catch_up()
    assert [first.status(user_id) for user_id in ("a", "b")] == ["active", "queued"]


async def waits_for_a_lock(house: House) -> None:
    """Return when some connection to the database waits for a lock."""
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    async with asyncio.timeout(20):
        while not await house.database.read(
            lambda connection: connection.execute(text(waiting)).scalar_one()
        ):
            await asyncio.sleep(0.01)
