"""The last minutes: by the minute, from the events' own times, and forgotten when they are old."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.state import ConsoleState, CostKey, begin_view, end_view, reduce
from console.times import moment
from console.trends import STEP_MS, STEPS, Amounts, Level, spark
from core.protocol import CostChanged, QueueChanged, RunChanged, ViewHead
from tests.console.rows import AT, a_cost, a_queue, a_run

START = moment(AT) // STEP_MS * STEP_MS


@pytest.mark.parametrize(
    ("figures", "top", "text"),
    [
        ([None, 0, 1, 4, 8], 8, "· ▁▄█"),
        ([1, 2, 3], 7, "▂▃▄"),
        ([9, 100], 8, "██"),
        ([], 1, ""),
        ([5], 0, "█"),
    ],
)
def test_a_spark(figures: list[int | None], top: int, text: str) -> None:
    assert spark(figures, top) == text


def test_a_level_stands_until_it_changes_and_a_minute_shows_its_highest() -> None:
    level = Level()
    assert level.series(START) == [None] * STEPS
    level.note(START, 3)
    level.note(START + 1_000, 9)
    level.note(START + 2_000, 1)
    level.note(START + 3 * STEP_MS, 0)
    assert level.series(START + 4 * STEP_MS)[-6:] == [None, 9, 1, 1, 1, 0]
    assert level.series(START + 60 * STEP_MS) == [0] * STEPS


def test_a_level_that_changed_long_ago_is_still_standing() -> None:
    level = Level()
    level.note(START, 4)
    assert level.series(START + 50 * STEP_MS) == [4] * STEPS


@given(st.lists(st.tuples(st.integers(0, 90_000), st.integers(0, 50)), max_size=60))
def test_a_level_agrees_with_one_that_keeps_everything(steps: list[tuple[int, int]]) -> None:
    level, now = Level(), START
    notes: list[tuple[int, int]] = []
    for later, figure in steps:
        now += later
        level.note(now, figure)
        notes.append((now, figure))
    end = now // STEP_MS
    expected: list[int | None] = []
    for minute in range(end - STEPS + 1, end + 1):
        inside = [figure for at, figure in notes if at // STEP_MS == minute]
        before = [figure for at, figure in notes if at // STEP_MS < minute][-1:]
        expected.append(max(inside + before, default=None))
    assert level.series(now) == expected


def test_amounts_are_added_up_by_the_minute_and_let_go() -> None:
    amounts: Amounts[str] = Amounts()
    amounts.begin(START)
    amounts.add("a", START, 5)
    amounts.add("a", START + 30_000, 6)
    amounts.add("b", START + STEP_MS, 1)
    now = START + 2 * STEP_MS
    assert amounts.series("a", now)[-3:] == [11, 0, 0]
    assert amounts.total("a") == 11
    assert amounts.forget(START + 9 * STEP_MS) == set()
    assert amounts.forget(START + 10 * STEP_MS) == {"a"}
    assert (amounts.total("a"), amounts.total("b")) == (0, 1)
    assert amounts.forget(START + 99 * STEP_MS) == {"b"}
    assert amounts == Amounts(since=START), "nothing is kept of what is forgotten"


def test_what_an_hour_would_come_to() -> None:
    amounts: Amounts[str] = Amounts()
    assert amounts.per_hour("a", START) == 0
    amounts.begin(START)
    amounts.add("a", START, 100)
    assert amounts.per_hour("a", START) == 6_000, "at least a minute counts"
    assert amounts.per_hour("a", START + 5 * STEP_MS) == 1_200
    assert amounts.per_hour("a", START + 30 * STEP_MS) == 0


def seen() -> ConsoleState:
    state = ConsoleState()
    begin_view(state, ViewHead(house="h", instance="local", epoch="e", version="0", now=AT, counts={}))
    end_view(state, "e.0")
    return state


def test_events_move_the_trends() -> None:
    state, now = seen(), moment(AT)
    key = CostKey("model", "gpt-mini")
    reduce(state, QueueChanged(at=AT, queue=a_queue(waiting=7)))
    reduce(state, RunChanged(at=AT, what="started", run=a_run("r1")))
    reduce(
        state,
        CostChanged(
            at=AT,
            session_key="s",
            micros=5,
            estimated=False,
            costs=[a_cost("gpt-mini", scope="model", micros=5)],
        ),
    )
    reduce(
        state,
        CostChanged(
            at=AT,
            session_key="s",
            micros=3,
            estimated=False,
            costs=[a_cost("gpt-mini", scope="model", micros=8)],
        ),
    )
    assert state.trends.waiting["gpt-mini"].series(now)[-1] == 7
    assert state.trends.in_flight.series(now)[-1] == 1
    assert state.trends.spent.total(key) == state.trends.spent.total(None) == 8
    assert state.totals.micros == 8


def test_a_row_whose_last_minutes_fade_is_drawn_anew() -> None:
    state, now = seen(), moment(AT)
    reduce(
        state,
        CostChanged(
            at=AT,
            session_key="s",
            micros=5,
            estimated=False,
            costs=[a_cost("gpt-mini", scope="model", micros=5)],
        ),
    )
    state.take_changed(now)
    assert not state.take_changed(now + (STEPS - 1) * STEP_MS).of("costs")
    assert state.take_changed(now + STEPS * STEP_MS).of("costs") == {CostKey("model", "gpt-mini")}


def test_a_run_that_stalls_changes_the_line_of_its_session() -> None:
    state, now = seen(), moment(AT)
    reduce(state, RunChanged(at=AT, what="started", run=a_run("r1", session_key="s")))
    state.take_changed(now)
    reduce(state, RunChanged(at=AT, what="stalled", run=a_run("r1", session_key="s", state="stalled")))
    assert state.take_changed(now).of("sessions") == {"s"}
