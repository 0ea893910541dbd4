"""What a pane shows: order, filter, cursor and window, while rows come, change and go."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.panes.catalog import BEHIND, PANES
from console.panes.filter import Filter, parse
from console.panes.journal import JOURNAL
from console.panes.layout import arrange
from console.panes.model import HowFar, PaneModel
from console.panes.order import Order
from console.panes.pane import session_target
from console.panes.runs import RUNS, RunLine, run_state
from console.panes.seats import SEATS
from console.panes.sessions import SESSIONS
from console.state import ConsoleState, reduce
from core.protocol import (
    Acted,
    AnyRow,
    CostChanged,
    FindingChanged,
    Follower,
    Noticed,
    PinChanged,
    PinGone,
    Progress,
    QueueChanged,
    RunChanged,
    RunGone,
    SeatChanged,
    SeatGone,
    SessionChanged,
    SessionGone,
)
from tests.console.rows import AT, a_cost, a_finding, a_pin, a_queue, a_run, a_seat, a_session
from tests.console.test_state import seen

NOW = 1_776_427_200_000


def runs(*numbers: int) -> list[AnyRow]:
    return [a_run(f"run-{n}", session_key=f"s{n}", last_seq=n) for n in numbers]


def showing(state: ConsoleState, height: int = 5) -> PaneModel:
    """The runs by seq, the highest first."""
    model = PaneModel(RUNS)
    model.sort_by("seq", descending=True)
    model.resize(height)
    model.catch_up(state)
    read_through(model)
    return model


def read_through(model: PaneModel) -> None:
    while model.go_on():
        pass


def happen(state: ConsoleState, model: PaneModel, *events: Any) -> None:
    for event in events:
        reduce(state, event)
    model.note(state.take_changed(NOW))
    model.catch_up(state)


def moved(number: int, seq: int) -> RunChanged:
    return RunChanged(what="revived", run=a_run(f"run-{number}", session_key=f"s{number}", last_seq=seq))


def gone(number: int) -> RunGone:
    return RunGone(run_id=f"run-{number}", session_key=f"s{number}")


def is_lost(model: PaneModel) -> bool:
    return model.lost and model.cursor is None


def shown(model: PaneModel) -> list[object]:
    return [key for key, _ in model.window()]


# ----------------------------------------------------------------------------------------------------- order


@given(
    st.lists(st.tuples(st.integers(0, 8), st.one_of(st.none(), st.integers(0, 5))), max_size=60),
    st.booleans(),
    st.integers(0, 5),
)
def test_the_order_is_what_sorting_gives(
    changes: list[tuple[int, int | None]], down: bool, least: int
) -> None:
    order = Order(lambda row: row, descending=down, test=lambda row: row >= least)
    rows: dict[int, int] = {}
    for key, value in changes:
        if value is None:
            order.drop(key)
            rows.pop(key, None)
        else:
            order.put(key, value)
            rows[key] = value
    expected = sorted(((value, key) for key, value in rows.items() if value >= least), reverse=down)
    assert list(order.keys_between(0, 99)) == [key for _, key in expected]
    assert [order.position(key) for _, key in expected] == list(range(len(expected)))
    assert [order.key_at(index) for index in range(len(order))] == [key for _, key in expected]
    assert order.known == len(rows)


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5)), min_size=1, max_size=60),
    st.lists(st.tuples(st.integers(0, 30), st.one_of(st.none(), st.integers(0, 5))), max_size=20),
    st.booleans(),
    st.integers(0, 5),
    st.integers(1, 7),
)
def test_a_filter_goes_through_all_rows_bit_by_bit_whatever_happens_meanwhile(
    rows: list[tuple[int, int]],
    changes: list[tuple[int, int | None]],
    down: bool,
    least: int,
    step: int,
) -> None:
    order = Order(lambda row: row, descending=down)
    held: dict[Any, int] = {}
    for key, value in rows:
        order.put(key, value)
        held[key] = value
    order.arrange(order._value, descending=down, test=lambda row: row >= least)
    pending = list(changes)
    while order.sift(step) or pending:
        shown = list(order.keys_between(0, 99))
        in_order = sorted(((held[key], key) for key in shown), reverse=down)
        assert shown == [key for _, key in in_order], "what is there by now is in its order"
        assert all(held[key] >= least for key in shown)
        if pending:
            key, new = pending.pop()
            if new is None:
                order.drop(key)
                held.pop(key, None)
            else:
                order.put(key, new)
                held[key] = new
            known = key in held and held[key] >= least
            assert (order.position(key) is not None) == known, "who is asked for is tested at once"
    expected = sorted(((value, key) for key, value in held.items() if value >= least), reverse=down)
    assert list(order.keys_between(0, 99)) == [key for _, key in expected]
    order.arrange(lambda row: -row, descending=down, test=order._test)
    assert not order.sifting, "another order tests nothing again"
    expected = sorted(((-value, key) for value, key in expected), reverse=down)
    assert list(order.keys_between(0, 99)) == [key for _, key in expected]
    order.arrange(order._value, descending=down, test=None)
    assert len(order) == len(held)


def test_the_first_page_of_a_filter_is_there_at_once_and_the_cursor_stays() -> None:
    model = showing(seen(*runs(*range(12_000))))
    model.move_to(11_000)
    chosen = model.cursor
    tested: list[str] = []

    def search(line: RunLine) -> str:
        tested.append(line.run.run_id)
        return line.run.session_key

    model.pane = replace(model.pane, search=search)
    model.filter_by("s")
    assert len(tested) <= 1_501
    how_far = model.progress
    assert model.cursor == chosen, "found by its key, though its place is far down"
    assert len(model) == 1_501
    read_through(model)
    assert (how_far, model.progress) == (HowFar("filtered", 12), None)
    assert (len(model), model.cursor, model.position) == (12_000, chosen, 11_000)
    assert len(tested) == 12_000
    model.filter_by("s1")
    model.mark_shown()
    assert len(model.marks) == sum(str(n).startswith("1") for n in range(12_000)), "all, not only the first"


@given(
    st.lists(st.tuples(st.integers(0, 99), st.integers(0, 2), st.integers(0, 2)), max_size=60),
    st.lists(st.tuples(st.integers(0, 99), st.integers(0, 2), st.booleans()), max_size=20),
    st.booleans(),
    st.booleans(),
)
def test_another_order_of_rows_that_are_nearly_all_equal_goes_by_their_keys_then_in_both_directions(
    rows: list[tuple[int, int, int]], changes: list[tuple[int, int, bool]], down: bool, filtered: bool
) -> None:
    def test(row: tuple[int, int]) -> bool:
        return row[1] > 0

    lets_through = test if filtered else None
    order = Order(lambda row: row[0], test=lets_through)
    held: dict[Any, tuple[int, int]] = {}
    for key, first, second in rows:
        held[key] = first, second
        order.put(key, held[key])

    def expect(value: Any) -> None:
        order.arrange(value, descending=down, test=lets_through)
        shown = ((value(row), key) for key, row in held.items() if not filtered or test(row))
        expected = [key for _, key in sorted(shown, reverse=down)]
        assert list(order.keys_between(0, 99)) == expected
        assert [order.position(key) for key in expected] == list(range(len(expected)))

    expect(lambda row: row[1])
    expect(lambda row: (row[0], -row[1]))
    for key, first, goes in changes:
        if goes:
            order.drop(key)
            held.pop(key, None)
        else:
            held[key] = first, 1
            order.put(key, held[key])
    expect(lambda row: 0)
    expect(lambda row: (0, row[0]))


def test_a_position_that_is_not_there() -> None:
    order = Order(lambda row: row)
    assert order.position("x") is None
    with pytest.raises(IndexError):
        order.key_at(0)


# ---------------------------------------------------------------------------------------------------- cursor


def test_the_cursor_stays_on_its_row_when_rows_move() -> None:
    state = seen(*runs(1, 2, 3))
    model = showing(state)
    model.move(1)
    assert (model.cursor, model.position) == ("run-2", 1)
    happen(state, model, moved(1, 99))
    assert (model.cursor, model.position) == ("run-2", 2)
    happen(state, model, moved(2, 100))
    assert (model.cursor, model.position) == ("run-2", 0)


def test_a_cursor_whose_row_went_hits_nothing_until_it_is_moved() -> None:
    state = seen(*runs(1, 2, 3))
    model = showing(state)
    model.move(1)
    happen(state, model, gone(2))
    assert is_lost(model)
    assert model.target(state) is None
    happen(state, model, moved(1, 50))
    assert is_lost(model)
    model.move(0)
    assert (model.cursor, model.lost) == ("run-3", False)


def test_the_first_row_is_chosen_when_rows_come() -> None:
    state = seen()
    model = showing(state)
    cursors = [model.cursor]
    for event in (moved(1, 1), gone(1), moved(7, 1)):
        happen(state, model, event)
        assert not is_lost(model)
        cursors.append(model.cursor)
    assert cursors == [None, "run-1", None, "run-7"]


def test_a_scrolled_window_holds_what_is_looked_at() -> None:
    state = seen(*runs(*range(20)))
    model = showing(state)
    model.move_to(10)
    before, top = shown(model), model.top
    assert top == 6
    happen(state, model, *(moved(100 + n, 1000 + n) for n in range(4)))
    assert (shown(model), model.top) == (before, top + 4)


def test_a_cursor_that_nobody_moved_stays_at_the_top_and_says_when_that_is_another_row() -> None:
    state = seen(*runs(1, 2, 3))
    model = showing(state)
    assert model.cursor == "run-3"
    assert model.confirm()
    happen(state, model, moved(4, 1000))
    assert (model.cursor, model.position) == ("run-4", 0)
    assert not model.confirm()
    assert model.confirm(), "told once"
    happen(state, model, gone(4))
    assert (model.cursor, is_lost(model)) == ("run-3", False)
    model.move(0)
    assert model.confirm()
    happen(state, model, moved(5, 2000))
    assert (model.cursor, model.position, model.confirm()) == ("run-3", 1, True)
    model.sort_by("session", descending=False)
    assert (model.cursor, model.confirm()) == ("run-3", True)


def test_a_pane_that_was_empty_begins_at_the_top_again() -> None:
    state = seen(*runs(1))
    model = showing(state)
    model.move(0)
    happen(state, model, gone(1))
    happen(state, model, moved(7, 1))
    assert (model.cursor, model.confirm()) == ("run-7", True)


def test_a_window_at_the_top_stays_at_the_top() -> None:
    state = seen(*runs(1, 2, 3))
    model = showing(state, height=2)
    model.move(0)
    happen(state, model, *(moved(100 + n, 1000 + n) for n in range(4)))
    assert model.top == 0
    assert model.cursor == "run-3"
    assert not model.visible
    model.reveal()
    assert model.visible


def test_the_window_never_leaves_the_rows() -> None:
    state = seen(*runs(*range(20)))
    model = showing(state)
    model.move_to(99)
    assert (model.position, model.top) == (19, 15)
    happen(state, model, *(gone(n) for n in range(18)))
    assert (model.top, len(shown(model))) == (0, 2)
    model.scroll(5)
    assert model.top == 0


def test_the_journal_follows_until_the_cursor_is_moved() -> None:
    state = seen()
    model = PaneModel(JOURNAL)
    model.resize(3)
    for number in range(5):
        happen(state, model, Noticed(level="info", code="x", message=str(number)))
    assert (model.cursor, shown(model)) == (None, [5, 4, 3])
    model.move(0)
    happen(state, model, Noticed(level="info", code="x", message="5"))
    assert model.cursor == 5
    model.release()
    assert model.cursor is None


# ------------------------------------------------------------------------------------------ filter, freezing


def test_a_filter_hides_and_what_comes_later_is_tested_too() -> None:
    state = seen(*runs(1, 2, 12))
    model = showing(state)
    model.filter_by("s1")
    assert shown(model) == ["run-12", "run-1"]
    happen(state, model, moved(13, 5), moved(24, 6))
    assert shown(model) == ["run-12", "run-13", "run-1"]
    model.filter_by("")
    assert len(model) == model.known == 5


def test_the_cursor_chooses_anew_only_when_the_filter_hides_its_row() -> None:
    state = seen(*runs(1, 2, 12))
    model = showing(state)
    model.move_to(2)
    model.filter_by("s1")
    assert model.cursor == "run-1"
    model.filter_by("s2")
    assert (model.cursor, model.lost) == ("run-2", False)


def test_a_lost_cursor_is_chosen_anew_with_the_next_filter() -> None:
    state = seen(*runs(1, 2, 12))
    model = showing(state)
    model.move_to(1)
    happen(state, model, gone(2))
    assert is_lost(model)
    model.filter_by("s1")
    assert (model.cursor, model.lost) == ("run-12", False)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("ann", {"a"}),
        ("ANN", {"a"}),
        ("model:gpt", {"a", "b"}),
        ("state:running -ann", {"b"}),
        ("-state:running", set()),
        ("api:", {"a", "b"}),
        ("api:ann/1", {"a"}),
        ("nosuch:thing", set()),
        ("-", {"a", "b"}),
        ("  ", {"a", "b"}),
    ],
)
def test_the_filter_language(text: str, keys: set[str]) -> None:
    rows = {"a": a_run("a"), "b": a_run("b", session_key="api:bob/1", user_id="bob")}
    parsed = parse(RUNS, text)
    assert isinstance(parsed, Filter)
    test = parsed.test
    lines = {key: RunLine(row, None, None) for key, row in rows.items()}
    assert {key for key, line in lines.items() if test is None or test(line)} == keys


def test_a_frozen_pane_stands_still_and_counts() -> None:
    state = seen(*runs(1, 2))
    model = showing(state)
    model.frozen = True
    happen(state, model, moved(1, 99), moved(3, 50))
    assert (shown(model), model.held_back) == (["run-2", "run-1"], 2)
    selected = model.selected()
    assert selected is not None
    assert selected.run.last_seq == 2
    model.frozen = False
    model.catch_up(state)
    assert (shown(model), model.held_back) == (["run-1", "run-3", "run-2"], 0)


def test_many_changes_at_once_end_in_the_same_order() -> None:
    state = seen(*runs(*range(3_000)))
    model = showing(state)
    happen(state, model, *(moved(n, 5_000 - n) for n in range(2_500)))
    read_through(model)
    assert shown(model)[:2] == ["run-0", "run-1"]
    assert len(model) == 3_000


def test_a_pane_that_nobody_looks_at_collects_no_keys_for_ever() -> None:
    state = seen(*runs(1, 2))
    model = showing(state)
    for number in range(10, 3_010):
        reduce(state, moved(number, number))
        reduce(state, gone(number))
        model.note(state.take_changed(NOW))
    model.frozen = True
    assert model.held_back <= 1_000, "what it remembers of rows that are long gone"
    model.frozen = False
    happen(state, model, moved(1, 99))
    assert shown(model) == ["run-1", "run-2"]


def test_the_seats_behind_a_queue_are_only_its_own() -> None:
    state = seen(a_seat("ann"), a_seat("bob", model="other"))
    model = PaneModel(BEHIND["queues"], only=lambda line: bool(line.seat.model == "gpt-mini"))
    model.catch_up(state)
    assert shown(model) == ["ann"]
    model.filter_by("bob")
    assert shown(model) == []


# ------------------------------------------------------------------------------------------------ every pane


def everything() -> ConsoleState:
    state = seen(
        a_run(),
        a_run("run-2", ended_at=AT, exit_code=1, state="failed"),
        a_session(run_id="run-1", project="p", dirty="deploy"),
        a_session("cron:1", kind="cron"),
        a_pin(escalated=True, strikes=2),
        a_pin("cron:1", explicit=True, run=2),
        a_cost(micros=5, estimated_micros=2),
        a_cost("p", scope="project"),
        a_cost("ann", scope="user"),
        a_seat(),
        a_seat("bob", state="queued", expires_at=None, admitted_at=None),
        a_queue(waiting=2, oldest_queued_at=AT, paused_reason="closed", health="degraded"),
        a_queue("big", max_active=5),
        a_finding(),
        a_finding("u", kind="seat_without_instance", session_key=None, user_id="u", proven=False),
    )
    for event in (
        RunChanged(what="started", run=a_run()),
        RunChanged(what="ended", run=a_run("run-2", state="failed", exit_code=1, ended_at=AT), reason="x"),
        RunGone(run_id="old", session_key="s"),
        SessionChanged(what="marked_dirty", session=a_session(dirty="deploy", run_id="run-1", project="p")),
        SessionGone(session_key="x", generation=1, reason="idle"),
        PinChanged(what="escalated", pin=a_pin(escalated=True)),
        PinGone(what="expired", session_key="x"),
        SeatChanged(what="queued", seat=a_seat()),
        SeatGone(what="ended", user_id="x", model="m"),
        QueueChanged(queue=a_queue()),
        CostChanged(session_key="api:ann/1", micros=5, estimated=True, costs=[a_cost()]),
        FindingChanged(what="found", finding=a_finding("old")),
        FindingChanged(what="kept", finding=a_finding("old"), message="somebody still holds it"),
        FindingChanged(what="released", finding=a_finding("old"), message="the slot is free"),
        FindingChanged(what="gone", finding=a_finding("older")),
        Noticed(level="error", code="some_code", message="hm"),
        Acted(
            command_id="c",
            actor="op",
            action="evict",
            target="api:ann/1",
            reason="why",
            outcome="done",
            message="ok",
        ),
    ):
        reduce(state, event)
    return state


@pytest.mark.parametrize("pane", [*PANES, SEATS], ids=lambda pane: pane.id)
def test_every_row_of_every_pane_can_be_drawn_sorted_and_searched(pane: Any) -> None:
    state = everything()
    rows = [pane.row(state, key) for key in pane.keys(state)]
    assert rows
    for column in pane.columns:
        assert sorted(column.sort(row) for row in rows)
        assert all(column.cell(row, NOW).text for row in rows) or column.id in ("time", "of", "details")
    for row in rows:
        assert pane.search(row).strip()
        assert pane.facts(row, NOW)
        assert pane.target(state, row) is not None
    assert pane.column(pane.sort)
    assert pane.row(state, "no such key" if pane.id != "journal" else 10**9) is None
    assert pane.empty


@pytest.mark.parametrize(
    ("state", "exit_code", "word"),
    [
        ("aborted", 0, "■ aborted"),
        ("aborted", 1, "■ forced"),
        ("failed", 1, "✗ failed"),
        ("aborting", None, "◌ aborting"),
    ],
)
def test_an_abort_that_nobody_confirmed_is_a_forced_one(state: Any, exit_code: int | None, word: str) -> None:
    run = a_run(state=state, exit_code=exit_code)
    assert run_state(run).text == word
    assert word[2:] in RUNS.search(RunLine(run, None, None)), "what is shown is found"


def test_who_lags_and_what_is_gone_is_seen_in_the_row() -> None:
    def cells(**changes: Any) -> tuple[str, str, str]:
        line = RunLine(a_run(**changes), None, None)
        follow, fill = (RUNS.column(name).cell(line, NOW) for name in ("followers", "buffer"))
        return follow.text, follow.tone, fill.text

    at = [Follower(name="ann", seq=70), Follower(name="bob", seq=100)]
    assert cells(last_seq=100, subscribers=2, followers=at[1:]) == ("2", "", "0%")
    assert cells(last_seq=100, subscribers=2, followers=at) == ("2 −30", "warn", "0%")
    full = cells(first_seq=72, last_seq=100, subscribers=2, followers=at, buffer_percent=100)
    assert full == ("2 −30", "bad", "⋯100%")


def test_a_session_that_is_reserved_says_what_for() -> None:
    state = seen(a_session(maintenance="compaction"))
    line = SESSIONS.row(state, "api:ann/1")
    assert line is not None
    assert SESSIONS.column("turn").cell(line, NOW).text == "◧ reserved"
    assert {fact.label: fact.text for fact in SESSIONS.facts(line, NOW)}["reserved for"] == "compaction"
    assert "reserved compaction" in SESSIONS.search(line)


@pytest.mark.parametrize(
    ("changes", "state", "doing"),
    [
        ({}, "● running", "–"),
        ({"tool": "bash"}, "● running", "▸ bash"),
        ({"tool": ""}, "● running", "▸ a tool"),
        ({"tool": "bash", "approval": "bash"}, "? approval", "asks: bash"),
        ({"tool": "bash", "approval": ""}, "? approval", "asks: bash"),
        ({"approval": ""}, "? approval", "asks: approval"),
        ({"approval": "", "state": "stalled"}, "? approval", "asks: approval"),
        ({"approval": "", "state": "aborting"}, "◌ aborting", "asks: approval"),
        ({"tool": "bash", "state": "completed", "ended_at": AT, "exit_code": 0}, "✓ completed", "→ bash"),
    ],
)
def test_a_run_and_its_session_show_what_they_are_at(changes: dict[str, Any], state: str, doing: str) -> None:
    run = a_run(**changes)
    line = RunLine(run, None, None)
    assert run_state(run).text == state
    assert RUNS.column("doing").cell(line, NOW).text == doing
    assert doing == "–" or doing in RUNS.search(line)
    of_session = SESSIONS.row(seen(a_session(run_id=run.run_id), run), run.session_key)
    assert of_session is not None
    assert SESSIONS.column("doing").cell(of_session, NOW).text == doing
    assert doing == "–" or doing in SESSIONS.search(of_session)
    shown = {fact.label: fact.text for fact in SESSIONS.facts(of_session, NOW)}
    assert shown.get("doing", "–") == doing


def test_a_session_follows_what_its_run_is_at() -> None:
    state = seen(a_session(run_id="run-1"), a_run())
    model = PaneModel(SESSIONS)
    model.catch_up(state)
    seen_there = []
    for changes in ({"tool": "bash"}, {"tool": "bash", "approval": "bash"}, {}):
        happen(state, model, Progress(runs=[a_run(**changes)], at=AT))
        line = model.selected()
        assert line is not None
        seen_there.append(SESSIONS.column("doing").cell(line, NOW).text)
    assert seen_there == ["▸ bash", "asks: bash", "–"]


@pytest.mark.parametrize(
    ("tokens", "context_tokens", "text", "tone"),
    [
        (0, 1000, "–", "dim"),
        (500, 0, "–", "dim"),
        (500, 1000, "50%", ""),
        (800, 1000, "80%", "warn"),
        (950, 1000, "95%", "bad"),
        (1200, 1000, "120%", "bad"),
    ],
)
def test_how_full_a_sessions_context_is(tokens: int, context_tokens: int, text: str, tone: str) -> None:
    ended = a_run(input_tokens=tokens - tokens // 10, output_tokens=tokens // 10, state="completed")
    state = seen(a_queue(context_tokens=context_tokens), a_session(), ended)
    line = SESSIONS.row(state, "api:ann/1")
    assert line is not None
    cell = SESSIONS.column("context").cell(line, NOW)
    assert (cell.text, cell.tone) == (text, tone)


def test_the_context_is_that_of_the_latest_run_as_long_as_it_is_kept() -> None:
    later = "2026-04-17T12:00:00.500Z"
    first, second = (
        a_run("b", input_tokens=100, state="completed"),
        a_run("a", input_tokens=300, started_at=later),
    )
    for order in ((first, second), (second, first)):
        state = seen(a_queue(context_tokens=1000), a_session(), *order)
        model = PaneModel(SESSIONS)
        contexts = []
        model.catch_up(state)
        for gone in ("b", "a", ""):
            line = model.selected()
            assert line is not None
            contexts.append(line.context)
            happen(state, model, RunGone(run_id=gone, session_key="api:ann/1"))
        assert contexts == [30, 30, None]


def test_a_session_shows_its_pin_and_its_cost_as_they_change() -> None:
    state = seen(a_session())
    model = PaneModel(SESSIONS)
    model.catch_up(state)
    happen(
        state,
        model,
        PinChanged(what="pinned", pin=a_pin(model="big")),
        CostChanged(session_key="api:ann/1", micros=7, estimated=False, costs=[a_cost(micros=7)]),
    )
    line = model.selected()
    assert line is not None
    assert (line.pin.model, line.cost.micros) == ("big", 7)


def test_a_command_aims_at_the_generation_that_was_drawn() -> None:
    state = seen(a_session(generation=1))
    model = PaneModel(SESSIONS)
    model.catch_up(state)
    reduce(state, SessionChanged(what="rebuilt", session=a_session(generation=2)))
    target = model.target(state)
    assert target is not None
    assert target.generation == 1
    assert session_target(state, "api:ann/1").generation == 2


@given(st.integers(1, 250), st.sampled_from([*PANES, SEATS]))
def test_columns_fit_any_width(cells: int, pane: Any) -> None:
    places = arrange(pane.columns, cells)
    assert places
    assert sum(place.width + place.gap for place in places) <= max(cells, 1)
    ids = [place.column.id for place in places]
    assert ids == [column.id for column in pane.columns if column.id in ids]


def test_a_wide_screen_shows_more_columns() -> None:
    narrow, wide = arrange(RUNS.columns, 77), arrange(RUNS.columns, 197)
    assert [place.column.id for place in narrow] == ["state", "session", "model", "seq", "age", "cost"]
    assert len(wide) == len(RUNS.columns)
