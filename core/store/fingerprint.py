"""What makes two requests the same, and what names a conversation that brings no name. Pure.

behaviours/pins.md, decisions 3, 4 and 9.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

_CUT = 500
_CHUNK = 640
"""Code points looked at first: enough for `_CUT` after collapsing, unless the text is full of white space."""

_WHITE = re.compile("[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
"""The Unicode property White_Space."""


def fingerprint(content: str, tools: Sequence[str] = ()) -> str:
    """32 hex characters that are equal for requests which differ in white space and order of tools only.

    The text is trimmed, its white space collapsed, and cut to 500 code points; case is kept. `tools` are names,
    with duplicates, in any order. behaviours/pins.md, decision 3.
    """
    text = _collapsed(content)
    if tools:
        text += "|tools:" + ",".join(sorted(tools))
    return _digest(text)


def turn_fingerprint(messages: Sequence[Mapping[str, Any]]) -> str:
    """The fingerprint of what is new in a chat request: everything after the last assistant text.

    `messages` have OpenAI's form, content being None, a text or a list of parts. Every text counts by its own
    `fingerprint`, so that the cut hides none behind another; parts that are not text count whole. The names of
    the tools called since that text belong to it, those called in the same message included. System and
    developer messages do not: they stand for the whole conversation and would tell its first request from an
    equal second one. behaviours/pins.md, decision 4.
    """
    marks: list[str] = []
    tools: list[str] = []
    for message in reversed(messages):
        role = message.get("role")
        if role in ("system", "developer"):
            continue
        if role == "assistant":
            tools.extend(_called(message))
            if _says_something(message):
                break
            continue
        if isinstance(message.get("content"), str):
            marks.append(fingerprint(message["content"]))  # nearly always
        else:
            marks.extend(reversed([fingerprint(text) for text in _texts(message)] or [fingerprint("")]))
    marks.reverse()
    joined = "".join(marks)
    if tools:
        joined += "|tools:" + ",".join(sorted(tools))
    return _digest(joined)


def derive_key(first_user_message: str, scope: str | None = None) -> str:
    """64 hex characters that name a conversation by its first user message.

    With a `scope` (whatever keeps strangers apart: the user, the system prompt) equal openings of different
    scopes never meet. behaviours/pins.md, decision 9.
    """
    message = first_user_message.encode(errors="surrogatepass")
    if scope is not None:
        # 0xFF occurs in no text, so that no message without a scope looks like one with it
        message = b"\xff" + hashlib.sha256(scope.encode(errors="surrogatepass")).digest() + message
    return hashlib.sha256(message).hexdigest()


def session_id(header: str | None, first_user_message: str, scope: str | None = None) -> str:
    """The header's value, trimmed; a derived key only where that is missing or blank (decision 9)."""
    return (header or "").strip() or derive_key(first_user_message, scope)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]


def _collapsed(content: str) -> str:
    """Trimmed, white space collapsed, cut. Reads no more of a long text than the cut needs."""
    size = _CHUNK
    while True:
        text = " ".join(_words(content[:size]))
        if len(text) >= _CUT or size >= len(content):
            return text[:_CUT]
        size *= 2


def _words(text: str) -> list[str]:
    # str.split takes U+001C to U+001F for white space; Unicode does not
    if "\x1c" in text or "\x1d" in text or "\x1e" in text or "\x1f" in text:
        return [word for word in _WHITE.split(text) if word]
    return text.split()


def _texts(message: Mapping[str, Any]) -> Iterator[str]:
    """A message's texts one by one; a part that is not text stands as the digest of all of it."""
    content = message.get("content")
    if isinstance(content, str):
        yield content
    elif content is not None:
        for part in content if isinstance(content, list) else [content]:
            if isinstance(part, Mapping) and isinstance(part.get("text"), str):
                yield part["text"]
            else:
                yield hashlib.sha256(msgspec.json.encode(part, order="sorted")).hexdigest()


def _says_something(message: Mapping[str, Any]) -> bool:
    """Whether an assistant's message holds more than tool calls: clients send those with a blank text."""
    refusal = message.get("refusal")
    return any(text.strip() for text in _texts(message)) or (
        isinstance(refusal, str) and bool(refusal.strip())
    )


def _called(message: Mapping[str, Any]) -> Iterator[str]:
    """The names of the tools that an assistant's message calls, in today's form and in the older one."""
    calls = message.get("tool_calls")
    functions = [
        call.get("function") or call.get("custom")
        for call in (calls if isinstance(calls, list) else ())
        if isinstance(call, Mapping)
    ]
    for function in (*functions, message.get("function_call")):
        if isinstance(function, Mapping) and isinstance(function.get("name"), str):
            yield function["name"]
