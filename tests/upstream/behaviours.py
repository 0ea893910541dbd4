"""What a model name means.

A name is ``<behaviour>[?key=value&key=value…]``. Every behaviour takes the common keys: ``prompt``, ``completion``,
``cached``, ``reasoning`` (token counts to report instead of the counted words), ``first_s`` (seconds before the first
byte), ``headers=1`` (send the head of a stream before that wait), ``between_s`` (seconds before every further event),
``join`` (events per write, 1) and ``finish`` (the finish reason).

============== ===================== ====================================================================
behaviour      own keys              what it does
============== ===================== ====================================================================
echo                                 repeats the text of the last user message, a word an event
count-N                              N events: ``1``, `` 2``, `` 3`` …
chunks         n=40 size=250         n events of varied text of `size` bytes; each begins with
               interval_ms=0 join=16 ``@<nanoseconds of CLOCK_MONOTONIC>@``, the time of its sending
tools          calls=1               calls the first of the request's tools, arguments in pieces; when
                                     the last message is a tool's result it answers with text instead
reasoning                            ``reasoning_content`` first, then content; reports reasoning tokens
usage-cached                         echo; reports cached and reasoning tokens
no-usage                             echo; never reports usage, asked or not
slow-first     s=1                   echo after s seconds (``headers=1``: a stream's head comes at once)
slow-between   s=1                   echo, s seconds before every event but the first
broken-mid     after=3 rst=0         cuts the connection after so many events (in a whole answer after
                                     half of the body); ``rst=1`` resets it
no-terminator                        echo; the stream ends cleanly, without ``[DONE]``
garbage        after=2               echo; one frame is no JSON
error-frame    after=2 done=1        an error object after so many events, then ``[DONE]`` or nothing
status-NNN                           refuses with that status and OpenAI's error body; 429 and 503 with
                                     ``retry-after`` and ``retry-after-ms`` (key: retry_ms=7000)
redirect                             302 to another path of this server
comments                             echo as the standard allows it: comments, CRLF, ``event:``,
                                     ``retry:``, data split over several lines
unicode                              text with U+2028, U+2029, U+0085 and emoji that TCP writes split
large          mb=2                  megabytes of text in events of 64 KiB
finish-length                        echo with the finish reason ``length``
hang                                 takes the request and never answers
============== ===================== ====================================================================
"""

from __future__ import annotations

import functools
import itertools
import random
import re
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal
from urllib.parse import parse_qsl

import msgspec

Delta = dict[str, Any] | bytes
"""What a chunk adds to the message; as bytes it is JSON already."""


class Usage(msgspec.Struct, kw_only=True):
    """Token counts; the details are reported when they are not None."""

    prompt: int
    completion: int
    cached: int | None = None
    reasoning: int | None = None

    def as_json(self) -> dict[str, Any]:
        """As the protocol writes it."""
        usage: dict[str, Any] = {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.prompt + self.completion,
        }
        if self.cached is not None:
            usage["prompt_tokens_details"] = {"cached_tokens": self.cached}
        if self.reasoning is not None:
            usage["completion_tokens_details"] = {"reasoning_tokens": self.reasoning}
        return usage


class Answer(msgspec.Struct, kw_only=True):
    """A completion: the pieces of its message, and all that befalls it on its way."""

    deltas: Iterable[Delta]
    usage: Usage | None
    finish: str = "stop"
    first_s: float = 0.0
    headers_first: bool = False
    between_s: float = 0.0
    join: int = 1
    form: Literal["plain", "decorated", "split"] = "plain"
    insert: dict[int, bytes] = {}
    """Event number → raw frame that goes in front of it; the rest follows unless `stop_after` says otherwise."""
    cut_after: int | None = None
    stop_after: int | None = None
    reset: bool = False
    terminator: bool = True


class Refusal(msgspec.Struct, kw_only=True):
    """An answer that is no completion."""

    status: int
    body: bytes
    headers: dict[str, str] = {}


class Silence(msgspec.Struct):
    """No answer at all."""


Plan = Answer | Refusal | Silence


class UnknownModel(Exception):
    """The name is in no row of the table."""


def plan(body: dict[str, Any]) -> Plan:
    """What a chat-completions request gets. Raises UnknownModel."""
    behaviour, _, query = str(body.get("model", "")).partition("?")
    keys = dict(parse_qsl(query))
    name, number = _split_number(behaviour)
    make = _BEHAVIOURS.get(name) or _BEHAVIOURS.get(behaviour)
    if make is None:
        raise UnknownModel(behaviour)
    if number is not None:
        keys.setdefault("n", number)
    made = make(body, keys)
    if isinstance(made, Answer):
        _apply_common(made, keys)
    return made


def names() -> list[str]:
    """Every behaviour, for ``GET /v1/models``."""
    return [
        f"{name}-40" if name == "count" else f"{name}-500" if name == "status" else name
        for name in _BEHAVIOURS
    ]


def error_body(message: str, kind: str, code: str | None = None, param: str | None = None) -> bytes:
    """OpenAI's form of an error."""
    return msgspec.json.encode({"error": {"message": message, "type": kind, "param": param, "code": code}})


@functools.lru_cache(maxsize=8)
def varied_texts(size: int, seed: int = 7) -> tuple[str, ...]:
    """1,009 different texts of `size` ASCII characters, quotes, braces and line breaks among them."""
    rng = random.Random(seed)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 11))) for _ in range(997)]
    words += ['"quoted"', "\n", "{brace}", "back\\slash", "0.25,", "end."]
    pool = " ".join(rng.choices(words, k=4096 + size))
    return tuple(pool[start : start + size] for start in (step * 17 for step in range(1009)))


@functools.lru_cache(maxsize=8)
def _encoded_texts(size: int) -> tuple[bytes, ...]:
    """The same as JSON without the opening quote, so that making an event costs next to nothing."""
    return tuple(msgspec.json.encode(text)[1:] for text in varied_texts(size))


def _split_number(behaviour: str) -> tuple[str, str | None]:
    found = re.fullmatch(r"(count|status)-(\d+)", behaviour)
    return (found[1], found[2]) if found else (behaviour, None)


def _apply_common(answer: Answer, keys: dict[str, str]) -> None:
    if answer.usage is not None:
        for field in ("prompt", "completion", "cached", "reasoning"):
            if field in keys:
                setattr(answer.usage, field, int(keys[field]))
    answer.finish = keys.get("finish", answer.finish)
    answer.first_s = float(keys.get("first_s", answer.first_s))
    answer.between_s = float(keys.get("between_s", answer.between_s))
    answer.headers_first = keys.get("headers", "0") == "1"
    answer.join = int(keys.get("join", answer.join))


def _text_of(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(str(part.get("text", "")) for part in parts if part.get("type") == "text")


def _last_user_text(body: dict[str, Any]) -> str:
    for message in reversed(body.get("messages", [])):
        if message.get("role") == "user":
            return _text_of(message)
    return ""


def _prompt_words(body: dict[str, Any]) -> int:
    return sum(len(_text_of(message).split()) for message in body.get("messages", []))


def _spoken(body: dict[str, Any], pieces: list[str]) -> Answer:
    """An answer that says these pieces; it counts a token for each."""
    return Answer(
        deltas=[{"content": piece} for piece in pieces],
        usage=Usage(prompt=_prompt_words(body), completion=len(pieces)),
    )


def _echo(body: dict[str, Any], keys: dict[str, str]) -> Answer:
    return _spoken(body, re.findall(r"\s*\S+|\s+$", _last_user_text(body)))


def _count(body: dict[str, Any], keys: dict[str, str]) -> Answer:
    return _spoken(body, [str(n) if n == 1 else f" {n}" for n in range(1, int(keys["n"]) + 1)])


def _chunks(body: dict[str, Any], keys: dict[str, str]) -> Answer:
    n, size = int(keys.get("n", "40")), int(keys.get("size", "250"))
    interval = float(keys.get("interval_ms", "0")) / 1000
    answer = _spoken(body, [])
    answer.deltas = _stamped(n, size)
    answer.usage = Usage(prompt=_prompt_words(body), completion=n)
    answer.between_s = interval
    answer.join = 1 if interval else 16
    return answer


def _stamped(n: int, size: int) -> Iterator[bytes]:
    for text in itertools.islice(itertools.cycle(_encoded_texts(max(size - 21, 1))), n):
        yield b'{"content":"@%019d@%b}' % (time.monotonic_ns(), text)


def _tools(body: dict[str, Any], keys: dict[str, str]) -> Answer:
    messages = body.get("messages", [])
    if messages and messages[-1].get("role") == "tool":
        return _spoken(body, ["The", " tool", " said", f" {_text_of(messages[-1])}"])
    offered = body.get("tools") or [{"function": {"name": "get_weather"}}]
    name = offered[0]["function"]["name"]
    deltas: list[Delta] = []
    for index in range(int(keys.get("calls", "1"))):
        call = {"index": index, "id": f"call_{index + 1}", "type": "function"}
        deltas.append({"tool_calls": [{**call, "function": {"name": name, "arguments": ""}}]})
        arguments = f'{{"city": "Zürich {index + 1}", "days": [1, 2]}}'
        deltas += [
            {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}
            for piece in re.findall(r".{1,9}", arguments)
        ]
    usage = Usage(prompt=_prompt_words(body), completion=len(deltas))
    return Answer(deltas=deltas, usage=usage, finish="tool_calls")


def _reasoning(body: dict[str, Any], keys: dict[str, str]) -> Answer:
    answer = _echo(body, keys)
    thoughts = ["Let", " me", " think", "."]
    answer.deltas = [{"reasoning_content": thought} for thought in thoughts] + list(answer.deltas)
    assert answer.usage is not None
    answer.usage.completion += len(thoughts)
    answer.usage.reasoning = len(thoughts)
    return answer


def _usage_cached(body: dict[str, Any], keys: dict[str, str]) -> Answer:
    answer = _echo(body, keys)
    answer.usage = Usage(prompt=1000, completion=100, cached=800, reasoning=40)
    return answer


def _no_usage(body: dict[str, Any], keys: dict[str, str]) -> Answer:
    answer = _echo(body, keys)
    answer.usage = None
    return answer


def _slow_first(body: dict[str, Any], keys: dict[str, str]) -> Answer:
    answer = _echo(body, keys)
    answer.first_s = float(keys.get("s", "1"))
    return answer


def _slow_between(body: dict[str, Any], keys: dict[str, str]) -> Answer:
    answer = _echo(body, keys)
    answer.between_s = float(keys.get("s", "1"))
    return answer


def _broken_mid(body: dict[str, Any], keys: dict[str, str]) -> Answer:
    answer = _echo(body, keys)
    answer.cut_after = int(keys.get("after", "3"))
    answer.reset = keys.get("rst") == "1"
    return answer


def _no_terminator(body: dict[str, Any], keys: dict[str, str]) -> Answer:
    answer = _echo(body, keys)
    answer.terminator = False
    return answer


def _garbage(body: dict[str, Any], keys: dict[str, str]) -> Answer:
    answer = _echo(body, keys)
    answer.insert = {int(keys.get("after", "2")): b'data: {"id": "chatcmpl-1", "choi\n\n'}
    return answer


def _error_frame(body: dict[str, Any], keys: dict[str, str]) -> Answer:
    answer = _echo(body, keys)
    after = int(keys.get("after", "2"))
    frame = error_body("The model is overloaded", "server_error", "overloaded")
    answer.insert = {after: b"data: " + frame + b"\n\n"}
    answer.stop_after = after
    answer.terminator = keys.get("done", "1") == "1"
    return answer


def _status(body: dict[str, Any], keys: dict[str, str]) -> Refusal:
    status = int(keys["n"])
    headers = {"x-request-id": "req_upstream"}
    if status in (429, 503):
        retry_ms = int(keys.get("retry_ms", "7000"))
        headers |= {"retry-after": str(-(-retry_ms // 1000)), "retry-after-ms": str(retry_ms)}
    message, kind, code = {
        400: ("'messages' is wrong", "invalid_request_error", "invalid_value"),
        401: ("Incorrect API key provided", "invalid_request_error", "invalid_api_key"),
        429: ("Rate limit reached for requests", "requests", "rate_limit_exceeded"),
    }.get(status, ("The server had an error", "server_error", "server_error"))
    return Refusal(status=status, body=error_body(message, kind, code), headers=headers)


def _redirect(body: dict[str, Any], keys: dict[str, str]) -> Refusal:
    return Refusal(status=302, body=b"", headers={"location": "/elsewhere/v1/chat/completions"})


def _comments(body: dict[str, Any], keys: dict[str, str]) -> Answer:
    answer = _echo(body, keys)
    answer.form = "decorated"
    return answer


def _unicode(body: dict[str, Any], keys: dict[str, str]) -> Answer:
    answer = _spoken(
        body, ["line\u2028para\u2029", "next\u0085line", " 👩‍👩‍👧‍👦 ", "e\u0301", " 日本 ", "\U0001f600"]
    )
    answer.form = "split"
    return answer


def _large(body: dict[str, Any], keys: dict[str, str]) -> Answer:
    events = max(1, int(float(keys.get("mb", "2")) * 16))
    return _spoken(body, list(itertools.islice(itertools.cycle(varied_texts(65_536)), events)))


def _finish_length(body: dict[str, Any], keys: dict[str, str]) -> Answer:
    answer = _echo(body, keys)
    answer.finish = "length"
    return answer


def _hang(body: dict[str, Any], keys: dict[str, str]) -> Silence:
    return Silence()


_BEHAVIOURS: dict[str, Callable[[dict[str, Any], dict[str, str]], Plan]] = {
    "echo": _echo,
    "count": _count,
    "chunks": _chunks,
    "tools": _tools,
    "reasoning": _reasoning,
    "usage-cached": _usage_cached,
    "no-usage": _no_usage,
    "slow-first": _slow_first,
    "slow-between": _slow_between,
    "broken-mid": _broken_mid,
    "no-terminator": _no_terminator,
    "garbage": _garbage,
    "error-frame": _error_frame,
    "status": _status,
    "redirect": _redirect,
    "comments": _comments,
    "unicode": _unicode,
    "large": _large,
    "finish-length": _finish_length,
    "hang": _hang,
}
