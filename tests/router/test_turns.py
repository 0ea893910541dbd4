"""The slot, and who is busy (behaviours/router.md, decisions 3, 4, 5, 6 and 8)."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

import pytest

from core.errors import InvalidArgument
from tests.router.fakes import House, settle


async def test_one_turn_at_a_time_freed_by_its_own_run() -> None:
    house = House()
    router = house.router
    assert router.begin_turn("s", "r1")
    assert not router.begin_turn("s", "r1")
    assert not router.begin_turn("s", "r2")
    router.end_turn("s", "r2")
    assert router.turn_of("s") == "r1"
    router.end_turn("s", "r1")
    assert router.begin_turn("s", "r2")
    with pytest.raises(InvalidArgument):
        router.end_turn("s")
    with pytest.raises(InvalidArgument):
        router.end_turn("s", "")
    router.end_turn("s", force=True)
    assert router.turn_of("s") is None
    router.end_turn("s", "r2")
    with pytest.raises(InvalidArgument):
        router.begin_turn("s", "")


async def test_a_foreign_id_changes_nothing_at_all() -> None:
    house = House(idle_seconds=10)
    await house.router.get_or_create("s")
    house.router.begin_turn("s", "r1")
    before = house.router.row("s")
    told = len(await house.told())
    house.clock.advance(5)
    house.router.end_turn("s", "r2")
    assert not await house.router.abort("s", "x", "r2")
    assert house.router.row("s") is before
    assert len(await house.told()) == told


async def test_turns_are_told_with_the_session_they_belong_to() -> None:
    house = House()
    house.router.begin_turn("s", "r1", project="p")
    await house.router.get_or_create("s")
    row = house.router.row("s")
    assert row is not None
    assert row.run_id == "r1"
    house.router.end_turn("s", "r1")
    house.router.begin_turn("s", "r2")
    house.router.end_turn("s", "r2")
    assert await house.changes() == ["created s#1", "turn_ended s#1", "turn_began s#1", "turn_ended s#1"]


async def test_busy_from_the_moment_the_slot_is_taken() -> None:
    router = House().router
    router.begin_turn("new", "r1", project="A")
    assert router.has_active_user_turn("A")
    assert not router.has_active_user_turn("B")
    router.end_turn("new", "r1")
    assert not router.has_active_user_turn("A")


async def test_a_turns_project_is_the_sessions_else_the_one_given_with_it_which_stays() -> None:
    house = House()
    router = house.router
    await router.get_or_create("s", project="A")
    router.begin_turn("s", "r1", project="B")
    assert (router.has_active_user_turn("A"), router.has_active_user_turn("B")) == (True, False)

    router.begin_turn("t", "r2", project="B")
    await router.get_or_create("t", project="C")
    assert (router.has_active_user_turn("B"), router.has_active_user_turn("C")) == (True, False)

    router.begin_turn("u", "r3")
    assert router.has_active_user_turn(None)
    await router.get_or_create("u", project="D")
    assert (router.has_active_user_turn(None), router.has_active_user_turn("D")) == (False, True)

    await router.get_or_create("v")
    router.begin_turn("v", "r4", project="")
    await router.get_or_create("v", project="E")
    assert router.has_active_user_turn("E")
    for key, run_id in (("s", "r1"), ("t", "r2"), ("u", "r3"), ("v", "r4")):
        router.end_turn(key, run_id)
    assert not any(router.has_active_user_turn(project) for project in ("A", "B", "C", "D", "E", None))


async def test_only_users_count_as_users() -> None:
    router = House().router
    for number, key in enumerate(("always-on/x", "cron:t")):
        router.begin_turn(key, f"r{number}", project="A")
        await router.get_or_create(key, project="A")
    assert not router.has_active_user_turn("A")
    router.begin_turn("cron/t", "r9", project="A")
    assert router.has_active_user_turn("A")


async def test_an_abort_says_whether_it_stopped_a_turn() -> None:
    house = House(unwind=True)
    router = house.router
    asked: list[str] = []
    assert not await router.abort("s", "x")
    router.begin_turn("s", "r1", stop=asked.append)
    assert await router.abort("s", "enough", "r1")
    assert asked == ["enough"]
    assert router.turn_of("s") == "r1"
    router.end_turn("s", "r1")
    session = (await router.get_or_create("s")).session
    assert not await router.abort("s", "x")
    router.begin_turn("s", "r2")
    assert await router.abort("s", "stop")
    assert session.aborts == ["stop"]
    assert not await router.abort("s", "x")
    router.begin_turn("t", "r3", stop=asked.append)
    assert await router.abort("t", "too early")
    late = (await router.get_or_create("t", run_id="r3")).session
    assert await router.abort("t", "now")
    assert (asked, late.aborts) == (["enough", "too early"], ["now"])


async def test_a_turn_that_unwinds_when_it_is_told_leaves_its_session_alone() -> None:
    house = House()
    session = (await house.router.get_or_create("s")).session
    house.router.begin_turn("s", "r1", stop=lambda _reason: house.router.end_turn("s", "r1"))
    assert await house.router.abort("s", "enough")
    assert session.aborts == []


async def test_a_replacement_is_told_of_an_abort_that_its_predecessor_heard() -> None:
    house = House()
    old = (await house.router.get_or_create("s")).session
    house.router.begin_turn("s", "r1")
    house.router.mark_dirty(session_key="s")
    house.factory.gate = asyncio.Event()
    rebuilding = asyncio.create_task(house.router.get_or_create("s", run_id="r1"))
    await settle()
    assert await house.router.abort("s", "one")
    house.factory.gate.set()
    new = (await rebuilding).session
    assert await house.router.abort("s", "two")
    assert (old.aborts, new.aborts) == (["one"], ["two"])


async def test_an_abort_that_stops_a_turn_is_a_use() -> None:
    house = House()
    await house.router.get_or_create("s")
    house.router.begin_turn("s", "r1")
    house.clock.advance(5)
    await house.router.abort("s", "enough")
    row = house.router.row("s")
    assert row is not None
    assert row.last_used_at == "1970-01-01T00:00:05Z"


async def test_a_turn_is_told_once_and_a_failing_session_harms_nobody() -> None:
    house = House()
    session = (await house.router.get_or_create("s")).session
    session.abort_error = RuntimeError("deaf")

    def broken(_reason: str) -> None:
        raise RuntimeError("deaf too")

    house.router.begin_turn("s", "r1", stop=broken)
    assert await house.router.abort("s", "one")
    assert await house.router.abort("s", "two")
    assert session.aborts == ["one"]
    assert await house.notices() == ["abort_failed", "abort_failed"]
    assert house.router.turn_of("s") == "r1"


async def test_an_abort_does_not_wait_for_ever_and_leaves_the_slot_to_the_turn() -> None:
    house = House(abort_seconds=10)
    session = (await house.router.get_or_create("s")).session
    session.abort_gate = asyncio.Event()
    house.router.begin_turn("s", "r1")
    aborting = asyncio.create_task(house.router.abort("s", "enough", "r1"))
    await house.clock.settle(9.999)
    assert not aborting.done()
    await house.clock.settle(0.001)
    assert await aborting
    assert await house.notices() == ["abort_failed"]
    assert house.router.turn_of("s") == "r1"
    house.router.end_turn("s", "r1")
    assert house.router.begin_turn("s", "r2")


async def test_a_turn_that_begins_in_the_step_of_an_abort_is_left_alone() -> None:
    house = House()
    session = (await house.router.get_or_create("s")).session
    house.router.begin_turn("s", "r1")
    aborting = asyncio.create_task(house.router.abort("s", "enough", "r1"))
    await asyncio.sleep(0)
    house.router.end_turn("s", "r1")
    house.router.begin_turn("s", "r2")
    await aborting
    assert session.aborts == []


async def test_an_abort_keeps_a_session_alive_only_if_it_stopped_something() -> None:
    house = House(idle_seconds=10)
    await house.router.get_or_create("s")
    house.clock.advance(9)
    assert not await house.router.abort("s", "nothing runs")
    house.clock.advance(1.001)
    assert house.router.count() == 0


async def test_idle_is_longer_than_the_timeout() -> None:
    house = House(idle_seconds=10)
    await house.router.get_or_create("s")
    house.clock.advance(10)
    assert house.router.count() == 1
    house.clock.advance(0.001)
    assert house.router.count() == 0
    assert house.gone() == [("s", "idle")]
    await settle()
    assert house.factory.log == ["evicted s", "dispose s#1"]


async def test_a_turn_keeps_a_session_alive_and_its_end_counts_as_use() -> None:
    house = House(idle_seconds=10)
    await house.router.get_or_create("s")
    house.router.begin_turn("s", "r1")
    house.clock.advance(1000)
    assert house.router.count() == 1
    house.router.end_turn("s", "r1")
    house.clock.advance(10)
    assert house.router.count() == 1
    house.clock.advance(0.001)
    assert house.router.count() == 0


async def test_what_is_asked_for_is_not_swept_by_the_asking() -> None:
    house = House(idle_seconds=10)
    await house.router.get_or_create("a")
    await house.router.get_or_create("b")
    await house.router.get_or_create("c")
    house.clock.advance(11)
    assert house.router.begin_turn("a", "r")
    assert house.gone() == [("b", "idle"), ("c", "idle")]
    assert (await house.router.get_or_create("a")).generation == 1


async def test_a_session_that_is_asked_for_when_it_is_due_stays() -> None:
    house = House(idle_seconds=10)
    await house.router.get_or_create("a")
    await house.router.get_or_create("b")
    house.clock.advance(11)
    assert (await house.router.get_or_create("b")).generation == 1
    assert house.gone() == [("a", "idle")]


async def test_asking_takes_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    house = House(idle_seconds=0)
    await house.router.get_or_create("s")
    ticks = count()
    monkeypatch.setattr(house.clock, "monotonic", lambda: next(ticks) / 1000)
    assert (await house.router.get_or_create("s")).session.disposed == 0
    assert house.gone() == []


async def test_a_wall_clock_that_jumps_neither_evicts_nor_keeps() -> None:
    house = House(idle_seconds=10)
    await house.router.get_or_create("s")
    house.clock._start += 86_400_000
    assert house.router.count() == 1
    house.clock._start -= 2 * 86_400_000
    house.clock.advance(10.001)
    assert house.router.count() == 0


class Watched(OrderedDict[Any, Any]):
    """Counts what is looked at in passing."""

    def __init__(self, other: Mapping[Any, Any]) -> None:
        super().__init__(other)
        self.looked_at = 0

    def __iter__(self) -> Iterator[Any]:
        for key in super().__iter__():
            self.looked_at += 1
            yield key

    def keys(self) -> Any:
        return list(self)

    def values(self) -> Any:
        return (self[key] for key in self)

    def items(self) -> Any:
        return ((key, self[key]) for key in self)


async def test_a_sweep_looks_at_what_it_evicts_and_busy_at_nothing() -> None:
    house = House(idle_seconds=10)
    router = house.router
    for number in range(100):
        await router.get_or_create(f"s{number}", project="A")
        if number == 2:
            house.clock.advance(1)
        if number >= 90:
            router.begin_turn(f"s{number}", "r")
    shelf, slots = router._shelf, router._slots
    watched = [Watched(each) for each in (shelf._by_key, shelf._by_order, shelf._idle, slots._turns)]
    shelf._by_key, shelf._by_order, shelf._idle, slots._turns = watched  # type: ignore[assignment]
    assert router.has_active_user_turn("A")
    assert not router.has_active_user_turn("B")
    assert [each.looked_at for each in watched] == [0, 0, 0, 0]
    house.clock.advance(9.001)
    assert router.count() == 97
    assert [each.looked_at for each in watched] == [0, 0, 4, 0]


async def test_a_sweep_goes_least_recently_used_first_and_survives_its_listeners() -> None:
    house = House(idle_seconds=10)
    for key in "abcd":
        await house.router.get_or_create(key)
        house.clock.advance(1)
    await house.router.get_or_create("a")
    house.router._reports._on_evict = _raise  # the listener is somebody else's code
    house.clock.advance(8)
    assert house.router.count() == 3
    house.clock.advance(100)
    assert house.router.count() == 0
    assert await house.notices() == ["eviction_callback_failed"] * 4
    assert [change for change in await house.changes() if change.startswith("idle")] == [
        f"idle {key}#1" for key in "bcda"
    ]


def _raise(_eviction: object) -> None:
    raise RuntimeError("not now")


async def test_the_periodic_sweep_runs_without_traffic() -> None:
    house = House(idle_seconds=10)
    house.router._settings = type(house.router._settings)(sweep_seconds=60, idle_seconds=10)
    task = asyncio.create_task(house.router.run())
    await house.router.get_or_create("s")
    await house.clock.settle(60)
    await house.clock.settle(0)
    assert house.gone() == [("s", "idle")]
    await house.router.shutdown()
    await house.clock.settle(60)
    await asyncio.wait_for(task, 1)


async def test_the_cap_takes_the_least_recently_used_without_a_turn() -> None:
    house = House(max_sessions=2)
    for key in "ab":
        await house.router.get_or_create(key)
    house.router.begin_turn("a", "r1")
    await house.router.get_or_create("c")
    assert house.gone() == [("b", "capacity")]
    house.router.begin_turn("c", "r2")
    await house.router.get_or_create("d")
    await house.router.get_or_create("e")
    assert house.gone() == [("d", "capacity")]
    assert house.router.count() == 3
    house.router.end_turn("c", "r2")
    house.router.end_turn("a", "r1")
    assert house.router.count() == 3
    await house.router.get_or_create("f")
    assert house.gone() == [("e", "capacity"), ("c", "capacity")]
    assert house.router.count() == 2
