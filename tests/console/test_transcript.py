"""What is told of a session, whatever a core and its agents send."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.screens.transcript import frames, last_seq, messages
from core.protocol import HistoryPage, Message, RunBatch
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
def test_any_content_and_any_frame_can_be_shown(content: object, kind: str) -> None:
    frame = {"kind": kind, "seq": content, "chunk": content, "text": content}
    assert len(frames(a_batch(msgspec.json.encode(frame)))) == 1
    message = Message(seq=1, role=kind, content=content, timestamp=AT)
    assert messages(HistoryPage(session_key="s", messages=[message], before=None))


def test_messages_line_by_line_with_the_role_once() -> None:
    page = HistoryPage(
        session_key="s",
        messages=[
            Message(seq=1, role="user", content="one\ntwo", timestamp=AT),
            Message(
                seq=2,
                role="assistant",
                content=[{"type": "text", "text": "a"}, {"type": "image"}],
                timestamp=AT,
            ),
        ],
        before=7,
    )
    shown = messages(page)
    assert "older messages" in shown[0].text
    assert [paragraph.head.split() for paragraph in shown[1:]] == [
        ["12:00:00", "user"],
        [],
        ["12:00:00", "assistant"],
        [],
    ]
    assert [paragraph.text for paragraph in shown[1:]] == ["one", "two", "a", "[image]"]


def test_a_message_that_broke_off_says_so_however_long_it_is() -> None:
    said = Message(seq=1, role="assistant", content="word " * 9_000, timestamp=AT, partial=True)
    shown = messages(HistoryPage(session_key="s", messages=[said], before=None))
    assert shown[-1].text == "✗ broken off here"
    assert shown[-1].tone == "warn"


def test_a_message_that_only_calls_tools_names_them() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "search", "arguments": '{"q": "bill"}'}}
    message = Message(seq=1, role="assistant", content=None, timestamp=AT, extra={"tool_calls": [call, 7]})
    shown = messages(HistoryPage(session_key="s", messages=[message], before=None))
    assert [paragraph.text for paragraph in shown] == ['→ search {"q": "bill"}', "→ 7"]
    assert shown[0].head.split() == ["12:00:00", "assistant"]
