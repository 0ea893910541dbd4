"""The tick: its parts, its report, its isolation, its watchdog."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import msgspec
import pytest
from sqlalchemy import Connection

from core.admission import ledger, roll
from core.admission.answers import QueuedSeat
from core.admission.health import FleetHealth
from core.admission.ledger import note_seen
from core.protocol import Health, Noticed
from tests.admission.house import BIG, LIMITED, MODELS, SMALL, House, OpenHouse, admission

INSTANT = {"instant_admit_capacity": 9}


async def until(house: House, holds: Callable[[], bool]) -> None:
    """Let the loop and the writer go on, unit by unit, until it holds."""
    for _ in range(50):
        if holds():
            return
        await house.database.write(lambda _connection: None)
    raise AssertionError("it never came to that")


async def test_an_empty_tick_reports_nothing_and_null(open_house: OpenHouse) -> None:
    house = await open_house()
    assert msgspec.to_builtins(await house.room.tick()) == {
        "expired": 0,
        "evicted": 0,
        "dropped": 0,
        "admitted": 0,
        "skipped": {},
        "worst": None,
        "errors": {},
    }


async def test_each_reason_is_told_and_the_worst_of_all(open_house: OpenHouse) -> None:
    house = await open_house(admission(each={"max_active": 1}, admits_per_tick=2))
    for model in (SMALL, BIG, LIMITED):
        await house.queued(f"1 {model}", model)
        await house.queued(f"2 {model}", model)
    await house.room.pause(BIG, actor="op")
    house.room.set_health(LIMITED, "unhealthy")
    report = await house.room.tick()
    assert report.admitted == 1
    assert report.skipped == {SMALL: "at_capacity", BIG: "paused", LIMITED: "unhealthy"}
    assert report.worst == "unhealthy"


async def test_of_a_models_reasons_the_worst_is_told(open_house: OpenHouse) -> None:
    house = await open_house(admission(each={"max_active": 1}))
    await house.queued("a")
    await house.room.tick()
    await house.queued("b")
    for set_up, expected in (
        (None, "at_capacity"),
        ("paused", "paused"),
        ("degraded", "degraded"),
        ("unhealthy", "unhealthy"),
    ):
        if set_up == "paused":
            await house.room.pause(None, actor="op")
        elif set_up is not None:
            house.room.set_health(SMALL, set_up)  # type: ignore[arg-type]
        assert (await house.room.tick()).skipped == {SMALL: expected}


async def test_a_round_that_ends_short_is_skipped_even_when_it_admitted(open_house: OpenHouse) -> None:
    house = await open_house(admission(each={"max_active": 2}, admits_per_tick=3))
    for name in "abc":
        await house.queued(name)
    report = await house.room.tick()
    assert (report.admitted, report.skipped) == (2, {SMALL: "at_capacity"})


async def test_a_full_round_is_not_skipped_though_others_wait(open_house: OpenHouse) -> None:
    house = await open_house(admission(admits_per_tick=2))
    for name in "abc":
        await house.queued(name)
    report = await house.room.tick()
    assert (report.admitted, report.skipped) == (2, {})


async def test_the_tick_drips_beyond_instant_admission(open_house: OpenHouse) -> None:
    house = await open_house(admission(each={"instant_admit_capacity": 1}))
    await house.admitted("a")
    await house.queued("b")
    assert (await house.room.tick()).admitted == 1


async def test_a_seat_past_its_grace_frees_its_place_in_the_same_tick(open_house: OpenHouse) -> None:
    house = await open_house(admission(each={"instant_admit_capacity": 1, "max_active": 1}))
    await house.admitted("a")
    await house.queued("b")
    house.clock.advance(5399.999)
    assert (await house.room.tick()).expired == 0
    house.clock.advance(0.001)
    report = await house.room.tick()
    assert (report.expired, report.admitted) == (1, 1)


async def test_the_banned_are_evicted_before_anybody_is_admitted(open_house: OpenHouse) -> None:
    house = await open_house(admission(each={"instant_admit_capacity": 1, "max_active": 1}))
    await house.admitted("bad", BIG)
    house.clock.advance(600)
    await house.queued("good", BIG)
    await house.room.ban("bad", actor="op")
    report = await house.room.tick()
    assert (report.evicted, report.admitted) == (1, 1)
    assert [each.units for each in await house.room.admits_of("bad")] == [
        1.0
    ]  # an eviction gives nothing back


async def test_a_banned_head_is_passed_and_no_reason_to_skip(open_house: OpenHouse) -> None:
    house = await open_house()
    await house.queued("bad")
    await house.room.ban("bad", actor="op")
    await house.refuse("DELETE", "seats", "old.user_id = 'bad'")
    report = await house.room.tick()
    assert (report.admitted, report.skipped) == (0, {})
    assert list(report.errors) == ["evict"]
    await house.queued("good")
    assert (await house.room.tick()).admitted == 1


async def test_with_admission_off_a_tick_only_sweeps(open_house: OpenHouse) -> None:
    settings = admission(each=INSTANT)
    house = await open_house(settings)
    await house.admitted("old")
    await house.admitted("bad")
    await house.room.end("bad")
    await house.restart(admission())
    await house.queued("bad")
    await house.queued("u")
    await house.room.ban("bad", actor="op")
    await house.restart(msgspec.structs.replace(admission(), enabled=False))
    house.clock.advance(5400)
    report = await house.room.tick()
    assert (report.expired, report.evicted, report.admitted, report.skipped) == (1, 0, 0, {})
    assert house.room.seat_count() == 2


async def test_a_failing_sweep_does_not_take_the_others_along(open_house: OpenHouse) -> None:
    house = await open_house()
    await house.queued("a")
    await house.room.tick()
    house.clock.advance(5400)
    await house.queued("b")
    await house.queued("bad")
    await house.room.ban("bad", actor="op")
    await house.refuse("DELETE", "seats", "old.user_id = 'a'")
    report = await house.room.tick()
    assert (report.expired, report.evicted, report.admitted) == (0, 1, 1)
    assert list(report.errors) == ["sweep"]
    assert "the disk refuses" in report.errors["sweep"]
    notices = [event for event in await house.events() if isinstance(event, Noticed)]
    assert [event.level for event in notices] == ["error"]
    assert "sweep" in notices[0].message
    await house.relent("seats")
    assert (await house.room.tick()).expired == 1


async def test_a_failing_round_is_named_and_skips_its_model_only(open_house: OpenHouse) -> None:
    house = await open_house()
    await house.queued("a")
    await house.queued("b", BIG)
    await house.refuse("UPDATE", "seats", "old.user_id = 'a'")
    report = await house.room.tick()
    assert (report.admitted, report.skipped, report.worst) == (1, {SMALL: "failed"}, "failed")
    assert list(report.errors) == [f"admit {SMALL}"]
    assert (house.status("a"), house.status("b")) == ("queued", "active")


class Unreadable(FleetHealth):
    """The health of one model cannot be told."""

    def of(self, model: str, now: int) -> Health:
        if model == SMALL:
            raise RuntimeError("a defect")
        return super().of(model, now)


async def test_a_model_whose_health_cannot_be_told_lets_nobody_in(open_house: OpenHouse) -> None:
    house = await open_house()
    await house.queued("a")
    await house.queued("b", BIG)
    house.room._parts.ticker._health = Unreadable()
    report = await house.room.tick()
    assert (report.admitted, report.skipped) == (1, {SMALL: "unhealthy"})
    assert report.errors == {"health": f"{SMALL}: a defect"}


async def test_a_queue_of_a_model_no_longer_configured_is_dropped(open_house: OpenHouse) -> None:
    house = await open_house()
    await house.queued("a", BIG)
    await house.queued("b")
    without = admission(models=[model for model in MODELS if model["id"] != BIG])
    await house.restart(without)
    assert house.status("a") == "none"
    report = await house.room.tick()
    assert (report.dropped, report.expired, report.evicted, report.admitted) == (1, 0, 0, 1)
    assert house.room.seat_of("a") is None


async def test_a_drop_that_fails_makes_the_model_failed(open_house: OpenHouse) -> None:
    house = await open_house()
    await house.queued("a", BIG)
    await house.queued("b")
    await house.restart(admission(models=[model for model in MODELS if model["id"] != BIG]))
    await house.refuse("DELETE", "seats", "old.user_id = 'a'")
    report = await house.room.tick()
    assert (report.dropped, report.admitted) == (0, 1)
    assert (report.skipped, list(report.errors)) == ({BIG: "failed"}, ["drop"])


async def test_drops_that_fail_for_several_models_are_all_told(open_house: OpenHouse) -> None:
    house = await open_house(admission(abandon_seconds=600))
    await house.queued("a", BIG)
    await house.queued("b", LIMITED)
    await house.queued("c")
    models = [model for model in MODELS if model["id"] != BIG]
    await house.restart(admission(abandon_seconds=600, models=models))
    house.clock.advance(600)
    await house.refuse("DELETE", "seats", "old.user_id <> 'c'")
    report = await house.room.tick()
    assert (report.dropped, report.skipped) == (1, {BIG: "failed", LIMITED: "failed"})
    assert list(report.errors) == ["drop"]
    assert report.errors["drop"].startswith(f"{BIG}: ")
    assert f"; {LIMITED}: " in report.errors["drop"]
    assert report.errors["drop"].count("the disk refuses") == 2


async def test_not_to_know_who_is_absent_holds_nobody_up(open_house: OpenHouse) -> None:
    house = await open_house(admission(abandon_seconds=600))
    await house.queued("a")
    house.room._parts.floor.attendance.arrive("nobody's", house.clock.now() - 600_000, 0)
    report = await house.room.tick()
    assert (report.admitted, list(report.errors)) == (1, ["drop"])


async def test_who_is_not_heard_of_is_dropped_at_exactly_that_age(open_house: OpenHouse) -> None:
    house = await open_house(admission(abandon_seconds=600))
    house.room.set_health(SMALL, "degraded")
    await house.queued("a")
    house.clock.advance(599.999)
    assert (await house.room.tick()).dropped == 0
    house.clock.advance(0.001)
    assert (await house.room.tick()).dropped == 1


async def test_after_a_restart_everybody_counts_as_just_seen(open_house: OpenHouse) -> None:
    house = await open_house(admission(abandon_seconds=600, each={"max_active": 1}))
    await house.room.pause(None, actor="op")
    await house.queued("a")
    house.clock.advance(599)
    await house.restart()
    house.clock.advance(599.999)
    assert (await house.room.tick()).dropped == 0
    house.clock.advance(0.001)
    assert (await house.room.tick()).dropped == 1


async def test_polls_reach_the_database_once_per_quarter(open_house: OpenHouse) -> None:
    house = await open_house(admission(abandon_seconds=600))
    await house.room.pause(None, actor="op")
    await house.queued("a")

    def seen(connection: Connection) -> int:
        return int(connection.exec_driver_sql("SELECT seen_at FROM seats").scalar_one())

    start = await house.database.read(seen)
    for seconds, expected in ((149, 0), (1, 150_000), (149, 150_000), (1, 300_000)):
        house.clock.advance(seconds)
        house.room.state("a")
        await house.room.tick()
        assert await house.database.read(seen) - start == expected


async def test_many_who_polled_are_written_down_in_parts(
    open_house: OpenHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = await open_house(admission(abandon_seconds=600))
    await house.room.pause(None, actor="op")
    for user in "abcde":
        await house.queued(user)
    house.clock.advance(150)
    for user in "abcde":
        house.room.state(user)
    noted: list[int] = []

    def note(connection: Connection, seen: dict[str, int]) -> list[str]:
        noted.append(len(seen))
        return note_seen(connection, seen)

    monkeypatch.setattr(roll, "_NOTES", 2)
    monkeypatch.setattr(ledger, "note_seen", note)
    await house.room.tick()
    assert noted == [2, 2, 1]
    await house.restart()
    seats = [house.room.seat_of(user) for user in "abcde"]
    assert {seat.seen_at for seat in seats if seat} == {house.clock.now()}


async def test_somebody_who_polled_at_another_instance_is_not_dropped(open_house: OpenHouse) -> None:
    house = await open_house(admission(abandon_seconds=600))
    await house.room.pause(None, actor="op")
    await house.queued("a")
    house.clock.advance(600)
    await house.execute(f"UPDATE seats SET seen_at = {house.clock.now() - 1}")
    assert (await house.room.tick()).dropped == 0
    house.clock.advance(599.998)
    assert (await house.room.tick()).dropped == 0
    house.clock.advance(0.001)
    assert (await house.room.tick()).dropped == 1


async def test_polls_that_could_not_be_written_are_written_by_the_next_tick(open_house: OpenHouse) -> None:
    house = await open_house(admission(abandon_seconds=600))
    await house.room.pause(None, actor="op")
    await house.queued("a")
    house.clock.advance(150)
    house.room.state("a")
    await house.refuse("UPDATE", "seats")
    assert list((await house.room.tick()).errors) == ["attendance"]
    await house.relent("seats")
    polled = house.clock.now()
    house.clock.advance(1)
    assert (await house.room.tick()).errors == {}

    def seen(connection: Connection) -> int:
        return int(connection.exec_driver_sql("SELECT seen_at FROM seats").scalar_one())

    assert await house.database.read(seen) == polled


async def test_a_tick_that_hangs_is_given_up_and_its_late_end_disturbs_nobody(open_house: OpenHouse) -> None:
    house = await open_house(admission(abandon_seconds=600))
    await house.queued("a")
    await house.queued("b", BIG)
    go_on = threading.Event()
    stuck = house.database.submit(lambda _connection: go_on.wait(20))
    first = asyncio.create_task(house.room.tick())
    await house.clock.settle(59.999)
    assert not first.done()
    await house.clock.settle(0.001)
    await house.clock.settle(0)
    report = await first
    assert "60 s" in report.errors["watchdog"]
    assert report.admitted == 0
    second = asyncio.create_task(house.room.tick())
    await asyncio.sleep(0)
    go_on.set()
    await stuck
    report = await second
    assert (report.admitted, report.errors) == (2, {})
    assert (house.status("a"), house.status("b")) == ("active", "active")


async def test_the_ticker_ticks_at_once_and_then_every_so_often(open_house: OpenHouse) -> None:
    house = await open_house()
    for name in "abc":
        await house.queued(name)
    ticker = asyncio.create_task(house.room.run())
    await until(house, lambda: house.status("a") == "active")
    await house.clock.settle(14.999)
    await house.room.admits_of("b")
    assert house.status("b") == "queued"
    await house.tick_is_due()
    await house.clock.settle(0.001)
    await until(house, lambda: house.status("b") == "active")
    answer = house.room.state("c")
    assert isinstance(answer, QueuedSeat)
    ticker.cancel()
    await asyncio.gather(ticker, return_exceptions=True)


async def test_a_tick_that_fails_altogether_is_told_and_survived(open_house: OpenHouse) -> None:
    house = await open_house()
    await house.queued("a")
    clock, failing = house.clock, [True]
    now = clock.now

    def stumbling() -> int:
        if failing:
            failing.pop()
            raise RuntimeError("the clock stumbles")
        return now()

    clock.now = stumbling  # type: ignore[method-assign]
    ticker = asyncio.create_task(house.room.run())
    await until(house, lambda: not failing)
    await clock.settle(0)
    clock.now = now  # type: ignore[method-assign]
    notices = [event for event in await house.events() if isinstance(event, Noticed)]
    assert [event.code for event in notices] == ["tick_failed"]
    await house.tick_is_due()
    await clock.settle(15)
    await until(house, lambda: house.status("a") == "active")
    ticker.cancel()
    await asyncio.gather(ticker, return_exceptions=True)
