"""The rows of messages, and what stands beside them: the session's numbers, the search index, the audit.

Functions of a connection, so that several make one transaction (behaviours/history.md, decisions 1, 3, 4 and 8).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, select

from core.clock import timestamp
from core.errors import InvalidArgument
from core.protocol import HistoryPage, Message
from core.store import audit_records, driver, search, sessions
from core.store.message import Prepared, bounded, chain, check_key, check_limit
from core.store.sessions import Session, Stamp
from core.store.tables import messages

_INSERT = """
INSERT INTO messages (session_key, seq, role, at, length, chain, run_id, partial, audited, content, extra)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
RETURNING id
"""
_LEAVE_TRACE = """
INSERT INTO removed_messages (session_key, seq, at, length)
SELECT session_key, seq, at, length FROM messages WHERE session_key = ? AND seq > ? AND seq < ? AND audited
"""
_SIZES = """
SELECT seq, length(content) + coalesce(length(extra), 0) FROM messages
WHERE session_key = ? AND seq > ? ORDER BY seq LIMIT ?
"""
_LARGEST_PAGE = 4 * 1024 * 1024
"""Characters of the messages of a page that is read forwards, unless a single one is larger."""
_REMOVE = "DELETE FROM messages WHERE session_key = ? AND seq > ? AND seq < ?"


def append_in(connection: Connection, session_key: str, message: Prepared, stamp: Stamp) -> int:
    """Append one message; answers its number. Raises SessionNotFound for somebody else's session."""
    return append_all_in(connection, session_key, (message,), stamp)


def append_all_in(connection: Connection, session_key: str, new: Sequence[Prepared], stamp: Stamp) -> int:
    """Append messages; answers the first one's number. Raises like `append_in`."""
    session = sessions.take(connection, session_key, len(new), stamp)
    insert(connection, session_key, session, new, stamp, audited=True)
    return session.next_seq


def replace_in(connection: Connection, session_key: str, new: Sequence[Prepared], stamp: Stamp) -> int:
    """Swap the whole history; answers how many messages there are now."""
    session = sessions.take(connection, session_key, len(new), stamp)
    remove_in(connection, session_key, 0, session.next_seq)
    record(connection, session_key, "replaced", len(new), session.next_seq, stamp)
    insert(connection, session_key, session.ending(None), new, stamp, audited=False)
    return len(new)


def clear_in(connection: Connection, session_key: str, stamp: Stamp) -> int:
    """Remove all messages, not the configuration; answers how many there were."""
    session = sessions.take(connection, session_key, 0, stamp)
    count = remove_in(connection, session_key, 0, session.next_seq)
    record(connection, session_key, "cleared", count, session.next_seq, stamp)
    return count


def remove_in(connection: Connection, session_key: str, after: int, before: int) -> int:
    """Remove the messages with numbers between the two and say how many; appended ones leave their trace."""
    span = (session_key, after, before)
    driver.changed(connection, _LEAVE_TRACE, span)
    search.forget(connection, session_key, after, before)
    count = driver.changed(connection, _REMOVE, span)
    sessions.drop(connection, session_key, count)
    return count


def page_in(
    connection: Connection,
    session_key: str,
    before: int | None = None,
    limit: int = 100,
    *,
    after: int | None = None,
) -> HistoryPage:
    """The newest messages before a number (exclusive), or with `after` the oldest after one; in ascending order.

    Reading forwards ends a page early where its messages are large, so that who reads everything never has much of it
    at once. Raises InvalidArgument for a limit outside 1 to 1000, a bad key, or both numbers; an unknown session has
    no messages.
    """
    check_key(session_key)
    check_limit(limit)
    if after is not None:
        if before is not None:
            raise InvalidArgument(
                "before and after: only one of them can be given; leave one out", path="$.after"
            )
        return _page_after(connection, session_key, bounded(after, "after"), limit)
    query = select(messages).where(messages.c.session_key == session_key)
    if before is not None:
        query = query.where(messages.c.seq < bounded(before))
    found = connection.execute(query.order_by(messages.c.seq.desc()).limit(limit + 1)).all()
    newest = [_message(row) for row in reversed(found[:limit])]
    return HistoryPage(
        session_key=session_key, messages=newest, before=newest[0].seq if len(found) > limit else None
    )


def _page_after(connection: Connection, session_key: str, after: int, limit: int) -> HistoryPage:
    sizes = driver.rows(connection, _SIZES, (session_key, after, limit + 1))
    seqs: list[int] = []
    room = _LARGEST_PAGE
    for seq, size in sizes[:limit]:
        room -= size
        if room < 0 and seqs:
            break
        seqs.append(seq)
    last = seqs[-1] if seqs else after
    query = (
        select(messages)
        .where(messages.c.session_key == session_key, messages.c.seq > after, messages.c.seq <= last)
        .order_by(messages.c.seq)
    )
    return HistoryPage(
        session_key=session_key,
        messages=[_message(row) for row in connection.execute(query)],
        before=None,
        after=last if len(sizes) > len(seqs) else None,
    )


def insert(
    connection: Connection,
    session_key: str,
    session: Session,
    new: Iterable[Prepared],
    stamp: Stamp,
    *,
    audited: bool,
) -> None:
    """Store messages under the numbers that were taken, after the session's tail.

    `audited` are those that were appended: only they have an entry each.
    """
    tail = session.tail
    for seq, message in enumerate(new, session.next_seq):
        tail = chain(tail, message.form)
        values = (
            session_key,
            seq,
            message.role,
            stamp.now if message.at is None else message.at,
            message.length,
            tail,
            message.run_id,
            message.partial,
            audited,
            message.content,
            message.extra,
        )
        search.index(connection, driver.rows(connection, _INSERT, values)[0][0], message.words)


def record(connection: Connection, session_key: str, action: str, count: int, seq: int, stamp: Stamp) -> None:
    """Audit what was done to `count` messages at once, when `seq` was the next number."""
    entry = audit_records.NewEntry(
        at=stamp.now,
        actor=stamp.actor,
        action=action,
        target=session_key,
        detail={"count": count},
        at_seq=seq,
    )
    audit_records.record(connection, entry)


def _message(row: Row[Any]) -> Message:
    return Message(
        seq=row.seq,
        role=row.role,
        content=msgspec.json.decode(row.content),
        timestamp=timestamp(row.at),
        partial=row.partial,
        run_id=row.run_id,
        extra=None if row.extra is None else msgspec.json.decode(row.extra),
    )
