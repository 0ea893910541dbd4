"""Whatever an upstream sends as a chunk or an answer: it is taken, or refused as the upstream's failure."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from core.agents.agent import AgentRequest, Output
from core.agents.answer import Answer
from core.agents.upstream import _NOT_JSON, _output, _whole_answer
from core.errors import UpstreamFailed

REQUEST = AgentRequest(model="m", body={}, messages=[], stream=True, include_usage=False)

FIELDS = [
    *(
        "choices",
        "usage",
        "error",
        "index",
        "delta",
        "message",
        "finish_reason",
        "content",
        "refusal",
        "tool_calls",
    ),
    *(
        "reasoning_content",
        "id",
        "type",
        "function",
        "name",
        "arguments",
        "prompt_tokens",
        "completion_tokens",
    ),
    *("prompt_tokens_details", "cached_tokens", "completion_tokens_details", "reasoning_tokens"),
]
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS) | st.text(), inner, max_size=5)
    ),
    max_leaves=12,
)
CHOICES = st.fixed_dictionaries(
    {"choices": st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, VALUES)), max_size=2)},
    optional={"usage": VALUES, "error": VALUES},
)
JSON = (VALUES | CHOICES).map(msgspec.json.encode)
CUT = st.tuples(JSON, st.integers(0, 40)).map(lambda given: given[0][: -given[1] or None])
ESCAPED = st.sampled_from(
    [rb'{"choices":[{"delta":{"content":"\ud800"}}]}', rb'{"error":"\udc00"}', rb'{"error":"\u0000"}']
)


@given(JSON | CUT | ESCAPED | st.binary(max_size=40))
def test_any_chunk_goes_on_as_it_came_or_is_the_upstreams_failure(frame: bytes) -> None:
    answer = Answer()
    output: Output | None = None
    with suppress(UpstreamFailed):
        output = _output(frame, REQUEST, answer)
    if output is not None:
        told = msgspec.json.decode(output.payload)
        assert isinstance(told["kind"], str), "what a run keeps is a JSON object with a kind"
        assert output.payload[output.start : output.stop] in (frame.replace(b"\n", b" "), b"")
    assert_fit(answer)


@given(JSON | CUT | ESCAPED | st.binary(max_size=40))
def test_any_answer_is_taken_or_the_upstreams_failure(body: bytes) -> None:
    answer = Answer()
    with suppress(UpstreamFailed, *_NOT_JSON):
        answer.fold(_whole_answer(body))
        assert isinstance(msgspec.json.decode(body), dict)
    assert_fit(answer)


@given(VALUES)
def test_any_error_is_told_in_a_line_of_its_length(error: Any) -> None:
    assume(error is not None)
    with pytest.raises(UpstreamFailed, match="the upstream reported an error") as refusal:
        _output(msgspec.json.encode({"error": error}), REQUEST, Answer())
    assert len(refusal.value.message) < 600


@pytest.mark.parametrize(
    "frame",
    [b"[", b'{"choices":5', b'{"choices":5,"x":nonsense}', b'{"x":"\xff"}', b'{"choices":5,"x":"\\ud800"}'],
)
def test_what_is_no_json_behind_a_field_of_another_type_is_no_chunk(frame: bytes) -> None:
    with pytest.raises(UpstreamFailed, match="not JSON"):
        _output(frame, REQUEST, Answer())


def assert_fit(answer: Answer) -> None:
    """What was kept of it can be stored and told."""
    msgspec.json.encode([answer.text, answer.refusal, answer.tool_calls, answer.finish_reason])
    assert answer.written >= len(answer.text)
    if answer.usage is not None:
        assert min(msgspec.structs.astuple(answer.usage)) >= 0


@pytest.mark.parametrize("depth", [100, 100_000])
def test_what_is_nested_without_end_is_no_chunk(depth: int) -> None:
    frame = b'{"error":' + b"[" * depth + b"]" * depth + b"}"
    with pytest.raises(UpstreamFailed, match="the upstream"):
        _output(frame, REQUEST, Answer())
