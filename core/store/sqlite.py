"""SQLite: a file in the data folder, with one process on it."""

from __future__ import annotations

import errno
import sqlite3
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from core.errors import FolderUnusable
from core.store.backend import Meaning
from core.store.migrations import NotOurs, migrate

_ADVICE = {
    sqlite3.SQLITE_FULL: "make room on the disk",
    sqlite3.SQLITE_IOERR: "see whether the disk is full or broken",
    sqlite3.SQLITE_READONLY: "make the file and its folder writable",
    sqlite3.SQLITE_CANTOPEN: "make the folder readable and writable",
}
_SAME_OF_SYSTEM = {
    errno.ENOSPC: sqlite3.SQLITE_FULL,
    errno.EDQUOT: sqlite3.SQLITE_FULL,
    errno.EIO: sqlite3.SQLITE_IOERR,
    errno.EROFS: sqlite3.SQLITE_READONLY,
}


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
            ours = self._path.is_file() or not self._path.exists()
            remedy = (_advice(error) if ours else None) or "restore it, or move it away"
            reason = getattr(error, "orig", None) or error
            raise FolderUnusable(
                f"{self.place}: the database cannot be opened ({reason}); {remedy}"
            ) from error

    def link(self) -> SqliteLink:
        return SqliteLink(self._writers)

    def reader(self) -> AbstractContextManager[Connection]:
        return self._readers.connect()

    def meaning(self, error: BaseException) -> Meaning:
        """Nobody else writes, and a file does not go away: whatever fails, fails; but a disk may be full."""
        return "stuck" if isinstance(_of_driver(error), sqlite3.Error) and _advice(error) else "refused"

    def reason(self, error: BaseException) -> str | None:
        if not isinstance(error, SQLAlchemyError | sqlite3.Error):
            return None
        said = str(_of_driver(error))
        advice = _advice(error)
        return f"{said}; {advice}" if advice else said

    def is_malformed(self, error: BaseException) -> bool:
        """It takes any text; what Python cannot encode does not come so far."""
        return False

    def close(self) -> None:
        self._readers.dispose()
        self._writers.dispose()


def _of_driver(error: BaseException) -> BaseException:
    """The driver's own exception, out of what SQLAlchemy made of it."""
    return error.orig if isinstance(error, DBAPIError) and error.orig else error


def _advice(error: BaseException) -> str | None:
    """What to do where it is the disk that says no; None where it is not."""
    found = _of_driver(error)
    if isinstance(found, OSError):
        return _ADVICE.get(_SAME_OF_SYSTEM.get(found.errno or 0, 0))
    # the lowest byte is the kind, the others say more
    return _ADVICE.get(getattr(found, "sqlite_errorcode", 0) & 0xFF)


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
