"""What events come to, and how values are counted by bounds."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from core.metrics import Histogram, Tally
from core.protocol import (
    Acted,
    AnyEvent,
    CostChanged,
    CostRow,
    FindingChanged,
    FindingRow,
    Noticed,
    PinChanged,
    PinRow,
    Progress,
    RunChanged,
    RunRow,
    RunState,
    SeatChanged,
    SeatGone,
    SeatRow,
    SessionChanged,
    SessionGone,
    SessionRow,
)

NOON = "2026-04-17T12:00:00Z"
SEAT = SeatRow(
    user_id="u",
    model="m",
    access_tier="full",
    state="active",
    queued_at=NOON,
    admitted_at="2026-04-17T12:00:42Z",
    expires_at=None,
)
SESSION = SessionRow(
    session_key="k",
    generation=1,
    kind="user",
    project=None,
    channel="",
    run_id=None,
    dirty=None,
    created_at=NOON,
    last_used_at=NOON,
)
PIN = PinRow(
    session_key="k",
    model="m",
    tier="SIMPLE",
    explicit=False,
    escalated=False,
    strikes=1,
    run=2,
    repeat_limit=3,
    request_count=2,
    last_used_at=NOON,
)
FINDING = FindingRow(
    kind="run_without_slot", key="r", session_key=None, user_id=None, since=NOON, evidence="", proven=True
)


def a_run(run_id: str = "r", state: RunState = "running", seq: int = 0) -> RunRow:
    ended = state in ("completed", "failed", "aborted", "interrupted")
    return RunRow(
        run_id=run_id,
        session_key="k",
        user_id=None,
        provider="p",
        model=None,
        state=state,
        started_at=NOON,
        ended_at=NOON if ended else None,
        exit_code=0 if ended else None,
        first_seq=1,
        last_seq=seq,
        buffered_bytes=0,
        subscribers=0,
        input_tokens=0,
        output_tokens=0,
        micros=0,
    )


def a_cost(micros: int, model: str | None) -> CostChanged:
    scopes: list[tuple[Any, str]] = [("session", "k"), *([("model", model)] if model else [])]
    rows = [
        CostRow(
            scope=scope,
            key=key,
            micros=99,
            estimated_micros=0,
            input_tokens=0,
            output_tokens=0,
            cached_tokens=0,
            updated_at=NOON,
        )
        for scope, key in scopes
    ]
    return CostChanged(session_key="k", micros=micros, estimated=False, costs=rows)


def tallied(*events: AnyEvent) -> Tally:
    tally = Tally()
    for event in events:
        tally.note(event)
    return tally


@pytest.mark.parametrize(
    ("events", "name", "expected"),
    [
        ([SeatChanged(what="admitted", seat=SEAT)], "admissions", {("m", "admitted"): 1}),
        ([SeatChanged(what="queued", seat=SEAT)], "admissions", {}),
        ([SeatGone(what="expired", user_id="u", model="m")], "seats_gone", {("m", "expired"): 1}),
        ([SessionChanged(what="rebuilt", session=SESSION)], "sessions", {"rebuilt": 1}),
        ([SessionChanged(what="merged", session=SESSION)], "sessions", {}),
        ([SessionGone(session_key="k", generation=1, reason="idle")], "evictions", {"idle": 1}),
        ([PinChanged(what="struck", pin=PIN)], "strikes", 1),
        ([PinChanged(what="touched", pin=PIN)], "strikes", 0),
        ([PinChanged(what="escalated", pin=PIN)], "escalations", 1),
        ([a_cost(5, "m"), a_cost(7, "m"), a_cost(1, None)], "micros", {("m", False): 12, ("", False): 1}),
        ([FindingChanged(what="found", finding=FINDING)], "findings", {"run_without_slot": 1}),
        ([FindingChanged(what="gone", finding=FINDING)], "findings", {"run_without_slot": 0}),
        (
            [
                Acted(
                    command_id="c",
                    actor="a",
                    action="abort",
                    target="r",
                    reason="",
                    outcome="done",
                    message="",
                )
            ],
            "acts",
            {("abort", "done"): 1},
        ),
        ([Noticed(level="info", code="c", message="")], "strikes", 0),
    ],
)
def test_what_an_event_counts_for(events: list[AnyEvent], name: str, expected: Any) -> None:
    assert getattr(tallied(*events), name) == expected


def test_the_wait_ends_with_the_seat() -> None:
    back = replace(SEAT, admitted_at="2026-04-17T11:00:00Z")
    waits = tallied(
        SeatChanged(what="admitted", seat=SEAT), SeatChanged(what="admitted_now", seat=back)
    ).waits["m"]
    assert waits.total == 42, "a clock that was set back makes no negative wait"
    assert dict(waits.buckets())["30.0"] == 1
    assert dict(waits.buckets())["60.0"] == 2


def test_runs_from_start_to_end() -> None:
    tally = tallied(
        RunChanged(what="started", run=a_run()),
        RunChanged(what="started", run=a_run("s")),
        Progress(runs=[a_run(seq=5)]),
        RunChanged(what="stalled", run=a_run(state="stalled", seq=5)),
    )
    assert (+tally.running, tally.events, tally.stalls) == ({"running": 1, "stalled": 1}, 5, 1)
    late = RunChanged(what="upstream_closed", run=a_run(state="aborted", seq=9))
    for event in (
        RunChanged(what="ended", run=a_run(state="aborted", seq=9)),
        late,
        Progress(runs=[late.run]),
    ):
        tally.note(event)
    assert (+tally.running, tally.events, tally.runs_ended) == ({"running": 1}, 9, {"aborted": 1})
    assert tally._states.keys() == tally._seqs.keys() == {"s"}, "what has ended is not held"


steps = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["move", "stall", "end"])), max_size=40)


@given(steps)
def test_what_runs_is_what_has_begun_and_not_ended(made: list[tuple[str, str]]) -> None:
    tally, seqs, numbers = Tally(), dict[str, int](), Counter[str]()
    events = 0
    for name, step in made:
        run_id = f"{name}{numbers[name]}"
        if run_id not in seqs:
            seqs[run_id] = 0
            tally.note(RunChanged(what="started", run=a_run(run_id)))
        seqs[run_id] += 1
        events += 1
        match step:
            case "move":
                tally.note(Progress(runs=[a_run(run_id, seq=seqs[run_id])]))
            case "stall":
                tally.note(RunChanged(what="stalled", run=a_run(run_id, "stalled", seqs[run_id])))
            case _:
                tally.note(RunChanged(what="ended", run=a_run(run_id, "completed", seqs[run_id])))
                del seqs[run_id]
                numbers[name] += 1
    assert sum(tally.running.values()) == len(seqs)
    assert tally.runs_ended.total() == numbers.total()
    assert tally.events == events


@given(st.lists(st.floats(0, 100)), st.lists(st.integers(0, 100), min_size=1, unique=True).map(sorted))
def test_every_value_is_in_every_bucket_that_takes_it(values: list[float], bounds: list[int]) -> None:
    histogram = Histogram(bounds)
    for value in values:
        histogram.note(value)
    expected = [(repr(float(bound)), sum(value <= bound for value in values)) for bound in bounds]
    assert histogram.buckets() == [*expected, ("+Inf", len(values))]
    assert histogram.total == pytest.approx(sum(values))
