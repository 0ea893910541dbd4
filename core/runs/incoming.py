"""What an agent publishes, read and checked. Pure (behaviours/runs.md, decisions 1 and 7)."""

from __future__ import annotations

import msgspec

from core.errors import InvalidArgument
from core.runs.run import exit_code_of

_OURS = ("runId", "sessionKey", "seq")
_PROVIDERS = ("sessionId", "newSessionId", "actualSessionId")
_NOT_PUBLISHED = frozenset(_OURS + _PROVIDERS)

_encode = msgspec.json.Encoder().encode


class SessionCreated(msgspec.Struct, frozen=True):
    """The provider named its own session; "" when it forgot to."""

    provider_session_id: str


class Completed(msgspec.Struct, frozen=True):
    """The agent says that it has ended; `fields` are what it says beside that."""

    exit_code: int
    aborted: bool
    fields: dict[str, object]


class Plain(msgspec.Struct, frozen=True):
    """Anything else: it only goes through, as this JSON object. `event` may tell what its run is at."""

    payload: bytes
    event: dict[str, object]


Incoming = SessionCreated | Completed | Plain


def read_event(event: object) -> Incoming:
    """Read a published event; the caller's object is not changed. Raises InvalidArgument, with the field at fault.

    The house's own fields and every id of the provider's are taken out.
    """
    if not isinstance(event, dict):
        raise InvalidArgument("an event is a JSON object with a `kind`", path="$.event")
    kind = event.get("kind")
    if not isinstance(kind, str) or not kind:
        raise InvalidArgument("an event needs a `kind`: a string that is not empty", path="$.event.kind")
    fields = {name: value for name, value in event.items() if name not in _NOT_PUBLISHED}
    payload = _encoded(fields)
    if kind == "session_created":
        return SessionCreated(_first_text(event.get("newSessionId"), event.get("sessionId")))
    if kind == "complete":
        fields.pop("interrupted", None)  # only the house knows that it cut a run off
        return Completed(exit_code_of(event.get("exitCode")), event.get("aborted") is True, fields)
    return Plain(payload, fields)


def check_producer_seq(producer_seq: object) -> None:
    """Raises InvalidArgument unless it is a whole number, or left out."""
    if producer_seq is not None and (isinstance(producer_seq, bool) or not isinstance(producer_seq, int)):
        raise InvalidArgument(
            "producerSeq is a whole number that grows with every event", path="$.producerSeq"
        )


def _encoded(fields: dict[str, object]) -> bytes:
    try:
        return _encode(fields)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidArgument(f"an event must be plain JSON: {error}", path="$.event") from error


def _first_text(*values: object) -> str:
    """The first string that can be stored and is not empty."""
    for value in values:
        if isinstance(value, str) and value and not any("\ud800" <= char <= "\udfff" for char in value):
            return value
    return ""
