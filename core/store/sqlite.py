"""SQLite: a file in the data folder, with one process on it."""

from __future__ import annotations

import sqlite3
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from core.errors import FolderUnusable
from core.store.backend import Meaning
from core.store.migrations import NotOurs, migrate


class SqliteLink:
    """The writer's connection to the file."""

    def __init__(self, engine: Engine) -> None:
        self.connection = engine.connect()
        # BEGIN and COMMIT are the driver's: a unit that uses SQLAlchemy finds the transaction begun, see `_begin`
        self._raw: Any = self.connection.connection.dbapi_connection

    @property
    def changes(self) -> int:
        changes: int = self._raw.total_changes
        return changes

    @property
    def is_whole(self) -> bool:
        whole: bool = self._raw.in_transaction
        return whole

    def begin(self, *, marked: bool) -> None:
        self._raw.execute("BEGIN IMMEDIATE")
        if marked:
            self._raw.execute("SAVEPOINT unit")

    def mark(self) -> None:
        self._raw.execute("RELEASE unit")
        self._raw.execute("SAVEPOINT unit")

    def check(self) -> None:
        if not self.is_whole:
            raise sqlite3.OperationalError("the transaction is gone")

    def back(self) -> None:
        self._raw.execute("ROLLBACK TO unit")

    def commit(self) -> None:
        self._raw.execute("COMMIT")

    def rollback(self) -> None:
        if self.is_whole:
            self._raw.execute("ROLLBACK")

    def close(self) -> None:
        self.connection.close()


class Sqlite:
    """A SQLite file as a back end."""

    is_shared = False
    needs_marks = False
    largest_group = 512
    beat = None

    def __init__(self, path: Path) -> None:
        self._path = path
        self.place = str(path)
        self._writers = _engine(path, read_only=False)
        self._readers = _engine(path, read_only=True)

    def open(self) -> SqliteLink:
        """See `Backend.open`: makes the file, for its owner alone. Raises FolderUnusable or DatabaseTooNew."""
        try:
            self._path.touch(mode=0o600)
            self._path.chmod(0o600)
            with self._writers.begin() as connection:
                migrate(connection, self.place)
            return SqliteLink(self._writers)
        except NotOurs as error:
            raise FolderUnusable(f"{self.place}: {error}; restore it, or move it away") from error
        except (SQLAlchemyError, OSError) as error:
            reason = getattr(error, "orig", None) or error
            raise FolderUnusable(
                f"{self.place}: the database cannot be opened ({reason}); restore it, or move it away"
            ) from error

    def link(self) -> SqliteLink:
        return SqliteLink(self._writers)

    def reader(self) -> AbstractContextManager[Connection]:
        return self._readers.connect()

    def meaning(self, error: BaseException) -> Meaning:
        """Nobody else writes, and a file does not go away: whatever fails, fails."""
        return "refused"

    def reason(self, error: BaseException) -> str | None:
        if not isinstance(error, SQLAlchemyError | sqlite3.Error):
            return None
        return str(error.orig if isinstance(error, DBAPIError) and error.orig else error)

    def is_malformed(self, error: BaseException) -> bool:
        """It takes any text; what Python cannot encode does not come so far."""
        return False

    def close(self) -> None:
        self._readers.dispose()
        self._writers.dispose()


def _engine(path: Path, *, read_only: bool) -> Engine:
    engine = create_engine(f"sqlite:///{path}", connect_args={"check_same_thread": False, "timeout": 30})

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        # the driver's own transaction handling is off: we say BEGIN ourselves
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        if read_only:
            connection.execute("PRAGMA query_only = ON")
            # half a megabyte of pages for each reader: the kernel keeps the rest at hand
            connection.execute("PRAGMA cache_size = -512")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        raw: Any = connection.connection.dbapi_connection
        if not raw.in_transaction:
            connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine
