"""The built-in model: says the user's last words again, word by word or whole, and reports its usage."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.agents import AgentRequest, Answer, Output
from core.agents.directory import Directory
from core.agents.echo import ECHO_MODEL, Echo, last_user_text
from core.clock import Clock, ManualClock
from core.errors import ModelNotFound
from core.settings import Upstream


class NoWaiting(ManualClock):
    """A clock that counts what was slept, and never sleeps."""

    slept = 0.0

    async def sleep(self, seconds: float) -> None:
        self.slept += seconds


async def asked(
    messages: list[dict[str, Any]], *, stream: bool = True, usage: bool = True, clock: Clock | None = None
) -> tuple[list[Output], Answer]:
    request = AgentRequest(model=ECHO_MODEL, body={}, messages=messages, stream=stream, include_usage=usage)
    answer = Answer()
    batches = [batch async for batch in Echo(clock or NoWaiting()).stream(request, answer)]
    return [output for batch in batches for output in batch], answer


def chunks(outputs: list[Output]) -> list[dict[str, Any]]:
    return [json.loads(each.payload[each.start : each.stop]) for each in outputs if each.stop]


def said(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


async def test_it_streams_word_by_word() -> None:
    outputs, answer = await asked(said("good evening,  a table\nfor two "))
    told = chunks(outputs)
    words = [each["choices"][0]["delta"].get("content") for each in told if each["choices"]]
    assert words == ["good", " evening,", "  a", " table", "\nfor", " two", " ", None]
    assert {each["object"] for each in told} == {"chat.completion.chunk"}
    assert {each["model"] for each in told} == {ECHO_MODEL}
    assert told[-2]["choices"][0]["finish_reason"] == "stop"
    assert told[-1]["usage"] == told[-1]["usage"] | {
        "prompt_tokens": 8,
        "completion_tokens": 8,
        "total_tokens": 16,
    }
    assert answer.text == "good evening,  a table\nfor two "
    assert answer.usage is not None
    assert answer.usage.output_tokens == 8


async def test_usage_goes_only_to_who_asks_for_it() -> None:
    outputs, answer = await asked(said("hello"), usage=False)
    assert not any("usage" in each for each in chunks(outputs))
    assert answer.usage is not None


async def test_it_answers_whole() -> None:
    clock = NoWaiting()
    _, answer = await asked(said("one two three"), stream=False, clock=clock)
    assert answer.body is not None
    body = msgspec.json.decode(answer.body)
    assert body["object"] == "chat.completion"
    assert body["choices"][0]["message"] == {"role": "assistant", "content": "one two three"}
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"]["total_tokens"] == 8
    assert clock.slept == 0


@pytest.mark.parametrize("words", [1, 2, 49, 50, 51, 1000])
async def test_no_answer_takes_long(words: int) -> None:
    clock = NoWaiting()
    _, answer = await asked(said("w " * words), clock=clock)
    assert answer.text == "w " * words
    assert clock.slept <= 1.51
    assert clock.slept >= min(0.03 * (words - 1), 1.4)


@given(st.text())
async def test_whatever_was_said_is_said_again(text: str) -> None:
    _, answer = await asked(said(text))
    assert answer.text == (text or "There is no user message to repeat.")


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([], ""),
        ([{"role": "system", "content": "be kind"}], ""),
        ([*said("first"), {"role": "assistant", "content": "x"}, *said("second")], "second"),
        ([*said("asked"), {"role": "tool", "content": "42"}], "asked"),
        ([{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url"}, "b"]}], "a"),
        ([{"role": "user", "content": None}], ""),
    ],
)
def test_the_last_user_message(messages: list[dict[str, Any]], text: str) -> None:
    assert last_user_text(messages) == text


async def test_it_is_there_where_no_upstream_is() -> None:
    bare = Directory.of_upstreams([], {})
    assert bare.models == [(ECHO_MODEL, "maitred")]
    with pytest.raises(ModelNotFound, match="there are: maitred/echo"):
        bare.find("gpt-4o-mini")
    upstream = Upstream(name="openai", base_url="http://127.0.0.1:1/v1")
    beside = Directory.of_upstreams([upstream], {}, offered=True)
    assert [beside.find(model)[0] for model in (ECHO_MODEL, "gpt-4o-mini")] == ["maitred", "openai"]
    configured = Directory.of_upstreams([upstream], {})
    assert configured.models == []
    assert configured.find(ECHO_MODEL)[0] == "openai"
    for directory in (bare, beside, configured):
        await directory.aclose()
