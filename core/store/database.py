"""The database: one writer thread with group commit, and a few reader threads.

A *unit* is a function of a connection. `write` answers when the unit is on the disk. While the writer waits for the
disk the next units gather, and the next transaction takes all of them; each has a SAVEPOINT of its own, so that a
failing one never takes its neighbours along. Units run in the order in which they were submitted.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, SQLAlchemyError

from core.errors import FolderUnusable, MaitredError, StorageFailed
from core.store import driver
from core.store.migrations import migrate

T = TypeVar("T")
Unit = Callable[[Connection], T]

_GROUP = 512
_READERS = 4


class _Write(msgspec.Struct):
    unit: Unit[Any]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    result: Any = None
    error: BaseException | None = None


class Database:
    """A SQLite file with its threads. Open it before the loop's work begins, close it after."""

    def __init__(self, path: Path) -> None:
        """Open (or make) the database and bring its schema up to date.

        Raises StartRefused of some kind when the file cannot be used.
        """
        self._path = path
        try:
            path.touch(mode=0o600)
            path.chmod(0o600)
            self._writer_engine = _engine(path, read_only=False)
            self._connection = self._writer_engine.connect()
            with self._connection.begin():
                migrate(self._connection, str(path))
        except (SQLAlchemyError, OSError) as error:
            reason = getattr(error, "orig", None) or error
            raise FolderUnusable(
                f"{path}: the database cannot be opened ({reason}); restore it, or move it away"
            ) from error
        self._reader_engine = _engine(path, read_only=True)
        self._readers = ThreadPoolExecutor(_READERS, "maitred-reader")
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._closed = False
        self._writer = threading.Thread(target=self._work, name="maitred-writer", daemon=True)
        self._writer.start()

    def submit(self, unit: Unit[T]) -> asyncio.Future[T]:
        """Queue a unit of work; the future is done when it is durable, or failed with nothing of it kept."""
        if self._closed:
            raise StorageFailed("the database is closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._queue.put(_Write(unit, future, loop))
        return future

    async def write(self, unit: Unit[T]) -> T:
        """Run a unit of work and wait until it is durable; raises what the unit raised, or StorageFailed.

        Cancelling the wait does not take the unit back.
        """
        return await self.submit(unit)

    async def read(self, query: Unit[T]) -> T:
        """Run a query on a reader thread; it sees everything acknowledged so far."""
        if self._closed:
            raise StorageFailed("the database is closed")
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, query)

    async def aclose(self) -> None:
        """Finish what was submitted, then close; closing twice does nothing."""
        if self._closed:
            return
        self._closed = True
        self._queue.put(None)
        await asyncio.get_running_loop().run_in_executor(None, self._writer.join)
        self._readers.shutdown()
        self._reader_engine.dispose()
        self._connection.close()
        self._writer_engine.dispose()

    def _read(self, query: Unit[T]) -> T:
        try:
            with self._reader_engine.connect() as connection:
                return query(connection)
        except DatabaseError as error:
            raise StorageFailed(f"{self._path}: {error.orig}") from error

    def _work(self) -> None:
        leaving = False
        while not leaving:
            group = [self._queue.get()]
            while len(group) < _GROUP:
                try:
                    group.append(self._queue.get_nowait())
                except queue.Empty:
                    break
            leaving = group[-1] is None
            writes = [write for write in group if write is not None]
            if writes:
                self._commit(writes)
                _deliver(writes)

    def _commit(self, writes: list[_Write]) -> None:
        """One transaction for the whole group; if it cannot be committed, every unit of it has failed."""
        # BEGIN and COMMIT are the driver's: a unit that uses SQLAlchemy finds the transaction begun, see `_begin`
        raw: Any = self._connection.connection.dbapi_connection
        try:
            raw.execute("BEGIN IMMEDIATE")
            for write in writes:
                self._run(raw, write)
            driver.run_deferred(self._connection)
            raw.execute("COMMIT")
        except Exception as error:  # whatever it is, the writer goes on: everybody else's writes depend on it
            driver.deferred(self._connection).clear()
            if raw.in_transaction:
                raw.execute("ROLLBACK")
            reason = getattr(error, "orig", None) or error
            for write in writes:
                write.error = write.error or StorageFailed(f"{self._path}: {reason}; nothing was written")

    def _run(self, raw: Any, write: _Write) -> None:
        deferred = driver.deferred(self._connection)
        mark = len(deferred)
        raw.execute("SAVEPOINT unit")
        try:
            write.result = write.unit(self._connection)
        except Exception as error:
            write.error = self._failure(error)
            raw.execute("ROLLBACK TO unit")
            del deferred[mark:]
        raw.execute("RELEASE unit")

    def _failure(self, error: Exception) -> Exception:
        if isinstance(error, MaitredError) or not isinstance(error, SQLAlchemyError | sqlite3.Error):
            return error
        failure = StorageFailed(f"{self._path}: {getattr(error, 'orig', None) or error}; nothing was written")
        failure.__cause__ = error
        return failure


def _deliver(writes: list[_Write]) -> None:
    """Hand the results to their loops, one wake-up for each loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Write]] = {}
    for write in writes:
        by_loop.setdefault(write.loop, []).append(write)
    for loop, theirs in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle, theirs)
        except RuntimeError:  # the loop is closed: nobody waits any more, and what was written is written
            continue


def _settle(writes: list[_Write]) -> None:
    for write in writes:
        if write.future.done():
            continue
        if write.error is not None:
            write.future.set_exception(write.error)
        else:
            write.future.set_result(write.result)


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

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        raw: Any = connection.connection.dbapi_connection
        if not raw.in_transaction:
            connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine
