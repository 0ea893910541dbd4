"""What one process does to a shared waiting room is in the memory of every other within a moment."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Collection
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from core.admission import Access, following, ledger, roll
from core.admission.answers import ActiveSeat, QueuedSeat, RateLimited
from core.admission.changes import Change
from core.protocol import Noticed, QueueChanged, SeatChanged, SeatGone
from core.store import change_log
from tests.admission.house import BIG, SMALL, House, admission
from tests.storage.storage import Storage


@pytest.fixture
async def houses(postgres: Storage) -> AsyncIterator[tuple[House, House]]:
    opened = House(postgres, admission(abandon_seconds=600)), House(postgres, admission(abandon_seconds=600))
    for house in opened:
        await house.open()
    yield opened
    for house in opened:
        await house.aclose()


def position(house: House, user_id: str) -> int | None:
    """The place that a process tells a waiting user."""
    state = house.room.state(user_id)
    return state.position if isinstance(state, QueuedSeat) else None


async def told(house: House) -> list[tuple[str, str]]:
    """What the house's journal says of seats: (what, user), in order."""
    return [
        (event.what, event.seat.user_id if isinstance(event, SeatChanged) else event.user_id)
        for event in await house.events()
        if isinstance(event, SeatChanged | SeatGone)
    ]


def memory(house: House) -> dict[str, object]:
    """Everything that a process answers from."""
    room = house.room
    return {
        "seats": {row.user_id: row for row in room.seat_rows()},
        "queues": {row.model: row for row in room.queue_rows()},
        "positions": {row.user_id: position(house, row.user_id) for row in room.seat_rows()},
        "quotas": {
            row.user_id: room.state(row.user_id).rate_limits_by_model  # type: ignore[union-attr]
            for row in room.seat_rows()
            if row.state == "active"
        },
    }


async def test_places_and_depths_follow(houses: tuple[House, House]) -> None:
    here, there = houses
    for house, user_id in ((here, "a"), (there, "b"), (here, "c"), (there, "d")):
        await house.queued(user_id)
    assert position(there, "c") is None
    for house in houses:
        await house.room.catch_up()
        assert [position(house, user_id) for user_id in "abcd"] == [1, 2, 3, 4]
        assert house.room.queue_rows()[0].waiting == 4
    await there.room.request("b", BIG)
    await here.room.end("a")
    for house in houses:
        await house.room.catch_up()
        assert [position(house, user_id) for user_id in "abcd"] == [None, 1, 1, 2]
    assert memory(here) == memory(there)


async def test_the_others_events_are_told_once_and_ones_own_not_again(houses: tuple[House, House]) -> None:
    here, there = houses
    await here.queued("a")
    await there.queued("b")
    await here.room.catch_up()
    await here.room.catch_up()
    assert await told(here) == [("queued", "a"), ("queued", "b")]
    await there.room.admit_now("b")
    await there.room.catch_up()
    await there.room.end("a")
    await here.room.catch_up()
    assert (await told(here))[2:] == [("admitted_now", "b"), ("ended", "a")]
    assert [e.queue.waiting for e in await here.events() if isinstance(e, QueueChanged)][-1] == 0


async def test_an_admission_its_units_and_its_early_end_follow(houses: tuple[House, House]) -> None:
    here, there = houses
    await here.queued("u", BIG)
    await here.room.admit_now("u")
    await there.room.catch_up()
    state = there.room.state("u")
    assert isinstance(state, ActiveSeat)
    assert state.rate_limit is not None
    assert state.rate_limit.recent_count == 1.0
    here.clock.advance(6)
    await here.room.end("u")
    await there.room.catch_up()
    assert there.status("u") == "none"
    await there.queued("u", BIG)
    again = there.room.state("u")
    assert isinstance(again, QueuedSeat)
    assert again.rate_limit is not None
    assert again.rate_limit.recent_count == 0.1


async def test_bans_and_pauses_follow(houses: tuple[House, House]) -> None:
    here, there = houses
    for user_id in ("a", "b"):
        await here.queued(user_id)
    await here.room.ban("a", actor="op")
    await here.room.pause(SMALL, actor="op")
    await there.room.catch_up()
    assert there.status("a") == "banned"
    assert position(there, "b") == 1
    state = there.room.state("b")
    assert isinstance(state, QueuedSeat)
    assert state.paused_reason == "paused"
    await there.room.unban("a")
    await there.room.resume(None)
    await here.room.catch_up()
    assert [position(here, user_id) for user_id in "ab"] == [1, 2]
    again = here.room.state("b")
    assert isinstance(again, QueuedSeat)
    assert not again.paused


async def test_what_is_swept_evicted_and_dropped_elsewhere_is_gone_here(houses: tuple[House, House]) -> None:
    here, there = houses
    for user_id in ("expired", "banned", "absent"):
        await here.queued(user_id)
    await here.room.admit_now("expired")
    await here.room.ban("banned", actor="op")
    await there.room.catch_up()
    here.clock.advance(90 * 60)
    await here.room.tick()
    await there.room.catch_up()
    assert list(there.room.seat_rows()) == []
    assert sorted((await told(there))[-3:]) == [
        ("abandoned", "absent"),
        ("evicted", "banned"),
        ("expired", "expired"),
    ]


async def test_who_polls_at_one_process_is_not_dropped_by_the_tick_of_another(
    houses: tuple[House, House],
) -> None:
    here, there = houses
    await here.room.pause(None, actor="op")
    for user_id in ("polls", "silent"):
        await here.queued(user_id)
    await there.room.catch_up()
    for _ in range(4):
        for house in houses:
            house.clock.advance(150)
        there.room.state("polls")
        await followed(there)
    assert (await here.room.tick()).dropped == 1
    assert [row.user_id for row in here.room.seat_rows()] == ["polls"]


async def test_who_polls_at_a_process_that_was_restarted_is_not_dropped_either(
    houses: tuple[House, House],
) -> None:
    here, there = houses
    await here.room.pause(None, actor="op")
    await here.queued("u")
    await there.room.catch_up()
    for house in houses:
        house.clock.advance(599)
    # everybody counts as just seen there, but nobody has written that down
    await there.room.aclose()
    await there.database.aclose()
    await there.open()
    there.room.state("u")
    await followed(there)
    here.clock.advance(1)
    assert (await here.room.tick()).dropped == 0
    here.clock.advance(599)
    assert (await here.room.tick()).dropped == 1


async def test_whom_somebody_is_busy_with_is_written_down_later(houses: tuple[House, House]) -> None:
    here, there = houses
    await here.room.pause(None, actor="op")
    for user_id in ("busy", "free"):
        await here.queued(user_id)
    here.clock.advance(150)
    for user_id in ("busy", "free"):
        here.room.state(user_id)
    holding, free = threading.Event(), threading.Event()

    def hold(connection: Connection) -> None:
        assert ledger.seat_of(connection, "busy") is not None
        holding.set()
        assert free.wait(20)

    held = there.database.submit(hold)
    assert await asyncio.to_thread(holding.wait, 20)
    attendance = here.room._parts.floor.attendance
    polled = here.clock.now()
    await roll.write_down(attendance, here.room._parts.landing.write, polled)
    assert attendance.unwritten() == {"busy": polled}
    free.set()
    await held
    await roll.write_down(attendance, here.room._parts.landing.write, polled)
    assert attendance.unwritten() == {}
    stored = await here.database.read(lambda connection: ledger.snapshot(connection, 0))
    assert {seat.seen_at for seat in stored.seats} == {polled}


async def test_a_tick_lets_in_who_joined_elsewhere_a_moment_ago(houses: tuple[House, House]) -> None:
    here, there = houses
    await there.queued("u")
    report = await here.room.tick()
    assert (report.admitted, report.errors) == (1, {})
    await there.room.catch_up()
    assert there.status("u") == here.status("u") == "active"


async def test_a_tick_that_cannot_hear_of_the_others_goes_on(
    houses: tuple[House, House], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, _ = houses
    await here.queued("u")

    def fail(*_: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(following, "differences", fail)
    report = await here.room.tick()
    assert (report.admitted, report.errors) == (1, {"follow": "a defect"})


async def test_an_address_has_no_more_seats_than_its_cap_however_many_ask_at_once(
    houses: tuple[House, House], postgres: Storage
) -> None:
    settings = admission(each={"instant_admit_capacity": 100}, address_cap=2)
    capped = House(postgres, settings), House(postgres, settings)
    for house in capped:
        await house.open()
    from_there = Access(address_hash="there")
    answers = await asyncio.gather(
        *(
            capped[number % 2].room.request(f"user-{number}", (SMALL, BIG)[number % 2], access=from_there)
            for number in range(40)
        )
    )
    for house in capped:
        await house.aclose()
    assert sum(isinstance(answer, ActiveSeat) for answer in answers) == 2
    assert sum(isinstance(answer, RateLimited) for answer in answers) == 38


async def test_a_change_of_ones_own_is_never_undone_by_an_older_one_of_another(
    houses: tuple[House, House],
) -> None:
    here, there = houses
    await there.queued("u")
    await here.room.request("u", BIG)
    await here.room.catch_up()
    state = here.room.state("u")
    assert isinstance(state, QueuedSeat)
    assert state.model == BIG
    assert await told(here) == [("switched", "u")]


async def test_who_was_away_for_too_long_takes_everything_anew(
    houses: tuple[House, House], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = houses
    for user_id in ("stays", "goes", "banned", "seated"):
        await here.queued(user_id)
    await there.room.catch_up()
    await here.room.end("goes")
    await here.room.ban("banned", actor="op")
    await here.room.admit_now("seated")
    await here.queued("comes")
    await here.room.pause(BIG, actor="op")
    await here.execute("DELETE FROM change_log")
    monkeypatch.setattr(change_log, "KEPT_SECONDS", -1)
    await there.room.catch_up()
    assert memory(here) == memory(there)
    assert there.status("banned") == "banned"
    monkeypatch.undo()
    await here.room.unban("banned")
    await there.room.catch_up()
    assert position(there, "banned") == 2


async def test_that_somebody_was_heard_of_is_no_news(
    houses: tuple[House, House], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = houses
    await here.room.pause(None, actor="op")
    await here.queued("u")
    await there.room.catch_up()
    here.clock.advance(150)
    here.room.state("u")
    await followed(here)
    before = await told(there)
    await here.execute("DELETE FROM change_log")
    monkeypatch.setattr(change_log, "KEPT_SECONDS", -1)
    await there.room.catch_up()
    assert await told(there) == before


async def test_more_notes_than_are_read_at_once(
    houses: tuple[House, House], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = houses
    monkeypatch.setattr("core.admission.notes.MOST", 3)
    users = [f"u{number:02}" for number in range(20)]
    for user_id in users:
        await here.queued(user_id)
    await there.room.catch_up()
    assert [position(there, user_id) for user_id in users] == [*range(1, 21)]


async def test_it_follows_by_itself_and_outlives_a_database_that_is_away(houses: tuple[House, House]) -> None:
    here, there = houses
    task = asyncio.create_task(there.room.follow())
    try:
        await here.queued("a")
        await until(there, lambda: position(there, "a") == 1)
        await here.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE granted AND pid <> pg_backend_pid() "
            "AND relation = 'seats'::regclass"
        )
        await here.queued("b")
        await until(there, lambda: position(there, "b") == 2)
        assert not task.done()
    finally:
        task.cancel()


async def test_a_defect_of_ours_is_told_once_and_nothing_is_missed(
    houses: tuple[House, House], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = houses
    herald = there.room._parts.herald
    attempts: list[int] = []
    follow = herald.follow

    def stumbling(changes: Collection[Change], now: int) -> set[str]:
        if changes:
            attempts.append(now)
            raise RuntimeError("a defect")
        return follow(changes, now)

    monkeypatch.setattr(herald, "follow", stumbling)
    task = asyncio.create_task(there.room.follow())
    try:
        await here.queued("a")
        await until(there, lambda: len(attempts) > 2)
        monkeypatch.undo()
        await until(there, lambda: position(there, "a") == 1)
    finally:
        task.cancel()
    (trouble,) = [event for event in await there.events() if isinstance(event, Noticed)]
    assert "RuntimeError" in trouble.message


async def test_old_notes_are_removed(houses: tuple[House, House], monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = houses
    monkeypatch.setattr("core.admission.following.MOST", 2)
    for number in range(5):
        await here.queued(f"u{number}")
    await here.execute(f"UPDATE change_log SET at = at - interval '{change_log.KEPT_SECONDS + 1} s'")
    await here.queued("young")
    task = asyncio.create_task(there.room.follow())
    try:
        await until(there, lambda: position(there, "young") == 6)
        there.clock.advance(61)
        counted = "SELECT count(*) FROM change_log"
        async with asyncio.timeout(20):
            while (
                await here.database.read(lambda connection: connection.execute(text(counted)).scalar_one())
                != 1
            ):
                there.clock.advance(following.FOLLOW_SECONDS)
                await asyncio.sleep(0.01)
    finally:
        task.cancel()


async def test_alone_on_a_file_there_is_nothing_to_follow(tmp_path: Path) -> None:
    house = House(Storage("sqlite", "sqlite", tmp_path), admission())
    await house.open()
    await house.queued("a")
    await house.room.catch_up()
    await house.room.follow()
    assert position(house, "a") == 1
    await house.aclose()


async def followed(house: House) -> None:
    """Let a process write down who was heard of there."""
    attendance = house.room._parts.floor.attendance
    assert attendance.unwritten()
    task = asyncio.create_task(house.room.follow())
    try:
        await until(house, lambda: not attendance.unwritten())
    finally:
        task.cancel()


async def until(house: House, holds: Callable[[], bool]) -> None:
    """Let the house's clock go on until a condition holds; twenty seconds at most."""
    async with asyncio.timeout(20):
        while not holds():
            house.clock.advance(following.FOLLOW_SECONDS)
            await asyncio.sleep(0.005)
