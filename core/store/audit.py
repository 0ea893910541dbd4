"""The audit, read: who did what to which target, when, and how it ended (behaviours/history.md, decision 8).

Entries of single messages are not stored: they are derived from the message rows, and from what a removed message
leaves behind. They merge with a session's recorded entries by their place among the messages.
"""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, or_, select, true

from core.clock import timestamp
from core.protocol import AuditEntry, AuditPage
from core.store.audit_records import HOUSE, NewEntry, outcome_of, reading, record, record_command
from core.store.database import Database
from core.store.message import bounded, check_key, check_limit
from core.store.tables import audit, messages, removed_messages, sessions

__all__ = ["Audit", "NewEntry", "of_session", "outcome_of", "page", "reading", "record", "record_command"]


def page(
    connection: Connection, *, before: int | None = None, limit: int = 100, target: str | None = None
) -> AuditPage:
    """The newest recorded entries before an id, newest first, all or those found under one target.

    Derived entries of messages are not among them (see `of_session`). Raises InvalidArgument for a bad limit.
    """
    check_limit(limit)
    found = _newest(connection, _recorded(target), before, limit + 1)
    entries = [_entry(row) for row in found[:limit]]
    return AuditPage(entries=entries, before=entries[-1].id if len(found) > limit else None)


def of_session(connection: Connection, session_key: str, *, limit: int = 1000) -> list[AuditEntry]:
    """The newest entries of one session, oldest first, those of its messages among them (these have id 0).

    Costs what is answered, not what the session holds. Raises InvalidArgument for a bad key or limit.
    """
    check_key(session_key)
    check_limit(limit)
    placed: list[tuple[int, int, int, AuditEntry]] = []
    for row in _newest(connection, _recorded(session_key), None, limit, of_session=True):
        seq = row.at_seq if row.target == session_key else row.second_seq
        placed.append((seq, 0, row.id, _entry(row)))
    owner = connection.execute(select(sessions.c.owner).where(sessions.c.session_key == session_key)).scalar()
    for seq, at, length in _appended(connection, session_key, limit):
        placed.append((seq, 1, 0, _message_entry(session_key, owner or HOUSE, at, length)))
    placed.sort(key=lambda entry: entry[:3])
    return [entry for *_, entry in placed[-limit:]]


class Audit:
    """The audit, read on a database; entries are written inside the units of work that they tell of."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self, *, before: int | None = None, limit: int = 100, target: str | None = None
    ) -> AuditPage:
        """See `page`."""
        return await self._database.read(
            lambda connection: page(connection, before=before, limit=limit, target=target)
        )

    async def of_session(self, session_key: str, *, limit: int = 1000) -> list[AuditEntry]:
        """See `of_session`."""
        return await self._database.read(lambda connection: of_session(connection, session_key, limit=limit))


def _recorded(target: str | None) -> list[ColumnElement[bool]]:
    """The conditions that find a target's entries, each one an index; one by one, because OR would sort them all."""
    if target is None:
        return [true()]
    return [audit.c.target == target, audit.c.second_target == target]


def _newest(
    connection: Connection,
    conditions: list[ColumnElement[bool]],
    before: int | None,
    limit: int,
    *,
    of_session: bool = False,
) -> list[Row[Any]]:
    found: list[Row[Any]] = []
    for condition in conditions:
        query = select(audit).where(condition).order_by(audit.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(audit.c.id < bounded(before))
        if of_session:
            query = query.where(or_(audit.c.at_seq.is_not(None), audit.c.second_seq.is_not(None)))
        found.extend(connection.execute(query))
    found.sort(key=lambda row: row.id, reverse=True)
    return found[:limit]


def _appended(connection: Connection, session_key: str, limit: int) -> list[tuple[int, int, int]]:
    """Number, time and length of the newest messages that were appended, removed ones among them."""
    found: list[tuple[int, int, int]] = []
    for table in (messages, removed_messages):
        query = select(table.c.seq, table.c.at, table.c.length).where(table.c.session_key == session_key)
        if table is messages:
            query = query.where(messages.c.audited)
        found.extend(
            (row.seq, row.at, row.length)
            for row in connection.execute(query.order_by(table.c.seq.desc()).limit(limit))
        )
    return found


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(
        id=row.id,
        at=timestamp(row.at),
        actor=row.actor,
        action=row.action,
        target=row.target,
        outcome=row.outcome,
        reason=row.reason,
        detail=msgspec.json.decode(row.detail),
    )


def _message_entry(session_key: str, actor: str, at: int, length: int) -> AuditEntry:
    return AuditEntry(
        id=0,
        at=timestamp(at),
        actor=actor,
        action="message",
        target=session_key,
        outcome="done",
        detail={"length": length},
    )
