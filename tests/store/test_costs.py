"""Totals over a real database: behaviours/pins.md, decisions 8, 12 and 13."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from core.clock import parse_timestamp
from core.errors import InvalidArgument, StorageFailed
from core.protocol import CostChanged, CostScope
from core.settings import Pins as PinSettings
from core.store.costs import Booked
from core.store.prices import LARGEST, Usage
from tests.storage.storage import Fresh, Storage
from tests.store.counter import Counter, opened

USAGE = Usage(input_tokens=1000, output_tokens=500, cached_tokens=200)


def micros(counter: Counter, scope: CostScope, key: str) -> int | None:
    total = counter.costs.total(scope, key)
    return None if total is None else total.micros


async def test_what_is_known_is_booked_for(storage: Storage) -> None:
    async with opened(storage) as counter:
        assert await counter.costs.add("k", 5) == 5
        await counter.costs.add("k", 7, user_id="u", project="p", model="m")
        await counter.costs.add("other", 11, user_id="u", model="m")
        await counter.costs.add("other", 13, user_id="", project="", model="")
        for _ in range(2):
            totals = {(row.scope, row.key): row.micros for row in counter.costs.rows()}
            assert totals == {
                ("session", "k"): 12,
                ("session", "other"): 24,
                ("user", "u"): 18,
                ("project", "p"): 7,
                ("model", "m"): 18,
                ("day", "2026-04-17"): 36,
            }
            await counter.restart()
        assert micros(counter, "user", "k") is None


async def test_a_day_ends_at_midnight_in_utc(storage: Storage) -> None:
    async with opened(storage) as counter:
        midnight = parse_timestamp("2026-04-18T00:00:00Z")
        for before in (1, 0):
            counter.clock.advance((midnight - before - counter.clock.now()) / 1000)
            await counter.costs.add("k", 5)
        await counter.restart()
        assert micros(counter, "day", "2026-04-17") == micros(counter, "day", "2026-04-18") == 5
        assert micros(counter, "session", "k") == 10


async def test_usage_is_priced_and_its_tokens_counted(storage: Storage) -> None:
    async with opened(storage) as counter:
        assert await counter.costs.add_usage("k", "c", USAGE, user_id="u") == 435
        assert await counter.costs.add_usage("k", "c", USAGE) == 435
        row = counter.costs.total("session", "k")
        assert row is not None
        assert (row.micros, row.estimated_micros) == (870, 0)
        assert (row.input_tokens, row.output_tokens, row.cached_tokens) == (2000, 1000, 400)
        assert row.updated_at == "2026-04-17T12:00:00Z"
        assert micros(counter, "user", "u") == 435
        assert micros(counter, "model", "c") == 870


async def test_every_report_is_rounded_by_itself(storage: Storage) -> None:
    async with opened(storage) as counter:
        one = Usage(input_tokens=1, output_tokens=1)  # 0.75 micro-USD
        assert [await counter.costs.add_usage("k", "c", one) for _ in range(4)] == [1, 1, 1, 1]
        assert micros(counter, "session", "k") == 4


@pytest.mark.parametrize("estimated_usage", [False, True])
async def test_what_is_estimated_is_told_apart(storage: Storage, estimated_usage: bool) -> None:
    async with opened(storage) as counter:
        await counter.costs.add("k", 5)
        usage = Usage(input_tokens=1, output_tokens=1, estimated=estimated_usage)
        await counter.costs.add("k", 7, usage=usage, estimated=not estimated_usage)
        row = counter.costs.total("session", "k")
        assert row is not None
        assert (row.micros, row.estimated_micros) == (12, 7)


async def test_the_journal_tells_the_new_totals(storage: Storage) -> None:
    async with opened(storage) as counter:
        await counter.costs.add("k", 5, user_id="u")
        await counter.costs.add("k", 7, model="m", estimated=True)
        events = [event for event in await counter.events() if isinstance(event, CostChanged)]
        assert [(event.session_key, event.micros, event.estimated) for event in events] == [
            ("k", 5, False),
            ("k", 7, True),
        ]
        assert [[(row.scope, row.micros) for row in event.costs] for event in events] == [
            [("session", 5), ("user", 5), ("day", 5)],
            [("session", 12), ("model", 7), ("day", 12)],
        ]


@pytest.mark.parametrize(
    "call",
    [
        {"session_key": "", "micros": 1},
        {"session_key": "a\0", "micros": 1},
        {"session_key": "k", "micros": -1},
        {"session_key": "k", "micros": 1.0},
        {"session_key": "k", "micros": True},
        {"session_key": "k", "micros": None},
        {"session_key": "k", "micros": LARGEST + 1},
        {"session_key": "k", "micros": 1, "user_id": "\ud800"},
        {"session_key": "k", "micros": 1, "project": "a\0"},
        {"session_key": "k", "micros": 1, "model": "a\0"},
        {"session_key": "k", "micros": 1, "usage": Usage(input_tokens=-1, output_tokens=0)},
    ],
)
async def test_what_cannot_be_booked_is_refused_and_leaves_nothing(
    storage: Storage, call: dict[str, Any]
) -> None:
    async with opened(storage) as counter:
        with pytest.raises(InvalidArgument):
            await counter.costs.add(**call)
        assert counter.costs.rows() == []
        assert await counter.stored("costs") == 0


@pytest.mark.parametrize(
    ("model", "usage"),
    [
        ("unheard-of", USAGE),
        ("c", Usage(input_tokens=1, output_tokens=-1)),
        ("c", Usage(input_tokens=-1, output_tokens=1)),
    ],
)
async def test_usage_that_cannot_be_priced_is_refused(storage: Storage, model: str, usage: Usage) -> None:
    async with opened(storage) as counter:
        with pytest.raises(InvalidArgument):
            await counter.costs.add_usage("k", model, usage)
        assert counter.costs.rows() == []


async def test_totals_are_exact_up_to_what_a_database_keeps(storage: Storage) -> None:
    async with opened(storage) as counter:
        await counter.costs.add("k", 2**53 + 1, user_id="u")
        await counter.costs.add("k", 2, user_id="u")
        assert micros(counter, "session", "k") == 2**53 + 3
        await counter.costs.add("other", LARGEST - 2**53 - 3, user_id="u")
        assert micros(counter, "user", "u") == LARGEST
        with pytest.raises(InvalidArgument, match="would pass"):
            await counter.costs.add("third", 1, user_id="u")
        assert micros(counter, "session", "third") is None
        await counter.restart()
        assert micros(counter, "user", "u") == LARGEST
        assert micros(counter, "session", "third") is None


async def test_cost_needs_no_pin_and_outlives_it(storage: Storage) -> None:
    async with opened(storage, PinSettings(idle_seconds=1)) as counter:
        await counter.costs.add("ghost", 7)
        assert counter.pins.get("ghost") is None
        await counter.pins.pin("k", "s")
        await counter.costs.add("k", 3)
        await counter.pins.clear("k")
        await counter.pins.pin("k", "s")
        counter.clock.advance(2)
        counter.pins.expire()
        await counter.restart()
        assert counter.pins.get("k") is None
        assert (micros(counter, "session", "k"), micros(counter, "session", "ghost")) == (3, 7)


async def test_ten_thousand_at_once_lose_nothing(storage: Storage) -> None:
    async with opened(storage) as counter:
        await asyncio.gather(
            *(counter.costs.add(f"k{number % 7}", 1, user_id="u", model="m") for number in range(10_000))
        )
        for _ in range(2):
            assert micros(counter, "user", "u") == micros(counter, "model", "m") == 10_000
            assert sum(row.micros for row in counter.costs.rows() if row.scope == "session") == 10_000
            await counter.restart()


async def test_a_caller_that_leaves_is_booked_for_all_the_same(storage: Storage) -> None:
    async with opened(storage) as counter:
        leaving = asyncio.ensure_future(counter.costs.add("k", 5))
        await asyncio.sleep(0)
        leaving.cancel()
        assert await counter.stored("costs") == len(("session", "day"))
        assert leaving.cancelled()
        assert micros(counter, "session", "k") == 5


async def test_a_booking_in_a_larger_unit(storage: Storage) -> None:
    async with opened(storage) as counter:
        unit = counter.costs.booking("k", 5, user_id="u", usage=USAGE)

        def failing(connection: Connection) -> Booked:
            unit(connection)
            raise RuntimeError("the rest failed")

        with pytest.raises(RuntimeError):
            await counter.database.write(failing)
        assert await counter.stored("costs") == 0
        booked = await counter.database.write(unit)
        assert counter.costs.rows() == []
        counter.costs.apply(booked)
        assert counter.costs.rows() == booked.totals
        assert len(await counter.events()) == 1


async def test_what_the_database_refuses_changes_nothing(storage: Storage) -> None:
    async with opened(storage) as counter:
        await counter.costs.add("k", 5)
        await counter.database.write(
            lambda connection: connection.exec_driver_sql("ALTER TABLE costs RENAME TO gone")
        )
        with pytest.raises(StorageFailed):
            await counter.costs.add("k", 7)
        assert micros(counter, "session", "k") == 5
        assert len(await counter.events()) == 1


Bookings = list[tuple[str, int, str | None, str | None, str | None]]
names = st.none() | st.sampled_from(["x", "y"])
bookings = st.lists(
    st.tuples(st.sampled_from(["x", "y", "z"]), st.integers(0, 10**15), names, names, names), max_size=25
)


@given(made=bookings)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_totals_are_sums(fresh: Fresh, made: Bookings) -> None:
    expected: dict[tuple[str, str], int] = defaultdict(int)
    for session, amount, *others in made:
        expected["day", "2026-04-17"] += amount
        for scope, key in zip(("session", "user", "project", "model"), (session, *others), strict=True):
            if key is not None:
                expected[scope, key] += amount

    async def book() -> None:
        async with opened(fresh()) as counter:
            await asyncio.gather(
                *(
                    counter.costs.add(session, amount, user_id=user, project=project, model=model)
                    for session, amount, user, project, model in made
                )
            )
            for _ in range(2):
                assert {(row.scope, row.key): row.micros for row in counter.costs.rows()} == expected
                await counter.restart()
        fresh.give_back()

    asyncio.run(book())
