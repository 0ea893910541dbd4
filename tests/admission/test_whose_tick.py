"""Of several processes on one database one ticks, so that no more are admitted than by one alone."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from sqlalchemy import Connection

from core.admission import ledger, whose_tick
from tests.admission.house import House, admission
from tests.storage.storage import Storage

PERIOD = 15_000


async def claim(house: House, period: int = PERIOD) -> int:
    return await house.database.write(partial(whose_tick.claim, period=period))


async def test_the_first_who_comes_has_it_and_the_others_know_when_the_next_is_due(postgres: Storage) -> None:
    houses = [House(postgres, admission()) for _ in range(3)]
    for house in houses:
        await house.open()
    waits = await asyncio.gather(*map(claim, houses))
    ours, *others = sorted(waits)
    assert ours == 0
    assert all(0 < wait <= PERIOD for wait in others)
    assert await claim(houses[waits.index(0)]) > 0
    await houses[0].execute("UPDATE counters SET value = value - 15001 WHERE name = 'tick_due'")
    assert sorted(await asyncio.gather(*map(claim, houses)))[:2] != [0, 0]
    for house in houses:
        await house.aclose()


async def test_one_that_is_due_in_more_than_a_period_is_nobodys(postgres: Storage) -> None:
    """The server's clock was set back, or the period was longer before."""
    house = House(postgres, admission())
    await house.open()
    assert await claim(house, 10 * PERIOD) == 0
    assert await claim(house) == 0
    await house.aclose()


@pytest.mark.parametrize("processes", [1, 3])
async def test_as_many_are_admitted_by_several_as_by_one(postgres: Storage, processes: int) -> None:
    houses = [House(postgres, admission(tick_seconds=15)) for _ in range(processes)]
    for house in houses:
        await house.open()
    for number in range(6):
        await houses[0].queued(f"u{number}")
    for house in houses:
        await house.room.catch_up()
    ticking = [asyncio.create_task(house.room.run()) for house in houses]

    def admitted(connection: Connection) -> int:
        return len(ledger.snapshot(connection, 0).admits)

    for expected in (1, 2, 3):
        async with asyncio.timeout(20):
            while await houses[0].database.read(admitted) < expected:
                await asyncio.sleep(0.005)
        # all have had their turn: nobody waits for less than until the next one is due
        for house in houses:
            assert await claim(house) > 0
        assert await houses[0].database.read(admitted) == expected
        await houses[0].tick_is_due()
        for house in houses:
            house.clock.advance(15)
    for task in ticking:
        task.cancel()
    for house in houses:
        await house.aclose()
