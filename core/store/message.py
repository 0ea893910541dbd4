"""A message as it is kept: cleaned, measured, and in the form in which a resent one is compared. Pure.

behaviours/history.md, decisions 2, 3, 7 and 8.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import msgspec

from core.errors import InvalidArgument
from core.store.words import index_text

_BROKEN = re.compile("[\x00\ud800-\udfff]")
_DEEPEST = 100
_OWN_COLUMNS = frozenset({"role", "content"})
_sorted_json = msgspec.json.Encoder(order="sorted")


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A message ready to be stored. `at` (ms) is its own time, None for the time of the write."""

    role: str
    content: str
    """JSON."""
    extra: str | None
    """JSON object of the fields beside role and content that hold something."""
    length: int
    """Code points of the text."""
    words: str
    """What the search index gets."""
    form: bytes
    """See `form_of`."""
    at: int | None = None
    run_id: str | None = None
    partial: bool = False


def check_key(key: object, what: str = "session key") -> str:
    """A key as it is; raises InvalidArgument for an empty one, one with U+0000 or a lone surrogate, or no text."""
    if not isinstance(key, str) or not key:
        raise InvalidArgument(f"{what}: must be a text that is not empty; found {key!r:.60}")
    if not key.isascii() or "\0" in key:
        broken = _BROKEN.search(key)
        if broken is not None:
            raise InvalidArgument(
                f"{what}: has U+{ord(broken.group()):04X}, which no key may have; remove it"
            )
    return key


def key_of(frontend: str, user: str) -> str:
    """The session key of a user of a front end; a front end with a colon is refused, so that no two can meet."""
    if ":" in check_key(frontend, "front end"):
        raise InvalidArgument(f"front end: may not have a colon; found {frontend!r:.60}")
    return f"{frontend}:{check_key(user, 'user')}"


def check_limit(limit: object, most: int = 1000) -> int:
    """A page's size; raises InvalidArgument outside 1 to `most`."""
    if type(limit) is not int or not 1 <= limit <= most:
        raise InvalidArgument(
            f"limit: must be a whole number from 1 to {most}; found {limit!r:.60}", path="$.limit"
        )
    return limit


def bounded(place: object, what: str = "before") -> int:
    """A place to read from, within what a database counts; raises InvalidArgument for no whole number."""
    if type(place) is not int:
        raise InvalidArgument(f"{what}: must be a whole number; found {place!r:.60}", path=f"$.{what}")
    return max(0, min(place, 2**63 - 1))


def clean_text(text: str) -> str:
    """The text with U+FFFD for every U+0000 and lone surrogate, which no database keeps."""
    if text.isascii() and "\0" not in text:
        return text
    return _BROKEN.sub("\ufffd", text)


def clean(value: Any, path: str = "$", depth: int = 0) -> Any:
    """A JSON value with every text in it cleaned, keys included.

    Raises InvalidArgument for what is no JSON, or is nested more than 100 deep; `path` is where the value stands.
    """
    match value:
        case str():
            return clean_text(value)
        case None | bool() | int() | float():
            return value
        case _ if depth >= _DEEPEST:
            raise InvalidArgument(f"{path}: is nested more than {_DEEPEST} deep; make it flatter", path=path)
        case Mapping():
            return {_clean_name(name, path): clean(inner, path, depth + 1) for name, inner in value.items()}
        case list() | tuple():
            return [clean(inner, path, depth + 1) for inner in value]
        case _:
            raise InvalidArgument(
                f"{path}: {type(value).__name__} is no JSON; send text or structured parts", path=path
            )


def _clean_name(name: object, path: str) -> str:
    if not isinstance(name, str):
        raise InvalidArgument(f"{path}: a field is named {name!r:.60}, which is no text", path=path)
    return clean_text(name)


def clean_message(message: object, path: str = "$") -> dict[str, Any]:
    """A message with every text in it cleaned; raises InvalidArgument when it is none or has no role."""
    if not isinstance(message, Mapping):
        raise InvalidArgument(f"{path}: a message must be an object with a role", path=path)
    role = message.get("role")
    if not isinstance(role, str) or not role:
        raise InvalidArgument(
            f"{path}.role: must be a text that is not empty; found {role!r:.60}", path=f"{path}.role"
        )
    return {_clean_name(name, path): clean(value, f"{path}.{name}") for name, value in message.items()}


def text_of(content: Any) -> str:
    """The text of content: the string itself, or the text parts joined by a newline (decision 7)."""
    match content:
        case str():
            return content
        case list():
            return "\n".join(
                part["text"]
                for part in content
                if isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)
            )
        case dict():
            return text_of([content])
        case _:
            return ""


def prepare(
    message: Mapping[str, Any], *, at: int | None = None, run_id: str | None = None, partial: bool = False
) -> Prepared:
    """Make a cleaned message (see `clean_message`) ready to be stored."""
    content = message.get("content")
    text = text_of(content)
    extra = {
        name: value for name, value in message.items() if name not in _OWN_COLUMNS and not _is_empty(value)
    }
    return Prepared(
        role=message["role"],
        content=_json(content),
        extra=_json(extra) if extra else None,
        length=len(text),
        words=index_text(text),
        form=form_of(message),
        at=at,
        run_id=run_id,
        partial=partial,
    )


def form_of(message: Mapping[str, Any]) -> bytes:
    """A cleaned message in the form in which a resent one equals the stored one.

    What counts is role, content (one text part equals the string, cache hints do not count), the calls with their
    arguments as values, `tool_call_id` and `name`. What servers add to their answers does not come back from every
    client, so it does not count.
    """
    return _sorted_json.encode(
        (
            message["role"],
            _content_form(message.get("content")),
            _calls_form(message),
            message.get("tool_call_id") or None,
            message.get("name") or None,
        )
    )


def chain(previous: bytes | None, form: bytes) -> bytes:
    """Sixteen bytes that stand for a message and everything before it; `previous` is None for the first one."""
    return sha256((previous or bytes(16)) + form).digest()[:16]


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _is_empty(value: Any) -> bool:
    return value is None or value in ("", [], {})


def _content_form(content: Any) -> Any:
    if isinstance(content, str):
        return content or None
    if not isinstance(content, list):
        return content
    parts = [_part_form(part) for part in content]
    match parts:
        case []:
            return None
        case [["text", text]]:
            return text or None
        case _:
            return parts


def _part_form(part: Any) -> Any:
    if not isinstance(part, dict):
        return part
    if part.get("type") == "text":
        return ["text", part.get("text")]
    return {name: value for name, value in part.items() if name != "cache_control" and value is not None}


def _calls_form(message: Mapping[str, Any]) -> Any:
    calls = message.get("tool_calls")
    old_call = message.get("function_call")
    if isinstance(calls, list) and calls:
        return [_call_form(call) for call in calls]
    if isinstance(old_call, dict):
        return [_call_form({"function": old_call})]
    return None


def _call_form(call: Any) -> Any:
    if not isinstance(call, dict):
        return call
    function = call.get("function")
    if not isinstance(function, dict):
        return {name: value for name, value in call.items() if value is not None}
    return [call.get("id"), function.get("name"), _arguments_form(function.get("arguments"))]


def _arguments_form(arguments: Any) -> Any:
    """Arguments travel as JSON in a text, which clients write anew: equal values are equal arguments."""
    if not isinstance(arguments, str):
        return arguments
    try:
        return [_sorted_json.encode(msgspec.json.decode(arguments)).decode()]
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return arguments
