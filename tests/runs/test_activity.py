"""What a run is at, as far as its events tell."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.runs.activity import IDLE, LONGEST_NAME, Activity, activity_after, calling

BASH = Activity(tool="bash")
ASKING = Activity(tool="bash", approval="bash")


@pytest.mark.parametrize(
    ("before", "event", "after"),
    [
        (IDLE, {"kind": "tool_use", "toolName": "bash", "toolInput": {"command": "rm"}}, BASH),
        (IDLE, {"kind": "tool_use", "name": "bash"}, BASH),
        (IDLE, {"kind": "tool_call", "tool_name": "bash"}, BASH),
        (IDLE, {"kind": "function_call", "function": {"name": "bash"}}, BASH),
        (IDLE, {"kind": "tool_call", "function": "bash"}, Activity(tool="")),
        (IDLE, {"kind": "tool_call", "name": 3, "tool": "bash"}, BASH),
        (IDLE, {"kind": "tool_call", "name": "x" * 1000}, Activity(tool="x" * LONGEST_NAME)),
        (BASH, {"kind": "tool_use", "name": "edit"}, Activity(tool="edit")),
        (BASH, {"kind": "tool_result"}, IDLE),
        (BASH, {"kind": "text", "content": "done"}, IDLE),
        (BASH, {"kind": "reasoning"}, IDLE),
        (BASH, {"kind": "usage"}, BASH),
        (BASH, {"kind": "anything else"}, BASH),
        (BASH, {"kind": "permission_request", "toolName": "bash"}, ASKING),
        (IDLE, {"kind": "approval_request"}, Activity(approval="")),
        (ASKING, {"kind": "permission_response"}, BASH),
        (ASKING, {"kind": "permission_cancelled"}, BASH),
        (ASKING, {"kind": "approval_response"}, BASH),
        (ASKING, {"kind": "tool_result"}, IDLE),
        (ASKING, {"kind": "tool_use", "name": "edit"}, Activity(tool="edit")),
    ],
)
def test_an_event_tells(before: Activity, event: dict[str, Any], after: Activity) -> None:
    assert activity_after(event, before) == after


@given(
    kind=st.text(min_size=1),
    fields=st.dictionaries(st.sampled_from(["name", "toolName", "tool", "function"]), st.none() | st.text()),
)
def test_any_event_is_taken(kind: str, fields: dict[str, Any]) -> None:
    assert activity_after({"kind": kind, **fields}, BASH) in (IDLE, BASH) or kind.startswith(
        ("tool", "function", "permission", "approval")
    )


def test_a_call_in_an_answer() -> None:
    assert calling(None) == IDLE
    assert calling("bash") == BASH
    assert calling("x" * 1000) == Activity(tool="x" * LONGEST_NAME)
