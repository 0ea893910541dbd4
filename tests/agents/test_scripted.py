"""The scripted agent: what a script says comes as an upstream would send it, on the core's clock."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from core.agents import AgentRequest, Answer, Output
from core.agents.scripted import (
    BreakOff,
    CallTool,
    Hang,
    Ponder,
    Refuse,
    Report,
    Say,
    ScriptedAgent,
    Step,
    Wait,
    text_in_chunks,
)
from core.clock import ManualClock
from core.errors import UpstreamFailed, UpstreamRefused
from core.store.prices import Usage


def request(*, stream: bool = True, include_usage: bool = False) -> AgentRequest:
    return AgentRequest(
        model="m",
        body={},
        messages=[{"role": "user", "content": "hi"}],
        stream=stream,
        include_usage=include_usage,
    )


class Talk:
    """One answer under way."""

    def __init__(self, steps: Sequence[Step], asked: AgentRequest | None = None) -> None:
        self.clock = ManualClock(1_700_000_000_000)
        self.answer = Answer()
        self.batches: list[list[Output]] = []
        self.error: Exception | None = None
        agent = ScriptedAgent("test", lambda _request: steps, self.clock)
        self._stream = agent.stream(asked or request(), self.answer)
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        try:
            async for batch in self._stream:
                self.batches.append(batch)
        except UpstreamFailed as error:
            self.error = error

    async def after(self, seconds: float) -> list[dict[str, Any]]:
        """The events of the run that have come by then."""
        await self.clock.settle(seconds)
        return [msgspec.json.decode(output.payload) for batch in self.batches for output in batch]


def chunks(batches: list[list[Output]]) -> list[dict[str, Any]]:
    """What the client gets."""
    return [
        msgspec.json.decode(output.payload[output.start : output.stop])
        for batch in batches
        for output in batch
        if output.stop
    ]


async def test_text_comes_in_batches_between_the_silences() -> None:
    talk = Talk(
        [Wait(1), Say("Hel"), Say("lo"), Wait(2), Say(" you"), Report(input_tokens=7, output_tokens=3)]
    )
    assert await talk.after(0.9) == []
    events = await talk.after(0.1)
    assert [(event["kind"], event["content"]) for event in events] == [("text", "Hel"), ("text", "lo")]
    assert len(talk.batches) == 1
    events = await talk.after(2)
    assert talk.task.done()
    assert [event["kind"] for event in events] == ["text", "text", "text", "chunk", "usage"]
    assert talk.answer.text == "Hello you"
    assert talk.answer.finish_reason == "stop"
    assert talk.answer.usage == Usage(input_tokens=7, output_tokens=3)
    sent = chunks(talk.batches)
    assert [chunk["choices"][0]["delta"].get("content") for chunk in sent] == ["Hel", "lo", " you", None]
    assert {chunk["object"] for chunk in sent} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in sent}) == 1


@pytest.mark.parametrize("wanted", [True, False])
async def test_the_usage_goes_to_clients_who_asked_for_it(wanted: bool) -> None:
    talk = Talk([Say("x"), Report(input_tokens=1, output_tokens=2)], request(include_usage=wanted))
    await talk.after(0)
    assert any(chunk.get("usage") for chunk in chunks(talk.batches)) is wanted
    assert talk.answer.usage is not None


async def test_reasoning_and_tools_come_as_their_own_events() -> None:
    talk = Talk([Ponder("hm"), CallTool("c1", "read_file", '{"path":"a"}'), CallTool("c2", "ls", "{}")])
    events = await talk.after(0)
    assert [event["kind"] for event in events] == ["reasoning", "tool_call", "tool_call", "chunk"]
    assert talk.answer.finish_reason == "tool_calls"
    assert [(call["id"], call["function"]) for call in talk.answer.tool_calls] == [
        ("c1", {"name": "read_file", "arguments": '{"path":"a"}'}),
        ("c2", {"name": "ls", "arguments": "{}"}),
    ]


async def test_a_whole_answer_comes_at_the_end_as_one() -> None:
    script: list[Step] = [
        Say("Hel"),
        Wait(1),
        Say("lo"),
        Report(input_tokens=1, output_tokens=2, cached_tokens=1),
    ]
    talk = Talk(script, request(stream=False))
    assert await talk.after(0.5) == []
    assert await talk.after(0.5) == [{"kind": "text", "content": "Hello"}]
    assert talk.answer.body is not None
    body = msgspec.json.decode(talk.answer.body)
    assert body["object"] == "chat.completion"
    assert body["choices"][0]["message"] == {"role": "assistant", "content": "Hello"}
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"]["total_tokens"] == 3
    assert talk.answer.usage == Usage(input_tokens=1, output_tokens=2, cached_tokens=1)


async def test_what_breaks_off_gives_what_it_had_and_fails() -> None:
    talk = Talk([Say("half"), BreakOff("went away")])
    events = await talk.after(0)
    assert [event["content"] for event in events] == ["half"]
    assert isinstance(talk.error, UpstreamFailed)
    assert talk.error.message == "upstream test went away"
    assert talk.answer.usage is None


async def test_a_refusal_carries_its_status_and_body() -> None:
    talk = Talk([Wait(1), Refuse(503, "overloaded", "later")])
    assert await talk.after(1) == []
    assert isinstance(talk.error, UpstreamRefused)
    assert talk.error.status == 503
    assert msgspec.json.decode(talk.error.body)["error"]["code"] == "overloaded"


async def test_a_hanging_answer_ends_only_when_it_is_cut() -> None:
    talk = Talk([Say("a"), Hang(), Say("b")])
    assert len(await talk.after(10_000_000)) == 1
    assert not talk.task.done()
    talk.task.cancel()
    await asyncio.wait({talk.task})
    assert talk.task.cancelled()


def test_a_text_is_cut_between_words_and_stays_the_same() -> None:
    steps = list(text_in_chunks("one two three four five", words=2, every=0.5))
    assert steps == [Say("one two"), Wait(0.5), Say(" three four"), Wait(0.5), Say(" five")]
