"""The conversation that a request carries whole, against what is stored of it (behaviours/history.md, decision 8)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection

from core.store import driver, message_records, sessions
from core.store.message import chain, check_key, clean_message, form_of, prepare
from core.store.sessions import Session, Stamp

_BACKWARDS = "SELECT seq, chain FROM messages WHERE session_key = ? AND seq < ? ORDER BY seq DESC LIMIT ?"
_FIRST_STRIDE = 16
_LONGEST_STRIDE = 4096


class Reconciled(msgspec.Struct, frozen=True, kw_only=True):
    """What a request's conversation changed: how many messages were appended, and how many stored ones dropped."""

    appended: int
    dropped: int


def reconcile(
    connection: Connection,
    session_key: str,
    conversation: Sequence[Mapping[str, Any]],
    stamp: Stamp,
    *,
    run_id: str | None = None,
) -> Reconciled:
    """Bring the stored history to the conversation that a request carries whole (decision 8).

    What is beyond the longest stored prefix is appended; a diverging prefix replaces the tail, and a request that is
    a prefix of what is stored drops the rest, both audited as ``rewritten``. Reads stored rows only where the two
    differ. Raises InvalidArgument for a malformed message, SessionNotFound for somebody else's session.
    """
    check_key(session_key)
    cleaned = [clean_message(message, f"$.messages[{index}]") for index, message in enumerate(conversation)]
    chains = _chains(cleaned)
    held = sessions.hold(connection, session_key, stamp)
    kept, after = (0, 0) if held is None else _common(connection, session_key, held, chains)
    dropped = 0 if held is None else held.messages - kept
    new = [prepare(message, run_id=run_id) for message in cleaned[kept:]]
    if new or dropped:
        session = sessions.take(connection, session_key, len(new), stamp)
        if dropped:
            message_records.remove_in(connection, session_key, after, session.next_seq)
            message_records.record(connection, session_key, "rewritten", dropped, session.next_seq, stamp)
        tail = chains[kept - 1] if kept else None
        message_records.insert(connection, session_key, session.ending(tail), new, stamp, audited=not dropped)
    return Reconciled(appended=len(new), dropped=dropped)


def _chains(conversation: Iterable[Mapping[str, Any]]) -> list[bytes]:
    chains: list[bytes] = []
    for message in conversation:
        chains.append(chain(chains[-1] if chains else None, form_of(message)))
    return chains


def _common(
    connection: Connection, session_key: str, held: Session, chains: Sequence[bytes]
) -> tuple[int, int]:
    """How many stored messages the conversation begins with, and the number of the last of them."""
    if held.messages <= len(chains) and (held.messages == 0 or chains[held.messages - 1] == held.tail):
        return held.messages, held.next_seq
    place, before, stride = held.messages, held.next_seq, _FIRST_STRIDE
    while found := driver.rows(connection, _BACKWARDS, (session_key, before, stride)):
        for seq, stored in found:
            if place <= len(chains) and chains[place - 1] == stored:
                return place, seq
            place, before = place - 1, seq
        stride = min(2 * stride, _LONGEST_STRIDE)
    return 0, 0
