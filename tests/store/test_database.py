"""Group commit, units that fail alone, versions, and the lock on the folder."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, insert, select, text

from core.errors import DatabaseTooNew, FolderInUse, FolderUnusable, InvalidArgument, StorageFailed
from core.store import driver
from core.store.database import Database
from core.store.lock import FolderLock, url_of_holder
from core.store.sqlite import Sqlite
from core.store.tables import facts
from tests.storage.storage import Storage


@pytest.fixture
async def database(storage: Storage) -> AsyncIterator[Database]:
    opened = storage.open()
    yield opened
    await opened.aclose()


def note(name: str) -> Callable[[Connection], str]:
    def unit(connection: Connection) -> str:
        place = connection.execute(select(func.count()).select_from(facts)).scalar_one()
        connection.execute(insert(facts).values(name=name, value=f"{place:06}"))
        return name

    return unit


def names(connection: Connection) -> list[str]:
    return list(connection.execute(select(facts.c.name).order_by(facts.c.value)).scalars())


async def test_a_unit_answers_when_it_is_written(database: Database) -> None:
    assert await database.write(note("a")) == "a"
    assert await database.read(names) == ["a"]


async def test_units_run_in_the_order_of_submission(database: Database) -> None:
    futures = [database.submit(note(f"n{place}")) for place in range(300)]
    await asyncio.gather(*futures)
    assert await database.read(names) == [f"n{place}" for place in range(300)]


async def test_a_failing_unit_takes_nobody_along(database: Database) -> None:
    def fails(connection: Connection) -> None:
        note("half")(connection)
        raise InvalidArgument("no")

    before, failing, after = database.submit(note("a")), database.submit(fails), database.submit(note("b"))
    assert (await before, await after) == ("a", "b")
    with pytest.raises(InvalidArgument):
        await failing
    assert await database.read(names) == ["a", "b"]


async def test_what_the_database_refuses_is_a_storage_failure(database: Database) -> None:
    await database.write(note("a"))
    with pytest.raises(StorageFailed, match=r"(?i)unique"):
        await database.write(note("a"))


async def test_a_transaction_that_breaks_fails_every_unit_of_it(database: Database) -> None:
    def breaks(connection: Connection) -> None:
        # SQLite gives up the whole transaction by itself on a full disk; this is how that looks
        driver.changed(connection, "ROLLBACK", ())

    first, second, third = database.submit(note("a")), database.submit(breaks), database.submit(note("b"))
    results = await asyncio.gather(first, second, third, return_exceptions=True)
    assert [type(result) for result in results] == [StorageFailed] * 3
    assert await database.read(names) == []
    assert await database.write(note("c")) == "c", "the writer goes on"


async def test_a_cancelled_wait_does_not_take_the_unit_back(database: Database) -> None:
    waiting = asyncio.create_task(database.write(note("a")))
    await asyncio.sleep(0)
    waiting.cancel()
    await database.write(note("b"))
    assert await database.read(names) == ["a", "b"]


async def test_closing_finishes_what_was_submitted(storage: Storage) -> None:
    database = storage.open()
    futures = [database.submit(note(f"n{place}")) for place in range(50)]
    await database.aclose()
    await database.aclose()
    assert all(future.done() for future in futures)
    with pytest.raises(StorageFailed):
        _ = database.submit(note("x"))
    again = storage.open()
    assert await again.read(names) == [f"n{place}" for place in range(50)]
    await again.aclose()


@pytest.mark.parametrize("storage", ["sqlite"], indirect=True)
async def test_the_files_are_private_and_every_commit_reaches_the_disk(
    database: Database, tmp_path: Path
) -> None:
    await database.write(note("a"))
    for file in tmp_path.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file.name

    def pragmas(connection: Connection) -> tuple[str, int]:
        mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
        return mode, connection.exec_driver_sql("PRAGMA synchronous").scalar_one()

    assert await database.write(pragmas) == ("wal", 2)


async def test_readers_cannot_write(database: Database) -> None:
    with pytest.raises(StorageFailed, match=r"read-?only"):
        await database.read(note("a"))


async def test_a_database_of_a_newer_version_is_refused(storage: Storage) -> None:
    database = storage.open()
    await database.write(
        lambda connection: connection.execute(text("UPDATE schema_version SET version = 99"))
    )
    await database.aclose()
    with pytest.raises(DatabaseTooNew, match=r"schema 99"):
        storage.open()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "maitred.db").write_bytes(b"this is no database at all, whatever its name says" * 100)
    with pytest.raises(FolderUnusable, match="cannot be opened"):
        Database(Sqlite(tmp_path / "maitred.db"))


def test_a_second_process_on_a_folder_is_told_whom_to_attach_to(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    lock.tell("http://127.0.0.1:9999")
    assert url_of_holder(tmp_path) == "http://127.0.0.1:9999"
    with pytest.raises(FolderInUse, match=r"attach http://127\.0\.0\.1:9999"):
        FolderLock(tmp_path)
    lock.release()
    lock.release()
    FolderLock(tmp_path).release()
