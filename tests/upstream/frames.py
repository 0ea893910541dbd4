"""Plans as bytes: the events of a stream in its forms, and whole completions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal

import msgspec

from tests.upstream.behaviours import Answer, Delta, Usage

_CREATED = 1_780_000_000
_encode = msgspec.json.encode


class Frames:
    """Makes the events of one stream."""

    def __init__(
        self, number: int, body: dict[str, Any], form: Literal["plain", "decorated", "split"]
    ) -> None:
        self._choices = int(body.get("n") or 1)
        options = body.get("stream_options") or {}
        self._usage_asked = bool(options.get("include_usage"))
        self._form = form
        self._made = 0
        head = {"id": f"chatcmpl-{number}", "object": "chat.completion.chunk", "created": _CREATED}
        self._head = _encode({**head, "model": body.get("model")})[:-1]
        self._tail = b',"usage":null}' if self._usage_asked else b"}"

    def first(self) -> bytes:
        """The event that says who speaks."""
        return self.delta({"role": "assistant", "content": ""})

    def delta(self, delta: Delta, finish: str | None = None) -> bytes:
        """An event (one for each choice) that adds to the message."""
        added = delta if isinstance(delta, bytes) else _encode(delta)
        end = b',"logprobs":null,"finish_reason":%b}]%b' % (_encode(finish), self._tail)
        if self._choices == 1:
            return self._frame(b'%b,"choices":[{"index":0,"delta":%b%b' % (self._head, added, end))
        return b"".join(
            self._frame(b'%b,"choices":[{"index":%d,"delta":%b%b' % (self._head, index, added, end))
            for index in range(self._choices)
        )

    def last(self, finish: str, usage: Usage | None) -> bytes:
        """The finish reason, and the usage when it was asked for."""
        frames = self.delta({}, finish)
        if usage is not None and self._usage_asked:
            counts = _encode(times(usage, self._choices).as_json())
            frames += self._frame(b'%b,"choices":[],"usage":%b}' % (self._head, counts))
        return frames

    def all(self, answer: Answer) -> Iterator[bytes]:
        """Every event of an answer in order, up to where it ends or is cut; made when it is asked for."""
        yield self.first()
        number = 0
        for number, delta in enumerate(answer.deltas, start=1):
            yield self.delta(delta)
            if number in answer.insert:
                yield answer.insert[number]
            if number == answer.cut_after:
                return
            if number == answer.stop_after:
                break
        else:
            # a mishap that is due later than the answer is long comes at its end
            late = [frame for after, frame in answer.insert.items() if after > number]
            yield from late
            if answer.cut_after is not None:
                return
            if answer.stop_after is None:
                yield self.last(answer.finish, answer.usage)
        if answer.terminator:
            yield self._frame(b"[DONE]")

    def pieces(self, frame: bytes) -> Iterator[bytes]:
        """The writes of a frame: one, but cut within every character of several bytes in the form `split`."""
        if self._form != "split":
            yield frame
            return
        start = 0
        for at in range(1, len(frame)):
            if frame[at] & 0xC0 == 0x80:
                yield frame[start:at]
                start = at
        yield frame[start:]

    def _frame(self, payload: bytes) -> bytes:
        if self._form != "decorated":
            return b"data: %b\n\n" % payload
        # no ``id:``, for after one the official client takes a lone comment for an event without data
        self._made += 1
        match self._made % 4:
            case 0:
                lines = payload.replace(b',"choices"', b',\n"choices"').replace(b'],"', b']\n,"').split(b"\n")
                return b"".join(b"data: %b\r\n" % line for line in lines) + b"\r\n"
            case 1:
                return b": a comment\r\n\r\nevent: message\r\ndata: %b\r\n\r\n" % payload
            case 2:
                return b"retry: 3000\r\ndata:%b\r\n\r\n" % payload
            case _:
                return b":\r\n: two\r\ndata: %b\r\n:\r\n\r\n" % payload


def whole(number: int, body: dict[str, Any], answer: Answer) -> bytes:
    """The body of a completion that is not streamed."""
    message = fold(answer.deltas)
    choices = int(body.get("n") or 1)
    completion: dict[str, Any] = {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": _CREATED,
        "model": body.get("model"),
        "choices": [
            {"index": index, "message": message, "logprobs": None, "finish_reason": answer.finish}
            for index in range(choices)
        ],
    }
    if answer.usage is not None:
        completion["usage"] = times(answer.usage, choices).as_json()
    return _encode(completion)


def fold(deltas: Iterable[Delta]) -> dict[str, Any]:
    """The message that the pieces add up to."""
    texts: dict[str, list[str]] = {}
    calls: dict[int, dict[str, Any]] = {}
    for delta in deltas:
        piece: dict[str, Any] = msgspec.json.decode(delta) if isinstance(delta, bytes) else delta
        for field in ("content", "reasoning_content"):
            if field in piece:
                texts.setdefault(field, []).append(piece[field])
        for part in piece.get("tool_calls", []):
            known = calls.get(part["index"])
            if known is None:
                calls[part["index"]] = {
                    "id": part["id"],
                    "type": part["type"],
                    "function": dict(part["function"]),
                }
            else:
                known["function"]["arguments"] += part["function"]["arguments"]
    message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
    message |= {field: "".join(parts) for field, parts in texts.items()}
    if calls:
        message["tool_calls"] = list(calls.values())
    elif "content" not in texts:
        message["content"] = ""
    return message


def times(usage: Usage, choices: int) -> Usage:
    """Usage of so many choices of one prompt."""
    return msgspec.structs.replace(usage, completion=usage.completion * choices)
