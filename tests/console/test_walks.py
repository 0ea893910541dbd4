"""An abort, step by step: what is shown of it while it goes, when it is proven, and when it was forced."""

from __future__ import annotations

from typing import Any

import msgspec

from console.panes.runs import abort_answer, abort_facts
from console.state import ConsoleState, reduce, refuse_abort, send_abort
from console.times import moment
from core.clock import timestamp
from core.protocol import RunChanged, RunGone, RunRow, SessionChanged
from tests.console.rows import AT, a_run, a_session
from tests.console.test_state import seen

_SENT = moment(AT)


def told(console: ConsoleState, after: int, what: Any, **changes: Any) -> None:
    """The core says something of the run, so many milliseconds after it was sent."""
    run: RunRow = msgspec.structs.replace(console.rows.runs["run-1"], **changes)
    reduce(console, RunChanged(what=what, run=run, at=timestamp(_SENT + after)))


def freed(state: ConsoleState, after: int) -> None:
    reduce(state, SessionChanged(what="turn_ended", session=a_session(), at=timestamp(_SENT + after)))


def running() -> ConsoleState:
    return seen(a_run(state="running"), a_session(run_id="run-1"))


def answer(state: ConsoleState, after: int = 0) -> str:
    walk = state.walks.by_run["run-1"]
    return abort_answer(walk, "run-1", _SENT + after).text


def facts(state: ConsoleState, after: int = 0) -> dict[str, str]:
    walk = state.walks.by_run["run-1"]
    return {fact.label: fact.text for fact in abort_facts(walk, _SENT + after) if fact.label}


def test_an_abort_is_told_step_by_step_and_done_when_the_slot_is_free() -> None:
    state = running()
    send_abort(state, "run-1", _SENT)
    assert answer(state, 5) == "◌ abort run-1: sent … 5ms"
    told(state, 12, "aborting", state="aborting")
    assert answer(state, 500) == "◌ abort run-1: sent, acknowledged 12ms … 500ms"
    told(state, 1_040, "upstream_closed")
    assert facts(state, 1_500)["slot freed"] == "not yet, after 1.50s"
    told(state, 1_060, "ended", state="aborted", exit_code=0, ended_at=AT)
    assert answer(state).startswith("◌"), "it is not done before the slot is free"
    freed(state, 1_070)
    done = "✓ aborted run-1: acknowledged 12ms, upstream closed 1.04s, slot freed 1.07s"
    assert answer(state, 9_000_000) == done
    assert facts(state) == {
        "sent": "12:00:00.0 UTC",
        "acknowledged": "+12ms",
        "upstream closed": "+1.04s",
        "slot freed": "+1.07s",
    }
    assert "runs" in state.take_changed(_SENT).rows


def test_an_abort_that_is_not_answered_is_forced_and_stays_so() -> None:
    state = running()
    send_abort(state, "run-1", _SENT)
    told(state, 10, "aborting", state="aborting")
    told(state, 10_010, "ended", state="aborted", exit_code=1, ended_at=AT)
    forced = "■ abort forced run-1: acknowledged 10ms, its agent did not answer in time"
    assert answer(state) == forced
    assert facts(state, 10_020)["upstream closed"] == "not yet, after 10.0s"
    told(state, 30_000, "upstream_closed")
    freed(state, 30_001)
    assert answer(state).startswith(
        "■ abort forced run-1: acknowledged 10ms, upstream closed 30.0s, slot freed 30.0s"
    )


def test_an_agent_elsewhere_hears_of_it_when_it_calls() -> None:
    state = running()
    send_abort(state, "run-1", _SENT)
    told(state, 4, "ended", state="aborted", exit_code=1, ended_at=AT)
    assert answer(state) == "■ abort forced run-1: acknowledged 4ms, its agent hears of it when it calls"
    assert "slot freed" not in facts(state)


def test_what_others_abort_counts_from_its_acknowledgement() -> None:
    state = running()
    told(state, 100, "aborting", state="aborting")
    told(state, 150, "upstream_closed")
    told(state, 160, "ended", state="aborted", exit_code=0, ended_at=AT)
    freed(state, 170)
    assert facts(state) == {
        "acknowledged": "12:00:00.1 UTC",
        "upstream closed": "+50ms",
        "slot freed": "+70ms",
    }


def test_what_was_refused_is_no_abort() -> None:
    state = running()
    send_abort(state, "run-1", _SENT)
    refuse_abort(state, "run-1")
    assert state.walks.by_run == {}
    told(state, 10, "aborting", state="aborting")
    refuse_abort(state, "run-1")
    assert "run-1" in state.walks.by_run, "somebody else's goes on"


def test_a_run_that_ends_by_itself_has_no_walk_and_a_later_turn_frees_nothing() -> None:
    state = running()
    told(state, 10, "ended", state="completed", exit_code=0, ended_at=AT)
    freed(state, 11)
    assert state.walks.by_run == {}
    told(state, 20, "aborting", state="aborting")
    reduce(state, RunGone(run_id="run-1", session_key="api:ann/1"))
    freed(state, 30)
    assert state.walks.by_run == {}
