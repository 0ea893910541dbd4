"""The runs and checkpoints tables, and the provider's name for a session: functions of a connection.

Run events are volatile; durable are starts, ends, and every two seconds the text so far. Times are milliseconds
since 1970. behaviours/runs.md, decisions 7, 12 and 13.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, Select, bindparam, select, text, update

from core.store import driver
from core.store import sessions as session_rows
from core.store.message import clean_text
from core.store.tables import checkpoints, runs, sessions

RecordedStatus = Literal["running", "completed", "aborted", "interrupted"]
"""How a run stands in the database; one that failed is `completed` with another exit code than 0."""


class RunStart(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a run when it begins; `epoch` is that of the core it runs in."""

    run_id: str
    session_key: str
    user_id: str | None
    provider: str
    model: str | None
    epoch: str
    started_at: int


class RunEnd(msgspec.Struct, frozen=True, kw_only=True):
    """How a run ended, and what it used; `estimated` says that nobody reported the usage."""

    run_id: str
    status: Literal["completed", "aborted", "interrupted"]
    exit_code: int
    ended_at: int
    input_tokens: int = 0
    output_tokens: int = 0
    micros: int = 0
    estimated: bool = False


class Orphan(msgspec.Struct, frozen=True, kw_only=True):
    """A run that is recorded as running, with the text last checkpointed at `at`, if there was any."""

    run_id: str
    session_key: str
    project: str | None
    user_id: str | None
    model: str | None
    started_at: int
    text: str | None
    at: int | None


# these belong to every turn, so they go to the driver as they are
_START = (
    f"INSERT INTO runs ({', '.join(RunStart.__struct_fields__)}, status, input_tokens, output_tokens, micros, "
    f"estimated) VALUES ({', '.join('?' for _ in RunStart.__struct_fields__)}, 'running', 0, 0, 0, ?)"
)
_END_FIELDS = tuple(name for name in RunEnd.__struct_fields__ if name != "run_id")
_END = (
    f"UPDATE runs SET {', '.join(f'{name} = ?' for name in _END_FIELDS)} "
    "WHERE run_id = ? AND status = 'running'"
)
_STATUS = select(runs.c.status).where(runs.c.run_id == bindparam("run_id"))
_OPEN = (
    select(
        runs.c.run_id,
        runs.c.session_key,
        sessions.c.project,
        runs.c.user_id,
        runs.c.model,
        runs.c.started_at,
        checkpoints.c.text,
        checkpoints.c.at,
    )
    .select_from(
        runs.outerjoin(checkpoints, runs.c.run_id == checkpoints.c.run_id).outerjoin(
            sessions, runs.c.session_key == sessions.c.session_key
        )
    )
    .where(runs.c.status == "running")
    .order_by(runs.c.started_at, runs.c.run_id)
)
_ORPHANS = _OPEN.where(runs.c.epoch != bindparam("epoch"))
_OWN = _OPEN.where(runs.c.epoch == bindparam("epoch"))
_CHECKPOINT = text(
    "INSERT INTO checkpoints (run_id, session_key, text, at) VALUES (:run_id, :session_key, :text, :at) "
    "ON CONFLICT (run_id) DO UPDATE SET text = excluded.text, at = excluded.at"
)
_DROP_CHECKPOINT = "DELETE FROM checkpoints WHERE run_id = ?"
_PROVIDER_ID = select(sessions.c.provider_session_id).where(
    sessions.c.session_key == bindparam("session_key")
)
_SET_PROVIDER_ID = (
    update(sessions)
    .where(sessions.c.session_key == bindparam("its_session_key"))
    .values(provider_session_id=bindparam("provider_session_id"))
)


def start(connection: Connection, run: RunStart) -> None:
    """Record that a run began."""
    _ = driver.changed(connection, _START, (*msgspec.structs.astuple(run), False))


def end(connection: Connection, end: RunEnd) -> bool:
    """Record how a run ended, and drop its checkpoint; a run ends once, so a later end answers False.

    The text received so far must be a message by then, in the same unit.
    """
    values = tuple(getattr(end, name) for name in _END_FIELDS)
    ended = driver.changed(connection, _END, (*values, end.run_id)) > 0
    if ended:
        drop_checkpoint(connection, end.run_id)
    return ended


def status_of(connection: Connection, run_id: str) -> RecordedStatus | None:
    """How a run stands; None when it was never recorded."""
    status: RecordedStatus | None = connection.execute(_STATUS, {"run_id": run_id}).scalar_one_or_none()
    return status


def orphans(connection: Connection, epoch: str) -> list[Orphan]:
    """What other epochs left running, oldest first; `core.store.orphans` closes it."""
    return _orphans(connection, _ORPHANS, epoch)


def open_runs(connection: Connection, epoch: str) -> list[Orphan]:
    """What this epoch has recorded as running, oldest first."""
    return _orphans(connection, _OWN, epoch)


def _orphans(connection: Connection, query: Select[Any], epoch: str) -> list[Orphan]:
    found = connection.execute(query, {"epoch": epoch}).all()
    return [Orphan(**dict(zip(Orphan.__struct_fields__, row, strict=True))) for row in found]


def checkpoint(connection: Connection, run_id: str, session_key: str, so_far: str, now: int) -> None:
    """Keep the text of a running answer, in place of what was kept before."""
    connection.execute(
        _CHECKPOINT, {"run_id": run_id, "session_key": session_key, "text": clean_text(so_far), "at": now}
    )


def drop_checkpoint(connection: Connection, run_id: str) -> None:
    """Forget the text kept of a run."""
    _ = driver.changed(connection, _DROP_CHECKPOINT, (run_id,))


def provider_session_id(connection: Connection, session_key: str) -> str | None:
    """What the provider calls a session; None when it never said."""
    found: str | None = connection.execute(_PROVIDER_ID, {"session_key": session_key}).scalar_one_or_none()
    return found


def set_provider_session_id(
    connection: Connection, session_key: str, provider_id: str, stamp: session_rows.Stamp
) -> None:
    """Note what the provider calls a session from now on; a session without messages is made."""
    session_rows.take(connection, session_key, 0, stamp)
    connection.execute(
        _SET_PROVIDER_ID, {"its_session_key": session_key, "provider_session_id": clean_text(provider_id)}
    )
