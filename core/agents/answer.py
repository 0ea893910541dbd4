"""An answer as it grows: what the turn keeps of the chunks that pass by."""

from __future__ import annotations

from typing import Any

import msgspec

from core.store.prices import Usage

_MOST_TOKENS = 1_000_000_000
"""More than any answer has: a report beyond it is a slip, and would cost more than a database can hold."""


class Details(msgspec.Struct):
    """The parts of a token count."""

    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class UsageReport(msgspec.Struct):
    """Usage as OpenAI-compatible servers report it."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: Details | None = None
    completion_tokens_details: Details | None = None

    def usage(self) -> Usage | None:
        """The report in our terms; None when it counts nothing or nonsense."""
        read, written = self.prompt_tokens or 0, self.completion_tokens or 0
        cached = (self.prompt_tokens_details and self.prompt_tokens_details.cached_tokens) or 0
        reasoning = (self.completion_tokens_details and self.completion_tokens_details.reasoning_tokens) or 0
        counts = (read, written, cached, reasoning)
        if min(counts) < 0 or max(counts) > _MOST_TOKENS or not (read or written):
            return None
        return Usage(
            input_tokens=read,
            output_tokens=written,
            cached_tokens=min(cached, read),
            reasoning_tokens=reasoning,
        )


class FunctionDelta(msgspec.Struct):
    """A piece of a function call: its name comes once, its arguments bit by bit."""

    name: str | None = None
    arguments: str | None = None


class ToolCallDelta(msgspec.Struct):
    """A piece of a tool call."""

    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: FunctionDelta | None = None


class Delta(msgspec.Struct):
    """A piece of a message; a whole answer is one piece."""

    content: str | None = None
    reasoning_content: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCallDelta] | None = None


class Choice(msgspec.Struct):
    """One of the answers asked for; `delta` in streams, `message` in whole answers."""

    index: int = 0
    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: str | None = None


class Chunk(msgspec.Struct):
    """A chunk of a stream, or a whole answer: the fields that we read."""

    choices: list[Choice] = []
    usage: UsageReport | None = None
    error: Any = None


class Answer:
    """The first choice's text and tool calls so far, and the usage once it is reported."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._written = 0
        self._tool_calls: dict[int, dict[str, Any]] = {}
        self.calling: str | None = None
        """The tool that is called last."""
        self.finish_reason: str | None = None
        self.usage: Usage | None = None
        self.body: bytes | None = None
        """A whole answer, as it came."""

    @property
    def text(self) -> str:
        """Everything said so far; joined once and kept, because it is asked for again and again."""
        if len(self._text) > 1:
            self._text = ["".join(self._text)]
        return self._text[0] if self._text else ""

    @property
    def tool_calls(self) -> list[dict[str, Any]]:
        """The tool calls so far, in the form of a message."""
        return [self._tool_calls[index] for index in sorted(self._tool_calls)]

    @property
    def written(self) -> int:
        """How many characters were produced, reasoning and calls included, for an estimate of the tokens."""
        return self._written

    @property
    def refusal(self) -> str:
        """What was said in place of an answer."""
        return "".join(self._refusal)

    @property
    def empty(self) -> bool:
        """Whether nothing has been said or called."""
        return not (self._text or self._refusal or self._tool_calls)

    def fold(self, chunk: Chunk) -> None:
        """Take one chunk in."""
        if chunk.usage is not None:
            self.usage = chunk.usage.usage() or self.usage
        for choice in chunk.choices:
            if choice.index:
                continue
            self.finish_reason = choice.finish_reason or self.finish_reason
            delta = choice.delta or choice.message
            if delta is not None:
                self._add(delta)

    def _add(self, delta: Delta) -> None:
        if delta.content:
            self._text.append(delta.content)
            self._written += len(delta.content)
        elif delta.refusal:
            self._refusal.append(delta.refusal)
            self._written += len(delta.refusal)
        if delta.reasoning_content:
            self._written += len(delta.reasoning_content)
        for place, piece in enumerate(delta.tool_calls or ()):
            # a whole answer lists its calls without an index: there the place in the list is the index
            index = place if piece.index is None else piece.index
            call = self._tool_calls.setdefault(
                index, {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
            )
            call["id"] = piece.id or call["id"]
            if piece.function is not None:
                name, arguments = piece.function.name or "", piece.function.arguments or ""
                call["function"]["name"] += name
                self.calling = call["function"]["name"] or self.calling
                call["function"]["arguments"] += arguments
                self._written += len(name) + len(arguments)
