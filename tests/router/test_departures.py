"""How sessions leave: close, evict, shutdown, and what fails on the way (router.md, decisions 7, 9, 12 and 16)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from core.errors import SessionUnavailable, ShuttingDown
from core.router import Eviction, EvictionReason, Reservation
from tests.router.fakes import House, settle


async def test_close_aborts_drains_disposes_tells_and_frees_in_that_order() -> None:
    house = House()
    session = (await house.router.get_or_create("s")).session
    house.router.begin_turn("s", "r1", stop=lambda reason: house.factory.log.append(f"stop {reason}"))
    closing = asyncio.create_task(house.router.close("s", 1))
    await settle()
    assert not closing.done()
    assert not house.router.begin_turn("s", "r2")
    assert session.disposed == 0
    house.router.end_turn("s", "r1")
    assert not house.router.begin_turn("s", "r2")
    assert await closing == "closed"
    assert house.factory.log == ["stop closed", "abort s#1", "dispose s#1", "evicted s"]
    assert house.gone() == [("s", "closed")]
    assert house.router.begin_turn("s", "r2")


async def test_close_does_not_wait_for_ever() -> None:
    house = House(abort_seconds=10)
    session = (await house.router.get_or_create("s", project="p")).session
    session.dispose_gate = asyncio.Event()
    house.router.begin_turn("s", "r1")
    closing = asyncio.create_task(house.router.close("s"))
    await house.clock.settle(9.999)
    assert house.router.turn_of("s") == "r1"
    await house.clock.settle(0.001)
    await house.clock.settle(10)
    assert await closing == "closed"
    assert house.gone() == [("s", "closed")]
    assert await house.notices() == ["dispose_failed"]
    assert not house.router.has_active_user_turn("p")
    assert house.router.begin_turn("s", "r2")
    house.router.end_turn("s", "r1")
    assert house.router.turn_of("s") == "r2"


@pytest.mark.parametrize("leave", ["close", "shutdown"])
async def test_a_session_that_hangs_when_it_is_told_to_stop_is_reported_by_whoever_leaves(leave: str) -> None:
    house = House(abort_seconds=10)
    session = (await house.router.get_or_create("s")).session
    session.abort_gate = asyncio.Event()
    house.router.begin_turn("s", "r1")
    leaving = asyncio.ensure_future(LEAVE[leave](house))
    await house.clock.settle(10)
    await leaving
    assert (session.aborts, session.disposed) == (["closed" if leave == "close" else leave], 1)
    assert await house.notices() == ["abort_failed"]
    assert house.router.turn_of("s") is None


async def test_close_needs_something_of_that_generation() -> None:
    house = House()
    assert await house.router.close("s") == "gone"
    await house.router.get_or_create("s")
    assert await house.router.close("s", 2) == "gone"
    assert await house.router.close("s", 1) == "closed"
    assert await house.router.close("s", 1) == "gone"
    assert house.gone() == [("s", "closed")]


async def test_a_turn_without_a_session_is_closed_too() -> None:
    house = House()
    house.router.begin_turn("s", "r1", stop=lambda _reason: house.router.end_turn("s", "r1"))
    assert await house.router.close("s") == "closed"
    assert (house.gone(), house.router.turn_of("s")) == ([], None)


async def test_two_closes_are_one_and_a_get_during_it_builds_anew() -> None:
    house = House()
    await house.router.get_or_create("s")
    house.router.begin_turn("s", "r1")
    closes = [asyncio.create_task(house.router.close("s")) for _ in range(2)]
    await settle()
    getting = asyncio.create_task(house.router.get_or_create("s"))
    await settle()
    assert not getting.done()
    house.router.end_turn("s", "r1")
    assert [await close for close in closes] == ["closed", "closed"]
    assert (await getting).generation == 2
    assert house.gone() == [("s", "closed")]


async def test_a_close_is_carried_through_when_its_caller_leaves() -> None:
    house = House()
    await house.router.get_or_create("s")
    house.router.begin_turn("s", "r1")
    closing = asyncio.create_task(house.router.close("s"))
    await settle()
    closing.cancel()
    await settle()
    house.router.end_turn("s", "r1")
    await settle()
    assert house.gone() == [("s", "closed")]
    assert (await house.router.get_or_create("s")).generation == 2


@pytest.mark.parametrize("rebuild", [False, True])
async def test_a_build_caught_by_a_close_is_disposed_and_reported_to_its_callers_only(rebuild: bool) -> None:
    house = House()
    if rebuild:
        await house.router.get_or_create("s")
        house.router.mark_dirty(all=True)
    house.factory.gate = asyncio.Event()
    building = asyncio.create_task(house.router.get_or_create("s"))
    await settle()
    closing = asyncio.create_task(house.router.close("s"))
    await settle()
    with pytest.raises(SessionUnavailable):
        await building
    assert not closing.done()
    house.factory.gate.set()
    assert await closing == "closed"
    assert [session.disposed for session in house.factory.built] == [1] * len(house.factory.built)
    assert house.gone() == ([("s", "closed")] if rebuild else [])
    assert (await house.router.get_or_create("s")).generation == (2 if rebuild else 1)


async def test_what_was_built_in_the_step_of_a_close_is_not_handed_out() -> None:
    house = House()
    house.factory.gate = asyncio.Event()
    building = asyncio.create_task(house.router.get_or_create("s"))
    await settle()
    house.factory.gate.set()
    closing = asyncio.create_task(house.router.close("s"))
    assert await closing == "closed"
    entry = await building
    assert (entry.generation, entry.session.disposed) == (2, 0)
    assert house.gone() == [("s", "closed")]
    assert [session.disposed for session in house.factory.built] == [1, 0]


@pytest.mark.parametrize("held", ["turn", "maintenance"])
@pytest.mark.parametrize("leave", ["close", "shutdown"])
@pytest.mark.parametrize("steps", [1, 2])
async def test_what_ends_in_the_first_steps_of_a_close_is_neither_told_nor_waited_for(
    steps: int, leave: str, held: str
) -> None:
    house = House()
    session = (await house.router.get_or_create("s")).session
    told: list[str] = []
    if held == "turn":
        house.router.begin_turn("s", "r1", stop=told.append)
        release: Callable[[], None] = partial(house.router.end_turn, "s", "r1")
    else:
        reservation = house.router.reserve("s", "compaction")
        assert isinstance(reservation, Reservation)
        release = reservation.release
    leaving = asyncio.ensure_future(LEAVE[leave](house))
    for _ in range(steps):
        await asyncio.sleep(0)
    release()
    await settle()
    assert leaving.done()
    assert (told, session.aborts, session.disposed) == ([], [], 1)


async def test_a_shutdown_waits_for_those_that_were_replaced() -> None:
    house = House()
    old = (await house.router.get_or_create("s")).session
    old.dispose_gate = asyncio.Event()
    house.router.mark_dirty(session_key="s")
    await house.router.get_or_create("s")
    leaving = asyncio.create_task(house.router.shutdown())
    await settle()
    assert not leaving.done()
    old.dispose_gate.set()
    await leaving
    assert house.gone() == [("s", "dirty_recreate"), ("s", "shutdown")]


@pytest.mark.parametrize("reason", ["closed", "operator", "shutdown"])
async def test_what_is_on_its_way_out_is_not_swept(reason: EvictionReason) -> None:
    house = House(idle_seconds=1)
    session = (await house.router.get_or_create("s")).session
    session.dispose_gate = asyncio.Event()
    leaving = asyncio.ensure_future(WAYS_OUT[reason](house))
    await settle()
    house.clock.advance(5)
    assert house.router.count() == 1
    session.dispose_gate.set()
    await leaving
    assert house.gone() == [("s", reason)]


async def test_a_session_that_came_after_the_abort_of_its_turn_is_told_by_the_close() -> None:
    house = House(unwind=True)
    house.router.begin_turn("s", "r1")
    assert await house.router.abort("s", "enough")
    session = (await house.router.get_or_create("s", run_id="r1")).session
    assert await house.router.close("s") == "closed"
    assert session.aborts == ["closed"]


async def test_what_was_built_in_the_step_of_a_shutdown_is_not_handed_out() -> None:
    house = House()
    house.factory.gate = asyncio.Event()
    building = asyncio.create_task(house.router.get_or_create("s"))
    await settle()
    house.factory.gate.set()
    leaving = asyncio.create_task(house.router.shutdown())
    with pytest.raises(ShuttingDown):
        await building
    await leaving
    assert house.gone() == [("s", "shutdown")]


async def test_a_shutdown_catches_a_build_in_its_very_step() -> None:
    house = House()
    house.factory.gate = asyncio.Event()
    building = asyncio.create_task(house.router.get_or_create("s"))
    await settle()
    house.factory.gate.set()
    await house.router.shutdown()
    with pytest.raises(SessionUnavailable):
        await building
    assert [session.disposed for session in house.factory.built] == [1]
    assert (house.gone(), await house.changes()) == ([], [])


async def test_a_turn_whose_key_is_still_being_left_by_an_idle_session_is_told_of_the_shutdown() -> None:
    house = House(idle_seconds=10)
    old = (await house.router.get_or_create("s")).session
    old.dispose_gate = asyncio.Event()
    house.clock.advance(11)
    assert house.router.count() == 0
    told: list[str] = []
    house.router.begin_turn("s", "r1", stop=told.append)
    leaving = asyncio.create_task(house.router.shutdown())
    await settle()
    assert told == ["shutdown"]
    house.router.end_turn("s", "r1")
    old.dispose_gate.set()
    await leaving


async def test_a_build_that_takes_too_long_is_cancelled() -> None:
    house = House(abort_seconds=10)
    house.factory.gate = asyncio.Event()
    building = asyncio.create_task(house.router.get_or_create("s"))
    await settle()
    closing = asyncio.create_task(house.router.close("s"))
    await house.clock.settle(10)
    assert await closing == "closed"
    with pytest.raises(SessionUnavailable):
        await building
    await settle()
    assert house.factory.built == []


async def test_evict_takes_only_what_serves_nobody() -> None:
    house = House()
    assert await house.router.evict("s") == "gone"
    await house.router.get_or_create("s")
    house.router.begin_turn("s", "r1")
    assert await house.router.evict("s", 2) == "gone"
    assert await house.router.evict("s", 1) == "busy"
    house.router.end_turn("s", "r1")
    assert await house.router.evict("s", 1) == "evicted"
    assert await house.router.evict("s", 1) == "gone"
    assert house.gone() == [("s", "operator")]
    assert house.factory.log == ["dispose s#1", "evicted s"]


async def test_a_session_that_is_being_rebuilt_is_not_evicted() -> None:
    house = House(idle_seconds=10, max_sessions=1)
    await house.router.get_or_create("s")
    house.router.mark_dirty(all=True)
    house.factory.gate = asyncio.Event()
    rebuilding = asyncio.create_task(house.router.get_or_create("s"))
    await settle()
    assert await house.router.evict("s") == "busy"
    house.clock.advance(11)
    assert house.router.count() == 1
    house.factory.gate.set()
    assert (await rebuilding).generation == 2
    house.clock.advance(10)
    assert house.router.count() == 1


async def test_there_are_never_two_sessions_for_a_key_not_even_for_a_moment() -> None:
    house = House(idle_seconds=10)
    old = (await house.router.get_or_create("s")).session
    old.dispose_gate = asyncio.Event()
    house.clock.advance(11)
    assert house.router.count() == 0
    assert house.router.begin_turn("s", "r1")
    getting = asyncio.create_task(house.router.get_or_create("s", run_id="r1"))
    closing = asyncio.create_task(house.router.close("t"))
    await settle()
    assert (house.factory.creates, getting.done()) == (1, False)
    old.dispose_gate.set()
    assert (await getting).generation == 2
    assert await closing == "gone"


async def test_shutdown_aborts_drains_and_evicts_in_created_order_once() -> None:
    house = House(unwind=True)
    for key in "cab":
        await house.router.get_or_create(key)
    house.router.begin_turn("a", "r1")
    house.router.begin_turn("z", "r2", stop=lambda _reason: house.router.end_turn("z", "r2"))
    house.factory.gate = asyncio.Event()
    building = asyncio.create_task(house.router.get_or_create("new"))
    await settle()
    closes = [asyncio.create_task(house.router.shutdown()) for _ in range(2)]
    await settle()
    with pytest.raises(SessionUnavailable):
        await building
    with pytest.raises(ShuttingDown):
        await house.router.get_or_create("c")
    assert await house.router.evict("c") == "busy"
    closing = asyncio.create_task(house.router.close("c"))
    house.factory.gate.set()
    await asyncio.gather(*closes)
    await house.router.shutdown()
    assert await closing == "closed"
    assert house.gone() == [(key, "shutdown") for key in "cab"]
    assert [session.disposed for session in house.factory.built] == [1, 1, 1, 1]
    assert house.router.turn_of("a") is None
    assert house.router.turn_of("z") is None


async def test_a_close_under_way_ends_as_a_close_in_a_shutdown() -> None:
    house = House()
    await house.router.get_or_create("a")
    await house.router.get_or_create("b")
    house.router.begin_turn("a", "r1")
    closing = asyncio.create_task(house.router.close("a"))
    await settle()
    leaving = asyncio.create_task(house.router.shutdown())
    await settle()
    house.router.end_turn("a", "r1")
    await asyncio.gather(closing, leaving)
    assert house.gone() == [("a", "closed"), ("b", "shutdown")]


async def test_shutdown_does_not_wait_for_ever() -> None:
    house = House(abort_seconds=10)
    session = (await house.router.get_or_create("a")).session
    session.dispose_gate = asyncio.Event()
    await house.router.get_or_create("b")
    house.router.begin_turn("a", "r1")
    leaving = asyncio.create_task(house.router.shutdown())
    await house.clock.settle(10)
    await house.clock.settle(10)
    await leaving
    assert house.gone() == [("a", "shutdown"), ("b", "shutdown")]
    assert house.router.turn_of("a") is None


LEAVE: dict[str, Callable[[House], Awaitable[object]]] = {
    "close": lambda house: house.router.close("s"),
    "shutdown": lambda house: house.router.shutdown(),
}


@pytest.mark.parametrize("leave", LEAVE)
@pytest.mark.parametrize("fails", ["abort", "dispose", "dispose at once", "build", "listener", "stop"])
async def test_whatever_fails_on_the_way_out_the_key_is_free_after_it(
    monkeypatch: pytest.MonkeyPatch, leave: str, fails: str
) -> None:
    house = House(unwind=True)
    session = (await house.router.get_or_create("s", project="p")).session

    def disposed() -> None:
        session.disposed += 1
        raise RuntimeError("no")

    house.router.mark_dirty(all=True)
    building: asyncio.Task[object] | None = None
    match fails:
        case "abort":
            session.abort_error = RuntimeError("no")
        case "dispose":
            session.dispose_error = RuntimeError("no")
        case "dispose at once":
            monkeypatch.setattr(session, "dispose", disposed)
        case "listener":
            house.router._reports._on_evict = _broken
        case "build":
            house.factory.fail_next.add("recreate")
            building = asyncio.create_task(house.router.get_or_create("s"))
            await asyncio.sleep(0)
        case _:
            assert fails == "stop"
    house.router.begin_turn("s", "r1", stop=_broken if fails == "stop" else None)
    leaving = asyncio.ensure_future(LEAVE[leave](house))
    await house.clock.settle(10)
    await leaving
    if building is not None:
        with pytest.raises(SessionUnavailable):
            await building
    assert session.disposed == 1
    assert house.router.count() == 0
    assert not house.router.has_active_user_turn("p")
    assert not house.router._departures._leaving
    assert not house.router._builder.all()
    gone = [change for change in await house.changes() if change in ("closed s#1", "shutdown s#1")]
    assert len(gone) == 1
    if leave == "close":
        assert (await house.router.get_or_create("s")).generation == 2


async def _idle(house: House) -> None:
    house.clock.advance(10.001)
    house.router.count()


WAYS_OUT: dict[EvictionReason, Callable[[House], Awaitable[object]]] = {
    "idle": _idle,
    "closed": lambda house: house.router.close("s"),
    "dirty_recreate": lambda house: house.router.get_or_create("s", channel="new"),
    "capacity": lambda house: house.router.get_or_create("other"),
    "operator": lambda house: house.router.evict("s"),
    "shutdown": lambda house: house.router.shutdown(),
}


@pytest.mark.parametrize("reason", WAYS_OUT)
async def test_each_way_out_is_told_with_how_it_stood_to_a_listener_that_may_raise(
    reason: EvictionReason,
) -> None:
    house = House(idle_seconds=10, max_sessions=1)
    await house.router.get_or_create("s", project="p", channel="web")
    house.router.mark_dirty(session_key="s", reason="config_changed")
    before = house.router.row("s")
    heard: list[Eviction] = []

    def listener(eviction: Eviction) -> None:
        heard.append(eviction)
        raise RuntimeError("no")

    house.router._reports._on_evict = listener
    await WAYS_OUT[reason](house)
    (eviction,) = heard
    assert (eviction.session_key, eviction.generation, eviction.reason) == ("s", 1, reason)
    assert eviction.snapshot == before
    assert await house.notices() == ["eviction_callback_failed"]
    assert house.router.figures().sessions == (reason in ("dirty_recreate", "capacity"))


def _broken(_anything: object) -> None:
    raise RuntimeError("no")
