"""Messages as lines of a file: how a history is exported, and what the digest of an import is of. Pure.

A message has one line, whoever makes it: an exported one, the one of a file that is about to be imported, and the one
of what was staged are the same bytes. What only the session knows, the message's number, is not in it.
"""

from __future__ import annotations

import msgspec

from core.clock import timestamp
from core.protocol import Message
from core.store.message import Prepared

_encode = msgspec.json.Encoder().encode


class _Line(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The fields in their order; what holds nothing is left out."""

    role: str
    content: msgspec.Raw
    timestamp: str | None = None
    partial: bool = False
    run_id: str | None = None
    extra: msgspec.Raw | None = None


def line_of(
    *, role: str, content: str, at: int | None, run_id: str | None, partial: bool, extra: str | None
) -> bytes:
    """The line of a message as it is stored, its end included: `content` and `extra` are JSON, `at` is in ms."""
    return (
        _encode(
            _Line(
                role=role,
                content=msgspec.Raw(content.encode()),
                timestamp=None if at is None else timestamp(at),
                partial=partial,
                run_id=run_id,
                extra=None if extra is None else msgspec.Raw(extra.encode()),
            )
        )
        + b"\n"
    )


def line_of_prepared(message: Prepared) -> bytes:
    """The line of a message that is about to be stored."""
    return line_of(
        role=message.role,
        content=message.content,
        at=message.at,
        run_id=message.run_id,
        partial=message.partial,
        extra=message.extra,
    )


def line_of_message(message: Message) -> bytes:
    """The line of a message of a history page."""
    return (
        _encode(
            _Line(
                role=message.role,
                content=msgspec.Raw(_encode(message.content)),
                timestamp=message.timestamp,
                partial=message.partial,
                run_id=message.run_id,
                extra=None if message.extra is None else msgspec.Raw(_encode(message.extra)),
            )
        )
        + b"\n"
    )
