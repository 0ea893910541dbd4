"""Copying a house on PostgreSQL into a SQLite file: every row as of one moment, while others write."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
from sqlalchemy import Connection, Table, create_engine, func, select, text
from sqlalchemy.pool import StaticPool

from core.errors import DatabaseTooNew, DatabaseUnusable
from core.store import driver, word_index
from core.store.backend import Backend, failure
from core.store.message import text_of
from core.store.migrations import CURRENT, NotOurs, migrate, version_of
from core.store.tables import imports, messages, metadata, staged_messages
from core.store.words import index_text

_BATCH = 500
_LEFT_OUT = (imports, staged_messages)
"""What half an import has brought stands here in PostgreSQL's form; who goes on with it brings it again."""

# A sequence stands outside of transactions: it may have gone on since, and a ticket is never drawn twice.
_TICKETS = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM seat_tickets"
_SET_TICKETS = """
INSERT INTO counters (name, value) VALUES ('seat_tickets', ?)
ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""


def copy(backend: Backend, target: Path, progress: Callable[[int, int], None]) -> None:
    """Copy the house that a back end leads to over the empty file `target`; `progress` is told rows.

    Raises DatabaseUnusable or DatabaseTooNew for what is no house of this version, StorageFailed when the server
    fails, or what SQLite says of `target`.
    """
    try:
        # a reader sees one moment of the database for as long as it is used
        with backend.reader() as house, _new_house(target) as made:
            _check(house, backend.place)
            _copy_all(house, made, progress)
    except sqlite3.Error:
        raise
    except Exception as error:
        told = failure(backend, error, "; nothing is left of the copy")
        if told is error:
            raise
        raise told from error


def _check(house: Connection, place: str) -> None:
    """Raises unless the rows are those that this version knows."""
    try:
        version = version_of(house)
    except NotOurs as error:
        raise DatabaseUnusable(f"{place}: {error}; correct storage.url") from error
    if version == 0:
        raise DatabaseUnusable(f"{place}: there is nothing of maitred in it; correct storage.url")
    if isinstance(version, int) and version > CURRENT:
        raise DatabaseTooNew(
            f"{place}: was written by a newer maitred (schema {version}, this one knows {CURRENT}); "
            "back it up with that version"
        )
    if version != CURRENT:
        raise DatabaseUnusable(
            f"{place}: is of an older maitred (schema {version}, this one knows {CURRENT}); "
            "back it up with that version, or start this one on it once"
        )


@contextmanager
def _new_house(target: Path) -> Iterator[Connection]:
    """A house without a row. Nobody sees the file before it is whole, so nothing in it needs to survive a crash."""
    engine = create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(target, isolation_level=None),
        poolclass=StaticPool,
    )
    try:
        with engine.connect() as made:
            made.exec_driver_sql("PRAGMA journal_mode = OFF")
            made.exec_driver_sql("PRAGMA synchronous = OFF")
            made.exec_driver_sql("BEGIN")
            migrate(made, str(target))
            yield made
            made.exec_driver_sql("COMMIT")
    finally:
        engine.dispose()


def _copy_all(house: Connection, made: Connection, progress: Callable[[int, int], None]) -> None:
    tables = [table for table in metadata.sorted_tables if table not in _LEFT_OUT]
    total = sum(house.execute(select(func.count()).select_from(table)).scalar_one() for table in tables)
    done = 0
    for table in tables:
        # closed here and not whenever it is collected: an interruption must not leave a cursor on the server
        with closing(_batches(house, table)) as batches:
            for rows in batches:
                _put(made, table, rows)
                done += len(rows)
                progress(done, total)
    driver.changed(made, _SET_TICKETS, (house.execute(text(_TICKETS)).scalar_one(),))


def _batches(house: Connection, table: Table) -> Generator[list[tuple[object, ...]]]:
    query = select(table).order_by(*table.primary_key.columns)
    streamed = {"stream_results": True, "max_row_buffer": _BATCH}
    with house.execute(query, execution_options=streamed) as result:
        for part in result.partitions(_BATCH):
            yield [tuple(row) for row in part]


def _put(made: Connection, table: Table, rows: list[tuple[object, ...]]) -> None:
    names = ", ".join(column.name for column in table.columns)
    places = ", ".join("?" for _ in table.columns)
    driver.many(made, f"INSERT INTO {table.name} ({names}) VALUES ({places})", rows)  # noqa: S608 - our own names
    if table is messages:
        message_id, content = (table.columns.keys().index(name) for name in ("id", "content"))
        words = [
            (row[message_id], index_text(text_of(msgspec.json.decode(str(row[content]))))) for row in rows
        ]
        driver.many(made, word_index.FTS5.put, [each for each in words if each[1]])
