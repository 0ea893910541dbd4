"""The schema's versions, and how a database comes from one to the next.

Each step runs in one transaction with the note of its version, so that a crash leaves the old version whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, inspect, text

from core.errors import DatabaseTooNew
from core.store import change_log, imports, retention, word_index
from core.store.driver import is_shared
from core.store.tables import metadata


class NotOurs(Exception):
    """The database belongs to another program; says how that shows."""


_APPEND_ONLY_SQLITE = tuple(
    f"CREATE TRIGGER audit_keeps_on_{change.lower()} BEFORE {change} ON audit "
    "BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END"
    for change in ("UPDATE", "DELETE")
)
_APPEND_ONLY_POSTGRES = (
    """
    CREATE FUNCTION audit_keeps() RETURNS trigger LANGUAGE plpgsql
    AS 'BEGIN RAISE EXCEPTION ''the audit is append-only''; END'
    """,
    """
    CREATE TRIGGER audit_keeps BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_keeps()
    """,
)


def _first(connection: Connection) -> None:
    metadata.create_all(connection)
    append_only = _APPEND_ONLY_POSTGRES if is_shared(connection) else _APPEND_ONLY_SQLITE
    for statement in (*word_index.of(connection).setup, *append_only):
        connection.execute(text(statement))


def _tickets(connection: Connection) -> None:
    """Where several processes join queues, tickets come from a sequence: drawing one makes nobody wait."""
    if is_shared(connection):
        connection.execute(text("CREATE SEQUENCE seat_tickets"))
        last = "SELECT setval('seat_tickets', value) FROM counters WHERE name = 'seat_tickets'"
        connection.execute(text(last))


STEPS: tuple[Callable[[Connection], None], ...] = (
    _first,
    change_log.create,
    _tickets,
    retention.create,
    imports.create,
)
"""Step n brings a database of version n to version n + 1."""

CURRENT = len(STEPS)


def version_of(connection: Connection) -> Any:
    """The version that a database says it has, whatever that is; 0 for one without any table of ours.

    Raises NotOurs for one whose tables have our names and no version.
    """
    found = inspect(connection)
    if found.has_table("schema_version"):
        if [column["name"] for column in found.get_columns("schema_version")] != ["version"]:
            raise NotOurs("is no database of maitred (its schema_version is another program's)")
        versions = connection.execute(text("SELECT version FROM schema_version")).scalars().all()
        return versions[0] if len(versions) == 1 else versions
    foreign = sorted(set(found.get_table_names()) & metadata.tables.keys())
    if foreign:
        raise NotOurs(f"is no database of maitred (another program's table {foreign[0]} is in it)")
    return 0


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
