"""The rows of the audit, written inside the unit of work that they tell of (behaviours/history.md, decision 8).

Append-only; the database itself refuses changes. An entry about a session knows its place among the messages
(`at_seq`, the number that the next message was to get).
"""

from __future__ import annotations

from typing import Any, assert_never

import msgspec
from sqlalchemy import Connection, select

from core.protocol import (
    AnyCommand,
    ClearDirty,
    CloseSession,
    Done,
    EvictSession,
    MarkDirty,
    Outcome,
    PinModel,
    Refused,
    ReleasePin,
    ResetStrikes,
    action_of,
    target_of,
)
from core.store import driver
from core.store.message import check_key, clean, clean_text
from core.store.tables import audit

HOUSE = "core"
"""The actor of what the core does by itself."""


class NewEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry to be recorded. `at` is in ms; `detail` is JSON and never content.

    With `of_session` the target is a session key, and the entry stands among that session's; so it does for
    `second_target`, which is the other key of a transfer. `at_seq` and `second_seq` are looked up when not given.
    """

    at: int
    action: str
    target: str
    actor: str = HOUSE
    outcome: str = "done"
    reason: str = ""
    detail: dict[str, Any] = {}
    of_session: bool = True
    second_target: str | None = None
    at_seq: int | None = None
    second_seq: int | None = None
    command_id: str | None = None


_RECORD = """
INSERT INTO audit (at, actor, action, target, second_target, at_seq, second_seq, outcome, reason, detail, command_id)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
RETURNING id
"""
_NEXT_SEQ = "SELECT next_seq FROM sessions WHERE session_key = ?"


def record(connection: Connection, entry: NewEntry) -> int:
    """Append an entry inside the caller's unit of work; answers its id."""
    at_seq, second_seq = entry.at_seq, entry.second_seq
    if entry.of_session and at_seq is None:
        at_seq = _next_seq(connection, entry.target)
    if entry.second_target is not None and second_seq is None:
        second_seq = _next_seq(connection, entry.second_target)
    values = (
        entry.at,
        clean_text(entry.actor),
        entry.action,
        clean_text(entry.target),
        entry.second_target,
        at_seq,
        second_seq,
        entry.outcome,
        clean_text(entry.reason),
        msgspec.json.encode(clean(entry.detail)).decode(),
        entry.command_id,
    )
    return int(driver.rows(connection, _RECORD, values)[0][0])


def reading(connection: Connection, *, at: int, actor: str, what: str, session_key: str | None) -> int:
    """Record that an operator read content: `what` is ``history``, ``search`` or ``run``; None is every session."""
    entry = NewEntry(
        at=at,
        actor=actor,
        action="read",
        target=session_key or "*",
        detail={"what": what},
        of_session=session_key is not None,
    )
    return record(connection, entry)


def record_command(
    connection: Connection,
    command: AnyCommand,
    outcome: Outcome,
    *,
    actor: str,
    at: int,
    session_key: str | None = None,
) -> int:
    """Record an operator's act with its outcome, so that `outcome_of` finds it; the id must be a new one.

    `session_key` is the session of a run that is the target: the act is found there, too.
    """
    told, detail = _told(outcome)
    entry = NewEntry(
        at=at,
        actor=actor,
        action=action_of(command),
        target=target_of(command),
        second_target=session_key,
        outcome=told,
        reason=command.reason,
        detail=detail,
        of_session=_is_of_session(command),
        command_id=check_key(command.command_id, "command id"),
    )
    return record(connection, entry)


def outcome_of(connection: Connection, command_id: str) -> Outcome | None:
    """How the command with this id ended; None when there was none."""
    row = connection.execute(
        select(audit.c.outcome, audit.c.detail).where(audit.c.command_id == command_id)
    ).first()
    if row is None:
        return None
    detail = msgspec.json.decode(row.detail)
    if row.outcome == "refused":
        return Refused(command_id=command_id, code=detail["code"], message=detail["message"])
    return Done(command_id=command_id, count=detail["count"], message=detail["message"])


def _next_seq(connection: Connection, session_key: str) -> int:
    found = driver.rows(connection, _NEXT_SEQ, (session_key,))
    return int(found[0][0]) if found else 1


def _is_of_session(command: AnyCommand) -> bool:
    match command:
        case EvictSession() | CloseSession() | ClearDirty() | ReleasePin() | ResetStrikes() | PinModel():
            return True
        case MarkDirty(session_key=session_key):
            return session_key is not None
        case _:
            return False


def _told(outcome: Outcome) -> tuple[str, dict[str, Any]]:
    match outcome:
        case Done(count=count, message=message):
            return "done", {"count": count, "message": message}
        case Refused(code=code, message=message):
            return "refused", {"code": code, "message": message}
        case _ as never:
            assert_never(never)
