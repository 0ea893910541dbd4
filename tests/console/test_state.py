"""The reducer: any journal, in any batches, gives the same state; and each event does what it says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.state import (
    IN_FLIGHT,
    JOURNAL_EVENTS,
    Changed,
    ConsoleState,
    CostKey,
    Table,
    add_rows,
    begin_view,
    end_view,
    reduce,
)
from console.times import moment
from core.clock import timestamp
from core.protocol import (
    AnyEvent,
    AnyRow,
    CostChanged,
    FindingChanged,
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
    ViewHead,
)
from tests.console.rows import AT, a_cost, a_finding, a_pin, a_queue, a_run, a_seat, a_session

_NOW = moment(AT)


def a_head(epoch: str = "e1") -> ViewHead:
    return ViewHead(house="h", instance="local", epoch=epoch, version="0", now=AT, counts={"runs": 1})


def seen(*rows: AnyRow) -> ConsoleState:
    """A state that has taken a view of these rows, and been looked at."""
    state = ConsoleState()
    begin_view(state, a_head())
    add_rows(state, rows)
    end_view(state, "e1.0")
    state.take_changed(_NOW)
    return state


_KEYS = st.sampled_from(["a", "b", "c"])
_RUNS = st.builds(
    lambda run, state, seq: a_run(
        run, state=state, last_seq=seq, ended_at=None if state in IN_FLIGHT else AT
    ),
    _KEYS,
    st.sampled_from(["running", "stalled", "completed", "aborted"]),
    st.integers(0, 9),
)
_EVENTS: st.SearchStrategy[AnyEvent] = st.one_of(
    st.builds(lambda run: RunChanged(what="started", run=run), _RUNS),
    st.builds(lambda runs: Progress(runs=runs), st.lists(_RUNS, max_size=3)),
    st.builds(lambda key: RunGone(run_id=key, session_key="s"), _KEYS),
    st.builds(
        lambda key, generation: SessionChanged(what="created", session=a_session(key, generation=generation)),
        _KEYS,
        st.integers(1, 3),
    ),
    st.builds(
        lambda key, generation: SessionGone(session_key=key, generation=generation, reason="idle"),
        _KEYS,
        st.integers(1, 3),
    ),
    st.builds(lambda key: SeatChanged(what="queued", seat=a_seat(key)), _KEYS),
    st.builds(lambda key: SeatGone(what="ended", user_id=key, model="m"), _KEYS),
    st.builds(lambda key, n: QueueChanged(queue=a_queue(key, waiting=n, seated=n)), _KEYS, st.integers(0, 9)),
    st.builds(lambda key, n: PinChanged(what="struck", pin=a_pin(key, strikes=n)), _KEYS, st.integers(0, 3)),
    st.builds(lambda key: PinGone(what="expired", session_key=key), _KEYS),
    st.builds(
        lambda what, key: FindingChanged(what=what, finding=a_finding(key)),
        st.sampled_from(["found", "released", "kept", "gone"]),
        _KEYS,
    ),
    st.builds(
        lambda key, n: CostChanged(
            session_key=key,
            micros=n,
            estimated=False,
            costs=[a_cost(key, micros=n), a_cost(key, scope="model", micros=n)],
        ),
        _KEYS,
        st.integers(0, 9),
    ),
)


@given(st.lists(_EVENTS, max_size=40), st.data())
def test_any_batches_give_the_same_state(journal: list[AnyEvent], data: st.DataObject) -> None:
    whole, parts = seen(), seen()
    for event in journal:
        reduce(whole, event)
    rest = journal
    while rest:
        cut = data.draw(st.integers(1, len(rest)))
        for event in rest[:cut]:
            reduce(parts, event)
        parts.take_changed(_NOW)
        rest = rest[cut:]
    whole.take_changed(_NOW)
    parts.take_changed(_NOW)
    assert parts == whole


@given(st.lists(_EVENTS, max_size=40))
def test_totals_are_what_counting_gives(journal: list[AnyEvent]) -> None:
    state = seen()
    for event in journal:
        reduce(state, event)
    rows = state.rows
    assert state.totals.in_flight == sum(run.state in IN_FLIGHT for run in rows.runs.values())
    assert state.totals.waiting == sum(queue.waiting for queue in rows.queues.values())
    assert state.totals.seated == sum(queue.seated for queue in rows.queues.values())
    assert state.totals.micros == sum(cost.micros for key, cost in rows.costs.items() if key.scope == "model")


@given(st.lists(_EVENTS, max_size=30))
def test_every_row_that_differs_is_told(journal: list[AnyEvent]) -> None:
    state = seen(a_run("a"), a_session("b"))
    before = {name: dict(getattr(state.rows, name)) for name in _TABLES}
    for event in journal:
        reduce(state, event)
    changed = state.take_changed(_NOW)
    for name in _TABLES:
        now = getattr(state.rows, name)
        differing = {key for key in before[name].keys() | now.keys() if before[name].get(key) != now.get(key)}
        assert differing <= changed.rows.get(name, set())


_TABLES: tuple[Table, ...] = ("queues", "seats", "runs", "sessions", "pins", "costs")


def test_a_view_is_shown_only_when_it_is_complete() -> None:
    state = seen(a_run("old"))
    begin_view(state, a_head())
    add_rows(state, [a_run("new"), a_session("s"), a_pin(), a_cost(), a_seat(), a_queue()])
    assert set(state.rows.runs) == {"old"}
    assert state.view_progress() == (6, 1)
    assert not state.changed
    end_view(state, "e1.7")
    assert (set(state.rows.runs), state.cursor) == ({"new"}, "e1.7")
    assert state.changed.everything


def test_a_second_view_says_that_events_are_missing() -> None:
    state = seen()
    reduce(state, Noticed(level="info", code="x", message="kept"))
    for epoch in ("e1", "e2"):
        begin_view(state, a_head(epoch))
        end_view(state, f"{epoch}.0")
    told = [entry.event.message for entry in state.journal if isinstance(entry.event, Noticed)]
    assert told[0] == "kept"
    assert "fell behind" in told[1]
    assert "restarted" in told[2]


def test_rows_without_a_view_are_a_programmers_error() -> None:
    with pytest.raises(ValueError, match="not begun"):
        add_rows(ConsoleState(), [a_run()])
    with pytest.raises(ValueError, match="not begun"):
        end_view(ConsoleState(), "e1.0")


def test_late_progress_brings_no_ended_run_back() -> None:
    state = seen(a_run("a", state="completed", ended_at=AT, last_seq=9))
    reduce(state, Progress(runs=[a_run("a", last_seq=5), a_run("gone", last_seq=1)]))
    assert state.rows.runs["a"].last_seq == 9
    assert "gone" not in state.rows.runs
    assert not state.journal


def test_an_older_generation_takes_no_younger_one_away() -> None:
    state = seen(a_session("s", generation=2))
    reduce(state, SessionGone(session_key="s", generation=1, reason="idle"))
    assert "s" in state.rows.sessions
    reduce(state, SessionChanged(what="created", session=a_session("s", generation=1)))
    assert state.rows.sessions["s"].generation == 2
    reduce(state, SessionGone(session_key="s", generation=2, reason="idle"))
    assert "s" not in state.rows.sessions


def test_the_journal_is_a_ring() -> None:
    state = seen()
    for number in range(JOURNAL_EVENTS + 5):
        reduce(state, Noticed(level="info", code="x", message=str(number)))
    assert len(state.journal) == JOURNAL_EVENTS
    assert state.entry(5) is None
    first = state.entry(6)
    assert first is not None
    assert first.number == 6
    assert {1, 2, 3, 4, 5} <= state.take_changed(_NOW).of("journal")


def test_changed_collects_by_table() -> None:
    changed = Changed()
    assert not changed
    changed.add("pins", "a")
    changed.add("costs", CostKey("session", "a"))
    assert changed.of("pins", "sessions") == {"a"}
    assert changed.of("runs") == set()


def test_who_follows_an_ended_run_is_followed_too_and_nothing_brings_it_back() -> None:
    ended = a_run(state="completed", ended_at=AT, exit_code=0, subscribers=1)
    state = seen(ended)
    reduce(state, Progress(runs=[a_run(state="completed", ended_at=AT, exit_code=0, subscribers=0)]))
    assert state.rows.runs["run-1"].subscribers == 0
    reduce(state, Progress(runs=[a_run(state="running")]))
    assert state.rows.runs["run-1"].state == "completed"


def test_how_fast_a_run_goes() -> None:
    state = seen(a_run(last_seq=0))
    assert state.trends.speeds["run-1"].per_second(_NOW) is None

    def progress(after: int, seq: int) -> None:
        reduce(state, Progress(runs=[a_run(last_seq=seq)], at=timestamp(_NOW + after)))

    for tick in range(1, 41):
        progress(tick * 250, tick * 10)
    speed = state.trends.speeds["run-1"].per_second(_NOW + 10_000)
    assert speed == pytest.approx(40)
    assert state.trends.speeds["run-1"].per_second(_NOW + 13_001) == 0, "it has not moved for a while"
    for tick in range(41, 61):
        progress(tick * 250, 400 + (tick - 40) * 100)
    faster = state.trends.speeds["run-1"].per_second(_NOW + 15_000)
    assert faster == pytest.approx(400, rel=0.05)
    reduce(state, RunChanged(what="ended", run=a_run(state="completed", ended_at=AT, exit_code=0)))
    assert state.trends.speeds == {}
