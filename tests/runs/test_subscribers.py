"""Every seq exactly once, ascending, whoever else is slow or gone (behaviours/runs.md, decisions 2 and 6)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import RunNotFound
from core.runs import Lagged, Subscription
from tests.runs.fakes import House, ready


async def drain(subscription: Subscription) -> list[int]:
    seqs: list[int] = []
    while events := await subscription.next():
        seqs += [event.seq for event in events]
    return seqs


async def test_followers_join_whenever_they_like() -> None:
    house = House()
    run = house.registry.start("s1", "acme")
    early = asyncio.create_task(drain(house.registry.subscribe(run.id)))
    await asyncio.sleep(0)
    house.registry.append(run, ready("a", "b"))
    late = asyncio.create_task(drain(house.registry.subscribe(run.id, 1)))
    house.registry.append(run, ready("c"))
    await asyncio.sleep(0)
    house.registry.complete(run.id, exit_code=0)
    assert await early == [1, 2, 3, 4]
    assert await late == [2, 3, 4]
    assert await drain(house.registry.subscribe(run.id, 3)) == [4]
    assert await drain(house.registry.subscribe(run.id, 4)) == []


async def test_the_acknowledgement_is_how_the_run_stood() -> None:
    house = House(buffer_events=3)
    run = house.registry.start("s1", "acme")
    house.registry.append(run, ready(*"abcde"))
    subscription = house.registry.subscribe(run.id, 1, name="n")
    house.registry.append(run, ready("f"))
    acknowledged = (subscription.after, subscription.truncated, subscription.first_seq, subscription.last_seq)
    assert acknowledged == (1, True, 3, 5)
    assert (subscription.name, subscription.run) == ("n", run)


async def test_a_follower_who_claims_to_be_ahead_gets_what_is_new() -> None:
    house = House()
    run = house.registry.start("s1", "acme")
    subscription = house.registry.subscribe(run.id, 500)
    house.registry.append(run, ready("a"))
    assert [event.seq for event in await subscription.next()] == [1]


async def test_a_list_of_events_wakes_a_follower_once() -> None:
    house = House()
    run = house.registry.start("s1", "acme")
    subscription = house.registry.subscribe(run.id)
    waiting = asyncio.create_task(subscription.next())
    await asyncio.sleep(0)
    house.registry.append(run, ready(*"abc"))
    house.registry.append(run, ready("d"))
    assert [event.seq for event in await waiting] == [1, 2, 3, 4]


async def test_a_follower_far_behind_catches_up_in_parts() -> None:
    house = House()
    run = house.registry.start("s1", "acme")
    house.registry.append(run, ready(*["x"] * 2500))
    subscription = house.registry.subscribe(run.id)
    assert [len(await subscription.next()) for _ in range(3)] == [1000, 1000, 500]
    house.registry.complete(run.id, exit_code=0)
    assert await drain(subscription) == [2501]


async def test_who_lags_is_dropped_alone_and_told_where_to_resume() -> None:
    house = House(buffer_events=3)
    run = house.registry.start("s1", "acme")
    slow, fast = house.registry.subscribe(run.id), house.registry.subscribe(run.id)
    house.registry.append(run, ready(*"abc"))
    assert len(await fast.next()) == 3
    house.registry.append(run, ready(*"de"))
    with pytest.raises(Lagged) as lagged:
        await slow.next()
    assert (lagged.value.run_id, lagged.value.after, lagged.value.resume_after) == (run.id, 0, 2)
    assert await slow.next() == []
    assert [event.seq for event in await fast.next()] == [4, 5]
    row = house.registry.row(run)
    assert row is not None
    assert row.subscribers == 1
    again = house.registry.subscribe(run.id, lagged.value.resume_after)
    assert not again.truncated
    assert [event.seq for event in await again.next()] == [3, 4, 5]


async def test_closing_wakes_the_one_who_waits_and_nobody_else() -> None:
    house = House()
    run = house.registry.start("s1", "acme")
    leaving, staying = house.registry.subscribe(run.id), house.registry.subscribe(run.id)
    tasks = [asyncio.create_task(each.next()) for each in (leaving, staying)]
    await asyncio.sleep(0)
    leaving.close()
    leaving.close()
    assert await tasks[0] == []
    assert not tasks[1].done()
    house.registry.append(run, ready("a"))
    assert len(await tasks[1]) == 1
    row = house.registry.row(run)
    assert row is not None
    assert row.subscribers == 1


async def test_a_cancelled_wait_leaves_no_trace_and_loses_nothing() -> None:
    house = House()
    run = house.registry.start("s1", "acme")
    subscription = house.registry.subscribe(run.id)
    for _ in range(3):
        waiting = asyncio.create_task(subscription.next())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert not house.registry._kept.entry(run.id).bell._waiting
    house.registry.append(run, ready("a"))
    assert [event.seq for event in await subscription.next()] == [1]


async def test_who_follows_an_expired_run_still_gets_its_end() -> None:
    house = House(retention_seconds=1)
    run = house.registry.start("s1", "acme")
    subscription = house.registry.subscribe(run.id)
    house.registry.complete(run.id, exit_code=0)
    house.clock.advance(1)
    assert await drain(subscription) == [1]
    with pytest.raises(RunNotFound):
        house.registry.subscribe(run.id)


@pytest.mark.parametrize(
    ("last_run_id", "after", "expected"),
    [
        ("r2", 1, [2, 3]),
        ("r2", 2, [3]),
        ("r1", 500, [1, 2, 3]),
        (None, 2, [1, 2, 3]),
        ("unheard of", 2, [1, 2, 3]),
    ],
)
async def test_by_session_another_run_is_followed_from_its_beginning(
    last_run_id: str | None, after: int, expected: list[int]
) -> None:
    house = House()
    first = house.registry.start("s1", "acme")
    house.registry.complete(first.id, exit_code=0)
    second = house.registry.start("s1", "acme")
    house.registry.append(second, ready("a", "b"))
    subscription = house.registry.subscribe_session("s1", last_run_id, after)
    house.registry.complete(second.id, exit_code=0)
    house.registry.start("s1", "acme")
    assert await drain(subscription) == expected


steps = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.integers(1, 4)),
        st.tuples(st.just("join"), st.integers(0, 30)),
        st.tuples(st.just("step"), st.integers(1, 3)),
        st.tuples(st.just("leave"), st.integers(0, 9)),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(steps=steps, buffer_events=st.integers(1, 12))
def test_every_follower_gets_every_number_once_in_order(
    steps: list[tuple[str, int]], buffer_events: int
) -> None:
    asyncio.run(_play(steps, buffer_events))


async def _play(steps: list[tuple[str, int]], buffer_events: int) -> None:
    house = House(buffer_events=buffer_events)
    run = house.registry.start("s1", "acme")
    followers: list[tuple[Subscription, list[int], asyncio.Task[Any]]] = []
    for what, number in steps:
        match what:
            case "publish":
                house.registry.append(run, ready(*"x" * number))
            case "join":
                subscription = house.registry.subscribe(run.id, number)
                got: list[int] = []
                followers.append((subscription, got, asyncio.create_task(_collect(subscription, got))))
            case "step":
                for _ in range(number):
                    await asyncio.sleep(0)
            case _:
                if number < len(followers):
                    followers[number][0].close()
    house.registry.complete(run.id, exit_code=0)
    for subscription, got, task in followers:
        lagged = await task
        begin = max(subscription.after, subscription.first_seq - 1) + 1
        assert got == list(range(begin, begin + len(got)))
        if lagged is not None:
            assert lagged.resume_after > lagged.after == begin + len(got) - 1
    row = house.registry.row(run)
    assert row is not None
    assert row.subscribers == 0
    # whoever was neither slow nor gone has it all
    whole = [got for subscription, got, task in followers if got and got[-1] == run.log.last]
    assert all(len(got) == run.log.last - got[0] + 1 for got in whole)


async def _collect(subscription: Subscription, got: list[int]) -> Lagged | None:
    try:
        while events := await subscription.next():
            got += [event.seq for event in events]
    except Lagged as lagged:
        return lagged
    return None


def told(house: House) -> list[dict[str, int]]:
    """The followers in each row that the journal heard, by name."""
    events = house.journal._events
    rows = [row for each in events for row in getattr(each, "runs", None) or [getattr(each, "run", None)]]
    return [{each.name: each.seq for each in row.followers} for row in rows if row is not None]


async def test_where_followers_are_is_told_as_they_get_on() -> None:
    house = House()
    run = house.registry.start("s1", "acme")
    slow, fast = (house.registry.subscribe(run.id, name=name) for name in ("slow", "fast"))
    house.registry.append(run, ready(*"abc"))
    await fast.next()
    house.clock.advance(1)
    assert told(house)[-1] == {"slow": 0, "fast": 3}
    heard = len(told(house))
    house.clock.advance(60)
    assert len(told(house)) == heard, "nobody asks where they are while they stand"
    await slow.next()
    house.clock.advance(1)
    assert told(house)[-1] == {"slow": 3, "fast": 3}
    house.registry.complete(run.id, exit_code=0)
    assert told(house)[-1] == {"slow": 3, "fast": 3}
    await slow.next()
    house.clock.advance(1)
    assert told(house)[-1] == {"fast": 3, "slow": 4}, "also after the end"


async def test_of_many_followers_the_slowest_stand_in_the_row() -> None:
    house = House()
    run = house.registry.start("s1", "acme")
    followers = [house.registry.subscribe(run.id, name=str(n)) for n in range(30)]
    house.registry.append(run, ready(*"abc"))
    for each in followers[5:]:
        await each.next()
    row = house.registry.row(run)
    assert row is not None
    assert (row.subscribers, len(row.followers)) == (30, 20)
    assert [each.seq for each in row.followers] == [0] * 5 + [3] * 15


async def test_how_full_the_buffer_is() -> None:
    house = House(buffer_events=4)
    run = house.registry.start("s1", "acme")
    full = []
    for _ in range(6):
        row = house.registry.row(run)
        assert row is not None
        full.append((row.buffer_percent, row.first_seq))
        house.registry.append(run, ready("a"))
    assert full == [(0, 1), (25, 1), (50, 1), (75, 1), (100, 1), (100, 2)]
    by_bytes = House(buffer_bytes=400)
    run = by_bytes.registry.start("s1", "acme")
    by_bytes.registry.append(run, ready("x" * 200))
    row = by_bytes.registry.row(run)
    assert row is not None
    assert row.buffer_percent == 100 * row.buffered_bytes // 400 > 50
