"""A scripted agent: answers by a script instead of asking a server, for the sandbox and for tests.

A script is what an upstream would do, step by step: it keeps silent, speaks in chunks, calls tools, reports usage,
refuses, breaks off, or hangs. Everything between two silences comes as one batch. The clock is the core's, so that a
scaled or a manual one scales or drives the answers too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from typing import Any, assert_never

import msgspec

from core.agents.agent import AgentRequest, Output
from core.agents.answer import Answer, Chunk
from core.clock import Clock
from core.errors import UpstreamFailed, UpstreamRefused


class Wait(msgspec.Struct, frozen=True):
    """Nothing comes for that many seconds."""

    seconds: float


class Hang(msgspec.Struct, frozen=True):
    """Nothing comes any more, and nothing ends: somebody has to cut it off."""


class Say(msgspec.Struct, frozen=True):
    """One chunk of text."""

    text: str


class Ponder(msgspec.Struct, frozen=True):
    """One chunk of reasoning."""

    text: str


class CallTool(msgspec.Struct, frozen=True):
    """A call of a tool; `arguments` is a JSON text."""

    call_id: str
    name: str
    arguments: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The usage of the whole answer, in tokens; cached ones are part of the input, reasoning of the output.

    An `early` one says in a stream, at once, what was read; some upstreams do.
    """

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    early: bool = False


class Refuse(msgspec.Struct, frozen=True):
    """An answer with an error status; to be the first step, as servers do it."""

    status: int
    code: str
    message: str


class BreakOff(msgspec.Struct, frozen=True):
    """The connection ends in the middle."""

    message: str


Step = Wait | Hang | Say | Ponder | CallTool | Report | Refuse | BreakOff
Script = Sequence[Step]
"""An answer from its beginning to its end; what does not break off ends as a complete one."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Chunk).decode


class ScriptedAgent:
    """Answers each request by the script that `plan` gives for it; see `core.agents.Agent`."""

    def __init__(self, name: str, plan: Callable[[AgentRequest], Script], clock: Clock) -> None:
        self.name = name
        self._plan = plan
        self._clock = clock
        self._answers = 0

    async def stream(self, request: AgentRequest, answer: Answer) -> AsyncGenerator[list[Output], None]:
        """See `Agent.stream`; a request that is not streamed gets one whole answer at the end."""
        self._answers += 1
        writer = _Writer(request, answer, f"chatcmpl-{self.name}-{self._answers}", self._clock.now() // 1000)
        for step in self._plan(request):
            match step:
                case Say() | Ponder() | CallTool():
                    writer.write(step)
                case Report():
                    writer.report(step)
                case Wait() | Hang():
                    if batch := writer.take():
                        yield batch
                    await self._keep_silent(step)
                case Refuse():
                    raise UpstreamRefused(step.status, _error(step), {})
                case BreakOff():
                    if batch := writer.take():
                        yield batch
                    raise UpstreamFailed(f"upstream {self.name} {step.message}")
                case _:
                    assert_never(step)
        yield writer.finish()

    async def aclose(self) -> None:
        """Nothing is open."""

    async def _keep_silent(self, step: Wait | Hang) -> None:
        if isinstance(step, Wait):
            await self._clock.sleep(step.seconds)
        else:
            await asyncio.get_running_loop().create_future()


class _Writer:
    """Makes an upstream's chunks of the steps, and folds them into the answer."""

    def __init__(self, request: AgentRequest, answer: Answer, answer_id: str, created: int) -> None:
        self._request = request
        self._answer = answer
        self._head = {"id": answer_id, "created": created, "model": request.model}
        self._usage: dict[str, Any] | None = None
        self._calls = 0
        self._batch: list[Output] = []

    def write(self, step: Say | Ponder | CallTool) -> None:
        """One piece of the message."""
        match step:
            case Say(text=text):
                self._chunk("text", {"content": text}, text)
            case Ponder(text=text):
                self._chunk("reasoning", {"reasoning_content": text}, text)
            case CallTool():
                function = {"name": step.name, "arguments": step.arguments}
                call = {"index": self._calls, "id": step.call_id, "type": "function", "function": function}
                self._calls += 1
                self._chunk("tool_call", {"tool_calls": [call]})
            case _:
                assert_never(step)

    def report(self, step: Report) -> None:
        """The usage; it goes out with the end, unless it is early."""
        usage = {
            "prompt_tokens": step.input_tokens,
            "completion_tokens": step.output_tokens,
            "total_tokens": step.input_tokens + step.output_tokens,
            "prompt_tokens_details": {"cached_tokens": step.cached_tokens},
            "completion_tokens_details": {"reasoning_tokens": step.reasoning_tokens},
        }
        if not step.early:
            self._usage = usage
        elif self._request.stream:
            self._add("usage", [], usage)

    def take(self) -> list[Output]:
        """What has gathered; a whole answer gathers nothing before its end."""
        batch, self._batch = self._batch, []
        return batch if self._request.stream else []

    def finish(self) -> list[Output]:
        """The last batch."""
        self._add("chunk", [self._choice("delta", {}, finish="tool_calls" if self._calls else "stop")], None)
        if not self._request.stream:
            return [self._whole()]
        if self._usage is not None:
            self._add("usage", [], self._usage)
        return self.take()

    def _whole(self) -> Output:
        answer = self._answer
        message: dict[str, Any] = {"role": "assistant", "content": answer.text or None}
        if answer.tool_calls:
            message["tool_calls"] = answer.tool_calls
        choice = self._choice("message", message, finish=answer.finish_reason)
        body = self._head | {"object": "chat.completion", "choices": [choice], "usage": self._usage}
        answer.body = _encode(body)
        if self._usage is not None:
            answer.fold(msgspec.convert({"usage": self._usage}, Chunk))
        return Output(b'{"kind":"text","content":%b}' % _encode(answer.text), 0, 0)

    def _chunk(self, kind: str, delta: dict[str, Any], content: str | None = None) -> None:
        self._add(kind, [self._choice("delta", delta)], None, content)

    def _choice(self, part: str, message: dict[str, Any], *, finish: str | None = None) -> dict[str, Any]:
        return {"index": 0, part: message, "finish_reason": finish}

    def _add(
        self,
        kind: str,
        choices: list[dict[str, Any]],
        usage: dict[str, Any] | None,
        content: str | None = None,
    ) -> None:
        """One chunk as a run's event; the client gets the one with the usage only if it asked for it."""
        chunk = self._head | {"object": "chat.completion.chunk", "choices": choices}
        if usage is not None:
            chunk["usage"] = usage
        frame = _encode(chunk)
        self._answer.fold(_decode(frame))
        if usage is not None and not self._request.include_usage:
            self._batch.append(Output(b'{"kind":"usage","usage":%b}' % _encode(usage), 0, 0))
            return
        said = b"" if content is None else b'"content":%b,' % _encode(content)
        opening = b'{"kind":"%b",%b"chunk":' % (kind.encode(), said)
        self._batch.append(Output(b"%b%b}" % (opening, frame), len(opening), len(opening) + len(frame)))


def _error(step: Refuse) -> bytes:
    return _encode({"error": {"message": step.message, "type": "server_error", "code": step.code}})


def text_in_chunks(text: str, *, words: int, every: float) -> Iterable[Step]:
    """A text as it streams: some words, a silence of `every` seconds, some more."""
    parts = text.split(" ")
    for start in range(0, len(parts), words):
        if start:
            yield Wait(every)
        yield Say((" " if start else "") + " ".join(parts[start : start + words]))
