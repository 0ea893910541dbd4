"""A disk that is full, broken or read-only: what is told, what is kept, and that it goes on by itself afterwards."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from psycopg import errors
from sqlalchemy import Connection

from core.clock import SystemClock
from core.errors import FolderUnusable, StorageFailed
from core.store import driver
from core.store.database import Database
from core.store.history import History
from core.store.lock import FolderLock
from core.store.sqlite import Sqlite, SqliteLink
from core.store.words import index_text
from tests.storage.storage import Storage

WRITERS = 16
TEXT = "a text with room for very many words of the house " * 20


def pragma(statement: str) -> Callable[[Connection], Any]:
    """A unit that says a PRAGMA on the writer's connection."""

    def unit(connection: Connection) -> Any:
        told = driver.rows(connection, f"PRAGMA {statement}", ())
        return told[0][0] if told else None

    return unit


async def leave_room(database: Database, pages: int) -> None:
    """The disk is full from so many pages on."""
    there = await database.write(pragma("page_count"))
    await database.write(pragma(f"max_page_count = {there + pages}"))


async def make_room(database: Database) -> None:
    await database.write(pragma("max_page_count = 1000000"))


async def until_well(database: Database) -> None:
    """Wait until the database has nothing to complain of; nobody writes meanwhile."""
    async with asyncio.timeout(10):
        while database.trouble is not None:
            await asyncio.sleep(0.02)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = Database(Sqlite(tmp_path / "maitred.db"))
    yield opened
    await opened.aclose()


class Writers:
    """Writers of histories, and what they were told."""

    def __init__(self, database: Database) -> None:
        self._history = History(database, SystemClock(), "life")
        self.acknowledged: list[tuple[str, int]] = []
        self.refused: list[str] = []

    async def write(self, times: int) -> None:
        await asyncio.gather(*(self._write(f"session{number}", times) for number in range(WRITERS)))

    async def _write(self, session: str, times: int) -> None:
        for _ in range(times):
            try:
                self.acknowledged.append((session, await self._history.append(session, "user", TEXT)))
            except StorageFailed as error:
                self.refused.append(error.message)


def stored(connection: Connection) -> tuple[list[tuple[str, int]], list[tuple[int, str]], list[int]]:
    """The messages, the entries of the index, and the ids that these should have."""
    return (
        [(key, seq) for key, seq in driver.rows(connection, "SELECT session_key, seq FROM messages", ())],
        [
            (row, words)
            for row, words in driver.rows(connection, "SELECT rowid, words FROM message_words", ())
        ],
        [row for (row,) in driver.rows(connection, "SELECT id FROM messages", ())],
    )


async def check(database: Database, writers: Writers) -> None:
    """What was acknowledged is there, and nothing else; the index has the same."""
    rows, indexed, ids = await database.read(stored)
    assert sorted(rows) == sorted(writers.acknowledged)
    assert dict(indexed) == dict.fromkeys(ids, index_text(TEXT))
    assert await database.read(pragma("integrity_check")) == "ok"


async def test_a_full_disk_refuses_loses_nothing_and_is_left_by_itself(database: Database) -> None:
    writers = Writers(database)
    await writers.write(2)
    await leave_room(database, 20)
    await writers.write(20)
    assert writers.refused
    assert {message.partition(": ")[2] for message in writers.refused} == {
        "database or disk is full; make room on the disk; nothing was written"
    }
    assert database.trouble is not None
    assert "make room on the disk" in database.trouble
    await check(database, writers)
    await make_room(database)
    writers.refused.clear()
    await writers.write(5)
    assert writers.refused == []
    await until_well(database)
    await check(database, writers)


async def test_trouble_stays_while_the_disk_is_full(database: Database) -> None:
    writers = Writers(database)
    await leave_room(database, 0)
    await writers.write(3)
    assert database.trouble is not None
    # a read, and a unit that writes nothing, say nothing of the disk
    assert await database.write(pragma("page_count")) > 0
    await asyncio.sleep(1.3)
    assert database.trouble is not None, "it was tried meanwhile"
    await make_room(database)
    await until_well(database)
    assert await database.read(lambda c: driver.rows(c, "SELECT name FROM facts", ())) == []


async def test_trouble_is_over_under_load_too(database: Database) -> None:
    writers = Writers(database)
    await leave_room(database, 0)
    await writers.write(3)
    await make_room(database)
    async with asyncio.timeout(10):
        while database.trouble is not None:
            await writers.write(1)
    await check(database, writers)


async def test_what_has_no_room_does_not_take_along_what_has(database: Database) -> None:
    def put(name: str, size: int) -> Callable[[Connection], str]:
        def unit(connection: Connection) -> str:
            driver.changed(connection, "INSERT INTO facts (name, value) VALUES (?, ?)", (name, "x" * size))
            return name

        return unit

    await leave_room(database, 3)
    results = await asyncio.gather(
        *(database.submit(put(name, size)) for name, size in (("a", 10), ("large", 1_000_000), ("b", 10))),
        return_exceptions=True,
    )
    assert [results[0], type(results[1]), results[2]] == ["a", StorageFailed, "b"]
    assert "make room on the disk" in str(results[1])
    names = await database.read(lambda c: driver.rows(c, "SELECT name FROM facts ORDER BY name", ()))
    assert names == [("a",), ("b",)]


async def test_a_file_that_may_not_be_written_is_told_and_left_by_itself(database: Database) -> None:
    writers = Writers(database)
    await writers.write(1)
    link = database._committer._link
    assert isinstance(link, SqliteLink)
    link._raw.execute("PRAGMA query_only = ON")
    await writers.write(1)
    assert len(writers.refused) == WRITERS
    assert all("make the file and its folder writable" in message for message in writers.refused)
    assert database.trouble is not None
    link._raw.execute("PRAGMA query_only = OFF")
    await until_well(database)
    await writers.write(1)
    assert len(writers.refused) == WRITERS
    await check(database, writers)


def test_a_start_on_a_full_disk_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        with pytest.raises(FolderUnusable, match=r"maitred\.lock.*make room on the disk"):
            FolderLock(tmp_path)
    FolderLock(tmp_path).release()
    for error, remedy in (
        (errno.ENOSPC, "make room on the disk"),
        (errno.EROFS, "make the file and its folder writable"),
        (errno.EISDIR, "move it away"),
    ):

        def fail(*_: Any, number: int = error, **__: Any) -> None:
            raise OSError(number, os.strerror(number))

        with monkeypatch.context() as patched:
            patched.setattr(Path, "touch", fail)
            with pytest.raises(FolderUnusable, match=remedy):
                Database(Sqlite(tmp_path / "maitred.db"))


def failing(error: Exception) -> Callable[[Connection], None]:
    def unit(connection: Connection) -> None:
        raise error

    return unit


async def test_a_server_whose_disk_is_full_is_in_trouble_until_it_takes_something(postgres: Storage) -> None:
    database = postgres.open()
    with pytest.raises(StorageFailed, match="nothing was written"):
        await database.write(failing(errors.DiskFull("could not extend file")))
    assert database.trouble is not None
    await until_well(database)
    assert await database.write(lambda c: driver.rows(c, "SELECT 1", ())) == [(1,)]
    await database.aclose()
