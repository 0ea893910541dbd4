"""The row of a session: its numbers, whose it is, and when it was created or resumed.

Every write to a session comes through `take`, whatever it writes; that is how `created` (the first write ever) and
`resumed` (the first write in a new epoch) get into the audit (behaviours/history.md, decisions 3 and 8).
"""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, select

from core.clock import timestamp
from core.errors import SessionNotFound
from core.protocol import SessionsPage, StoredSession
from core.store import audit_records, driver
from core.store.message import check_key, check_limit
from core.store.tables import sessions


class Stamp(msgspec.Struct, frozen=True, kw_only=True):
    """When something is written (`now`, ms), in which life of the core, and by whom.

    `owner` and `project` are the session's: the first owner stays, the latest project counts.
    """

    now: int
    epoch: str
    actor: str = audit_records.HOUSE
    owner: str | None = None
    project: str | None = None


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """What a session's row says: the next message number, how many messages there are, the newest one's chain."""

    next_seq: int
    messages: int
    tail: bytes | None
    owner: str | None
    epoch: str

    def ending(self, tail: bytes | None) -> Session:
        """The same session with another newest message; None is one without messages."""
        return msgspec.structs.replace(self, tail=tail)


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """What readers may know of a session's row; times in ms."""

    owner: str | None
    project: str | None
    created_at: int
    updated_at: int
    messages: int
    next_seq: int


# The row's epoch is set in `_begin`, after it was looked at: an empty one is that of a session just made.
_TAKE = """
INSERT INTO sessions (session_key, owner, project, created_at, updated_at, epoch, next_seq, messages)
VALUES (?, ?, ?, ?, ?, '', 1 + ?, ?)
ON CONFLICT (session_key) DO UPDATE SET
    next_seq = sessions.next_seq + excluded.messages,
    messages = sessions.messages + excluded.messages,
    updated_at = excluded.updated_at,
    owner = coalesce(sessions.owner, excluded.owner),
    project = coalesce(excluded.project, sessions.project)
RETURNING next_seq, messages, owner, epoch,
    (SELECT chain FROM messages WHERE messages.session_key = sessions.session_key ORDER BY seq DESC LIMIT 1)
"""
_HOLD = """
UPDATE sessions SET updated_at = ? WHERE session_key = ?
RETURNING next_seq, messages, owner, epoch,
    (SELECT chain FROM messages WHERE messages.session_key = sessions.session_key ORDER BY seq DESC LIMIT 1)
"""
_BEGIN = "UPDATE sessions SET epoch = ? WHERE session_key = ?"
_DROPPED = "UPDATE sessions SET messages = messages - ? WHERE session_key = ?"


def take(connection: Connection, session_key: str, count: int, stamp: Stamp) -> Session:
    """Take the next `count` message numbers, making the session if it is new; answers the session before that.

    Raises SessionNotFound when the session belongs to somebody else than `stamp.owner`.
    """
    values = (session_key, stamp.owner, stamp.project, stamp.now, stamp.now, count, count)
    session = _session(driver.rows(connection, _TAKE, values)[0], count)
    _check_owner(session, session_key, stamp)
    if session.epoch != stamp.epoch:
        _begin(connection, session_key, session, stamp)
    return session


def hold(connection: Connection, session_key: str, stamp: Stamp) -> Session | None:
    """The session as it is, held until the transaction ends; None when it is unknown. Raises like `take`."""
    found = driver.rows(connection, _HOLD, (stamp.now, session_key))
    if not found:
        return None
    session = _session(found[0], 0)
    _check_owner(session, session_key, stamp)
    return session


def drop(connection: Connection, session_key: str, count: int) -> None:
    """Note that so many messages are gone; their numbers are not given out again."""
    if count:
        driver.changed(connection, _DROPPED, (count, session_key))


def look(connection: Connection, session_key: str) -> Stored | None:
    """What is stored of a session; None for one that was never written to."""
    columns = [sessions.c[name] for name in Stored.__struct_fields__]
    row = connection.execute(select(*columns).where(sessions.c.session_key == session_key)).mappings().first()
    return None if row is None else Stored(**row)


def page(
    connection: Connection, *, after: str = "", limit: int = 100, owner: str | None = None
) -> SessionsPage:
    """The stored sessions whose keys come after one, all or one owner's, in the order of their keys.

    Raises InvalidArgument for a limit outside 1 to 1000 or a key that cannot be one.
    """
    check_limit(limit)
    query = select(sessions).where(sessions.c.session_key > (check_key(after, "after") if after else ""))
    if owner is not None:
        query = query.where(sessions.c.owner == check_key(owner, "owner"))
    found = connection.execute(query.order_by(sessions.c.session_key).limit(limit + 1)).all()
    listed = [
        StoredSession(
            session_key=row.session_key,
            owner=row.owner,
            project=row.project,
            created_at=timestamp(row.created_at),
            updated_at=timestamp(row.updated_at),
            messages=row.messages,
        )
        for row in found[:limit]
    ]
    return SessionsPage(sessions=listed, after=listed[-1].session_key if len(found) > limit else None)


def _session(row: tuple[Any, ...], taken: int) -> Session:
    next_seq, messages, owner, epoch, tail = row
    return Session(next_seq=next_seq - taken, messages=messages - taken, tail=tail, owner=owner, epoch=epoch)


def _check_owner(session: Session, session_key: str, stamp: Stamp) -> None:
    if stamp.owner is not None and session.owner is not None and session.owner != stamp.owner:
        raise SessionNotFound(f"session {session_key!r:.200}: there is none of yours; use another session id")


def _begin(connection: Connection, session_key: str, session: Session, stamp: Stamp) -> None:
    action = "resumed" if session.epoch else "created"
    driver.changed(connection, _BEGIN, (stamp.epoch, session_key))
    entry = audit_records.NewEntry(
        at=stamp.now, actor=stamp.actor, action=action, target=session_key, at_seq=session.next_seq
    )
    audit_records.record(connection, entry)
