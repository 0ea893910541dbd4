"""What an answer keeps of the chunks that pass by."""

from __future__ import annotations

import msgspec
import pytest

from core.agents.answer import Answer, Chunk, UsageReport
from core.store.prices import Usage


def folded(*chunks: object) -> Answer:
    answer = Answer()
    for chunk in chunks:
        answer.fold(msgspec.convert(chunk, Chunk))
    return answer


def test_texts_are_joined() -> None:
    answer = folded(
        {"choices": [{"delta": {"role": "assistant", "content": ""}}]},
        {"choices": [{"delta": {"content": "Hel"}}]},
        {"choices": [{"delta": {"content": "lo"}, "finish_reason": "stop"}]},
    )
    assert (answer.text, answer.finish_reason, answer.empty) == ("Hello", "stop", False)


def test_tool_calls_are_put_together_from_their_pieces() -> None:
    answer = folded(
        {
            "choices": [
                {
                    "delta": {
                        "tool_calls": [
                            {"index": 0, "id": "c1", "function": {"name": "read", "arguments": ""}}
                        ]
                    }
                }
            ]
        },
        {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": '{"path":'}}]}}]},
        {"choices": [{"delta": {"tool_calls": [{"index": 1, "id": "c2", "function": {"name": "ls"}}]}}]},
        {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": '"a"}'}}]}}]},
    )
    assert answer.tool_calls == [
        {"id": "c1", "type": "function", "function": {"name": "read", "arguments": '{"path":"a"}'}},
        {"id": "c2", "type": "function", "function": {"name": "ls", "arguments": ""}},
    ]
    assert not answer.empty


def test_a_whole_answer_lists_its_calls_without_an_index() -> None:
    calls = [{"id": "a", "function": {"name": "x"}}, {"id": "b", "function": {"name": "y"}}]
    answer = folded({"choices": [{"message": {"content": None, "tool_calls": calls}}]})
    assert [call["id"] for call in answer.tool_calls] == ["a", "b"]


def test_only_the_first_choice_is_kept() -> None:
    answer = folded(
        {"choices": [{"index": 1, "delta": {"content": "other"}}, {"index": 0, "delta": {"content": "a"}}]}
    )
    assert answer.text == "a"


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 4}, Usage(input_tokens=3, output_tokens=4)),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 4,
                "prompt_tokens_details": {"cached_tokens": 5},
                "completion_tokens_details": {"reasoning_tokens": 2},
            },
            Usage(input_tokens=9, output_tokens=4, cached_tokens=5, reasoning_tokens=2),
        ),
        (
            {"prompt_tokens": 3, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 7}},
            Usage(input_tokens=3, output_tokens=1, cached_tokens=3),
        ),
        ({"prompt_tokens": -3, "completion_tokens": 1}, None),
        ({"prompt_tokens": 0, "completion_tokens": 0}, None),
        ({}, None),
    ],
)
def test_usage_in_our_terms(report: object, expected: Usage | None) -> None:
    assert msgspec.convert(report, UsageReport).usage() == expected


def test_the_last_usage_that_counts_something_stays() -> None:
    answer = folded(
        {"usage": {"prompt_tokens": 1, "completion_tokens": 1}},
        {"usage": {"prompt_tokens": 1, "completion_tokens": 9}},
        {"usage": {}},
    )
    assert answer.usage == Usage(input_tokens=1, output_tokens=9)
