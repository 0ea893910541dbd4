"""The agenda, and the workload's cost: what waits is an entry in a heap, and nothing else."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from console.sandbox.agenda import Act, Agenda
from console.sandbox.house import Plan
from console.sandbox.scenarios import SCENARIOS, Scenario
from tests.sandbox.stepping import stepped


class Moment(int):
    """A time that counts how often it is compared."""

    compared = 0

    def __lt__(self, other: int) -> bool:
        Moment.compared += 1
        return int(self) < int(other)

    def __eq__(self, other: object) -> bool:
        return int(self) == other

    __hash__ = int.__hash__


def test_errands_come_by_their_time_then_in_the_order_of_booking() -> None:
    agenda = Agenda()
    for at, name in ((30, "c"), (10, "a"), (30, "d"), (20, "b")):
        agenda.book(at, Act("ban", name))
    assert len(agenda) == 4
    taken = [(agenda.next_at, agenda.take()) for _ in range(4)]
    assert taken == [(at, Act("ban", name)) for at, name in ((10, "a"), (20, "b"), (30, "c"), (30, "d"))]
    assert agenda.next_at is None


def compared(waiting: int) -> int:
    """How many comparisons a hundred errands cost while so many people wait."""
    agenda = Agenda()
    for number in range(waiting):
        agenda.book(Moment(1000 + number * 7919 % waiting), Act("ban", ""))
    before = Moment.compared
    for _ in range(100):
        agenda.book(Moment(500), Act("ban", ""))
        _ = agenda.take()
    return Moment.compared - before


def test_an_errand_costs_no_more_for_the_many_who_wait() -> None:
    few, many = compared(500), compared(50_000)
    assert many < 3 * few


CROWD = Scenario(about="hardly a seat", arrivals=0.01, lift=0, opening=1.0, seats=0.01, ceiling=0.01)


async def test_who_waits_has_no_task_and_is_seldom_looked_at(
    monkeypatch: pytest.MonkeyPatch, quick_folder: Path
) -> None:
    monkeypatch.setitem(SCENARIOS, "crowd", CROWD)
    async with stepped(quick_folder, Plan(scenario="crowd", users=200)) as play:
        await play.play(62)
        waiting = sum(queue.waiting for queue in play.core.waiting_room.queue_rows())
        assert waiting > 120
        assert len(asyncio.all_tasks()) < 60
        assert play.core.workload is not None
        assert play.core.workload.booked < 230
