"""A session that is worked on apart from any turn: nobody else gets at it, and nothing waits for it for ever."""

from __future__ import annotations

import asyncio

from core.protocol import SessionChanged
from core.router import Hold, Reservation
from tests.router.fakes import House, Scripted, settle


async def reserved(house: House, key: str = "s") -> Reservation[Scripted]:
    """The key's session, built and reserved."""
    await house.router.get_or_create(key)
    reservation = house.router.reserve(key, "compaction")
    assert isinstance(reservation, Reservation)
    return reservation


async def test_it_blocks_a_turn_an_eviction_and_a_second_one() -> None:
    house = House()
    reservation = await reserved(house)
    assert reservation.entry.generation == 1
    assert not house.router.begin_turn("s", "r1")
    assert house.router.reserve("s", "transfer") == "busy"
    assert await house.router.evict("s") == "busy"
    reservation.release()
    assert house.router.begin_turn("s", "r1")
    assert house.router.reserve("s", "transfer") == "busy"
    assert await house.changes() == [
        "created s#1",
        "maintenance_began s#1",
        "maintenance_ended s#1",
        "turn_began s#1",
    ]


async def test_its_row_says_what_it_is_reserved_for() -> None:
    house = House()
    reservation = await reserved(house)
    row = house.router.row("s")
    assert row is not None
    assert (row.run_id, row.maintenance) == (None, "compaction")
    reservation.release()
    rows = [each.session for each in await house.told() if isinstance(each, SessionChanged)]
    assert [each.maintenance for each in rows] == [None, "compaction", None]


async def test_it_never_builds_and_minds_the_generation() -> None:
    house = House()
    assert house.router.reserve("s", "compaction") == "gone"
    assert house.factory.creates == 0
    await house.router.get_or_create("s")
    assert house.router.reserve("s", "compaction", 2) == "gone"
    assert isinstance(house.router.reserve("s", "compaction", 1), Reservation)


async def test_neither_idleness_nor_a_cap_takes_it() -> None:
    house = House(idle_seconds=10, max_sessions=1)
    reservation = await reserved(house)
    house.clock.advance(60)
    assert house.router.count() == 1
    await house.router.get_or_create("other")
    assert house.gone() == []
    reservation.release()
    house.clock.advance(10.001)
    assert house.router.count() == 0


async def test_a_mark_waits_for_its_end() -> None:
    house = House()
    reservation = await reserved(house)
    assert house.router.mark_dirty(session_key="s") == 1
    assert (await house.router.get_or_create("s")).generation == 1
    reservation.release()
    assert (await house.router.get_or_create("s")).generation == 2


async def test_while_it_is_being_rebuilt_it_is_busy() -> None:
    house = House()
    await house.router.get_or_create("s")
    house.router.mark_dirty(session_key="s")
    house.factory.gate = asyncio.Event()
    rebuilding = asyncio.create_task(house.router.get_or_create("s"))
    await settle()
    assert house.router.reserve("s", "compaction") == "busy"
    house.factory.gate.set()
    await rebuilding


async def test_a_close_waits_for_the_release_and_then_disposes() -> None:
    house = House()
    reservation = await reserved(house)
    closing = asyncio.create_task(house.router.close("s"))
    await settle()
    assert not closing.done()
    assert house.factory.built[0].disposed == 0
    reservation.release()
    assert await closing == "closed"
    assert house.gone() == [("s", "closed")]
    assert (await house.router.get_or_create("s")).generation == 2


async def test_a_close_does_not_wait_for_ever_and_a_late_release_frees_nothing_of_the_next() -> None:
    house = House(abort_seconds=10)
    reservation = await reserved(house)
    closing = asyncio.create_task(house.router.close("s"))
    await house.clock.settle(10)
    assert await closing == "closed"
    again = await reserved(house)
    reservation.release()
    assert house.router.reserve("s", "transfer") == "busy"
    again.release()
    again.release()
    assert house.router.begin_turn("s", "r1")


async def test_a_shutdown_waits_for_it_within_its_bounds() -> None:
    house = House(abort_seconds=10)
    await reserved(house)
    leaving = asyncio.create_task(house.router.shutdown())
    await house.clock.settle(9.999)
    assert not leaving.done()
    await house.clock.settle(0.001)
    await leaving
    assert house.gone() == [("s", "shutdown")]
    assert house.router.reserve("s", "compaction") == "gone"


async def test_who_is_refused_can_ask_what_the_session_is_in_use_for() -> None:
    house = House(unwind=True)
    router = house.router
    assert router.hold_of("s") is None
    reservation = await reserved(house)
    assert router.hold_of("s") == Hold("maintenance", "compaction")
    reservation.release()
    router.mark_dirty(session_key="s")
    house.factory.gate = asyncio.Event()
    rebuilding = asyncio.create_task(router.get_or_create("s"))
    await settle()
    assert router.hold_of("s") == Hold("rebuild")
    router.begin_turn("s", "r1")
    assert router.hold_of("s") == Hold("turn")
    house.factory.gate.set()
    session = (await rebuilding).session
    session.dispose_gate = asyncio.Event()
    closing = asyncio.create_task(router.close("s"))
    await settle()
    assert router.hold_of("s") == Hold("departure")
    session.dispose_gate.set()
    await closing
    assert router.hold_of("s") is None
    await router.shutdown()
    assert router.hold_of("s") == Hold("shutdown")


async def test_whatever_is_busy_is_so_for_something() -> None:
    house = House()
    reservation = await reserved(house)
    assert await house.router.evict("s") == "busy"
    hold = house.router.hold_of("s")
    assert hold is not None
    assert hold.text == "is reserved for compaction"
    reservation.release()
    session = house.factory.built[0]
    session.dispose_gate = asyncio.Event()
    evicting = asyncio.create_task(house.router.evict("s"))
    await settle()
    assert await house.router.evict("s") == "busy"
    hold = house.router.hold_of("s")
    assert hold is not None
    assert hold.text == "is on its way out already"
    session.dispose_gate.set()
    assert await evicting == "evicted"
