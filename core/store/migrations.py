"""The schema's versions, and how a database comes from one to the next.

Each step runs in one transaction with the note of its version, so that a crash leaves the old version whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, inspect, text

from core.errors import DatabaseTooNew
from core.store.tables import metadata


class NotOurs(Exception):
    """The database belongs to another program; says how that shows."""


def _first(connection: Connection) -> None:
    metadata.create_all(connection)
    if connection.dialect.name == "sqlite":
        # `ascii` keeps words outside ASCII whole; the words come from core.store.words
        connection.execute(text("CREATE VIRTUAL TABLE message_words USING fts5(words, tokenize='ascii')"))
        for change in ("UPDATE", "DELETE"):
            connection.execute(
                text(
                    f"CREATE TRIGGER audit_keeps_on_{change.lower()} BEFORE {change} ON audit "
                    "BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END"
                )
            )


STEPS: tuple[Callable[[Connection], None], ...] = (_first,)
"""Step n brings a database of version n to version n + 1."""

CURRENT = len(STEPS)


def version_of(connection: Connection) -> Any:
    """The version that a database says it has, whatever that is; 0 for an empty one."""
    if not inspect(connection).has_table("schema_version"):
        return 0
    return connection.execute(text("SELECT version FROM schema_version")).scalar_one()


def migrate(connection: Connection, place: str) -> None:
    """Bring the database to `CURRENT`, inside the caller's transaction.

    `place` is where the database is, for the message. Raises DatabaseTooNew or NotOurs.
    """
    version = version_of(connection)
    if not isinstance(version, int) or version < 0:
        raise NotOurs(f"is no database of maitred (its schema is {version!r:.40})")
    if version > CURRENT:
        raise DatabaseTooNew(
            f"{place}: was written by a newer maitred (schema {version}, this one knows {CURRENT}); "
            "start that version again, or use another data folder"
        )
    if version == CURRENT:
        return
    if version == 0:
        connection.execute(text("CREATE TABLE schema_version (version INTEGER NOT NULL)"))
        connection.execute(text("INSERT INTO schema_version VALUES (0)"))
    for step in STEPS[version:]:
        step(connection)
    connection.execute(text("UPDATE schema_version SET version = :version"), {"version": CURRENT})
