"""What agents publish, and how a run ends (behaviours/runs.md, decisions 1, 4 and 7)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from core.errors import InvalidArgument
from core.runs.incoming import Completed, Plain, SessionCreated, check_producer_seq, read_event
from core.runs.log import RunLog
from core.runs.run import Run, exit_code_of, terminal_payload


def endless() -> dict[str, Any]:
    event: dict[str, Any] = {"kind": "text"}
    event["itself"] = event
    return event


@pytest.mark.parametrize(
    "event",
    [
        None,
        "text",
        ["kind"],
        {"content": "no kind"},
        {"kind": 3},
        {"kind": None},
        {"kind": ""},
        {"kind": "text", "content": "\ud800"},
        {"kind": "text", "content": 1j},
        {"kind": "session_created", "extra": 1j},
        {"kind": "complete", "extra": "\udfff"},
        endless(),
    ],
    ids=repr,
)
def test_a_malformed_event_is_refused(event: object) -> None:
    with pytest.raises(InvalidArgument):
        read_event(event)


def test_the_providers_ids_and_the_houses_fields_are_taken_out_of_a_copy() -> None:
    event = {
        "kind": "text",
        "sessionId": "native",
        "newSessionId": "n",
        "actualSessionId": "n",
        "seq": 7,
        "runId": "another",
        "sessionKey": "another",
        "content": {"sessionId": "inside stays"},
    }
    before = dict(event)
    read = read_event(event)
    assert isinstance(read, Plain)
    assert msgspec.json.decode(read.payload) == {"kind": "text", "content": {"sessionId": "inside stays"}}
    assert event == before


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"newSessionId": "n7"}, "n7"),
        ({"newSessionId": "n7", "sessionId": "n9"}, "n7"),
        ({"sessionId": "n9"}, "n9"),
        ({"newSessionId": "", "sessionId": "n9"}, "n9"),
        ({"newSessionId": 7, "sessionId": "n9"}, "n9"),
        ({"newSessionId": "\ud800", "sessionId": "n9"}, "n9"),
        ({}, ""),
        ({"sessionId": None}, ""),
    ],
)
def test_the_name_that_the_provider_gives(fields: dict[str, Any], expected: str) -> None:
    if fields.get("newSessionId") == "\ud800":
        assert read_event({"kind": "session_created", **fields}) == SessionCreated(expected)
    else:
        assert read_event({"kind": "session_created", **fields}) == SessionCreated(expected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0),
        (0.0, 0),
        (3, 3),
        (-1, -1),
        (2.5, 1),
        (None, 1),
        ("0", 1),
        (True, 1),
        (2**40, 1),
        (float("inf"), 1),
    ],
)
def test_what_is_no_exit_code_is_a_failure(value: object, expected: int) -> None:
    assert exit_code_of(value) == expected


@pytest.mark.parametrize(
    ("exit_code", "aborted", "interrupted", "success"),
    [(0, False, False, True), (1, False, False, False), (0, True, False, False), (1, False, True, False)],
)
def test_a_complete_says_how_it_ended(
    exit_code: int, aborted: bool, interrupted: bool, success: bool
) -> None:
    event = msgspec.json.decode(
        terminal_payload("acme", exit_code=exit_code, aborted=aborted, interrupted=interrupted)
    )
    expected = {
        "kind": "complete",
        "provider": "acme",
        "exitCode": exit_code,
        "success": success,
        "aborted": aborted,
    }
    if interrupted:
        expected["interrupted"] = True
    assert event == expected


def test_an_agents_own_complete_keeps_its_fields_but_not_the_houses_word() -> None:
    read = read_event(
        {
            "kind": "complete",
            "exitCode": 3,
            "success": True,
            "interrupted": True,
            "sessionId": "n",
            "note": "bye",
        }
    )
    assert isinstance(read, Completed)
    payload = terminal_payload("acme", exit_code=read.exit_code, aborted=read.aborted, fields=read.fields)
    assert msgspec.json.decode(payload) == {
        "kind": "complete",
        "provider": "acme",
        "exitCode": 3,
        "success": False,
        "aborted": False,
        "note": "bye",
    }


@pytest.mark.parametrize("value", ["1", 1.0, True, [1]])
def test_a_producer_seq_is_a_whole_number(value: object) -> None:
    with pytest.raises(InvalidArgument):
        check_producer_seq(value)


@pytest.mark.parametrize(
    ("ended", "exit_code", "aborted", "interrupted", "wanted", "stalled", "state", "status"),
    [
        (None, None, False, False, None, False, "running", "running"),
        (None, None, False, False, None, True, "stalled", "running"),
        (None, None, False, False, "stop", True, "aborting", "running"),
        (5, 0, False, False, None, False, "completed", "completed"),
        (5, 2, False, False, None, False, "failed", "completed"),
        (5, 0, True, False, "stop", False, "aborted", "aborted"),
        (5, 1, True, False, None, False, "aborted", "aborted"),
        (5, 1, False, True, "stop", False, "interrupted", "interrupted"),
    ],
)
def test_the_state_and_status_of_a_run(
    ended: int | None,
    exit_code: int | None,
    aborted: bool,
    interrupted: bool,
    wanted: str | None,
    stalled: bool,
    state: str,
    status: str,
) -> None:
    log = RunLog(b"", max_events=1, max_bytes=1)
    run = Run("r", "s", "acme", user_id=None, model=None, started_at=0, last_event=0.0, log=log)
    run.ended_at, run.exit_code, run.aborted, run.interrupted = ended, exit_code, aborted, interrupted
    run.abort_reason, run.stalled = wanted, stalled
    assert (run.state, run.status) == (state, status)
