"""What is told of a session, whatever a core and its agents send."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.screens.transcript import acts, frames, last_seq
from core.protocol import AuditEntry, AuditPage, RunBatch
from tests.console.rows import AT

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def a_batch(*raw: bytes) -> RunBatch:
    return RunBatch(
        run_id="r",
        session_key="s",
        events=[msgspec.Raw(each) for each in raw],
        truncated=False,
        first_seq=1,
        last_seq=len(raw),
        ended=False,
    )


@pytest.mark.parametrize(
    ("frame", "head", "text"),
    [
        ({"seq": 7, "kind": "text", "content": "hi", "chunk": {"id": "x"}}, "7 text", "hi"),
        (
            {"seq": 1, "kind": "chunk", "chunk": {"choices": [{"finish_reason": "stop"}]}},
            "chunk",
            "finished: stop",
        ),
        (
            {"seq": 1, "kind": "tool_call", "chunk": {"choices": [{"delta": {"tool_calls": []}, "x": 1}]}},
            "tool_call",
            '{"tool_calls":[]}',
        ),
        (
            {"seq": 1, "kind": "usage", "chunk": {"choices": [], "usage": {"total": 5}}},
            "usage",
            '{"total":5}',
        ),
        ({"seq": 9, "kind": "complete", "exitCode": 0, "runId": "r"}, "complete", '{"exitCode":0}'),
        ({"seq": 9, "kind": "odd"}, "odd", ""),
    ],
)
def test_a_frame_in_a_line(frame: dict[str, object], head: str, text: str) -> None:
    (shown,) = frames(a_batch(msgspec.json.encode(frame)))
    assert head in shown.head
    assert shown.text == text


def test_what_cannot_be_read_is_shown_as_it_came() -> None:
    shown = frames(a_batch(b"{broken", b"[1]", b"[" * 5_000))
    assert [paragraph.text[:7] for paragraph in shown] == ["{broken", "[1]", "[[[[[[["]


def test_reading_goes_on_after_the_last_frame_that_came() -> None:
    assert last_seq(a_batch(), 5) == 5
    assert last_seq(a_batch(b'{"seq":6}', b'{"seq":9}'), 5) == 9
    assert last_seq(a_batch(b"{broken", b"{broken"), 5) == 7


@given(_JSON, st.text(max_size=5))
def test_any_frame_can_be_shown(content: object, kind: str) -> None:
    frame = {"kind": kind, "seq": content, "chunk": content, "text": content}
    assert len(frames(a_batch(msgspec.json.encode(frame)))) == 1


def an_entry(action: str, **detail: Any) -> AuditEntry:
    return AuditEntry(
        id=1, at=AT, actor="ann", action=action, target="s", outcome="done", reason="", detail=detail
    )


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (an_entry("cleared", count=18), "by ann: done; count 18"),
        (an_entry("message", length=12_345), "by ann: done; 12,345 characters"),
        (
            an_entry("transferred", **{"from": "a", "to": "b", "count": 5, "mode": "copy"}),
            "by ann: done; copy of 5 messages from a to b",
        ),
        (an_entry("evict", message="session evicted", code="x"), "by ann: done"),
        (an_entry("created"), "by ann: done"),
    ],
)
def test_the_audit_tells_its_figures(entry: AuditEntry, told: str) -> None:
    (shown,) = acts(AuditPage(entries=[entry], before=None))
    assert shown.text == told
