"""What a transaction writes once for all of its units, and how a unit that fails is undone without a mark."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from core.errors import InvalidArgument
from core.store import counters, driver, pending
from core.store.database import Database
from core.store.sqlite import Sqlite
from tests.storage.storage import Storage

_INSERT = "INSERT INTO facts (name, value) VALUES (?, '')"


@pytest.fixture
async def database(storage: Storage) -> AsyncIterator[Database]:
    opened = storage.open()
    yield opened
    await opened.aclose()


@pytest.fixture
async def alone(tmp_path: Path) -> AsyncIterator[Database]:
    """A database that no other process writes to."""
    opened = Database(Sqlite(tmp_path / "maitred.db"))
    yield opened
    await opened.aclose()


def names(connection: Connection) -> list[str]:
    return [name for (name,) in driver.rows(connection, "SELECT name FROM facts ORDER BY name", ())]


def number(name: str) -> Callable[[Connection], int]:
    def query(connection: Connection) -> int:
        return int(driver.rows(connection, "SELECT value FROM counters WHERE name = ?", (name,))[0][0])

    return query


async def together(database: Database, *units: Callable[[Connection], Any]) -> list[Any]:
    """What units of one transaction answer, or which errors they end with."""
    ended = await asyncio.gather(*(database.submit(unit) for unit in units), return_exceptions=True)
    return [type(each) if isinstance(each, BaseException) else each for each in ended]


async def test_a_number_counts_only_the_units_that_are_kept(database: Database) -> None:
    def add(connection: Connection) -> int:
        return counters.add(connection, "people", 1)

    def adds_and_fails(connection: Connection) -> None:
        add(connection)
        raise InvalidArgument("no")

    assert await together(database, add, adds_and_fails, add, add) == [1, InvalidArgument, 2, 3]
    assert await database.read(number("people")) == 3
    assert await together(database, adds_and_fails) == [InvalidArgument]
    assert await database.write(add) == 4


async def test_numbers_that_were_cleared_begin_anew_in_the_same_transaction(database: Database) -> None:
    def clear(connection: Connection) -> None:
        counters.clear(connection, "seats/")

    def add(name: str) -> Callable[[Connection], int]:
        return lambda connection: counters.add(connection, name, 5)

    units = (add("seats/a"), add("other"), clear, add("seats/a"), add("other"))
    assert await together(database, *units) == [5, 5, None, 5, 10]
    assert await database.read(number("seats/a")) == 5
    await database.write(clear)
    assert await database.read(number("seats/a")) == 0
    assert await database.read(number("other")) == 10


async def test_a_group_reads_and_writes_a_number_once(alone: Database) -> None:
    statements: list[str] = []

    def watched(connection: Connection) -> int:
        raw: Any = connection.connection.dbapi_connection
        raw.set_trace_callback(statements.append)
        return counters.add(connection, "people", 1)

    assert await together(alone, *[watched] * 20) == list(range(1, 21))
    said = [each.split()[0] for each in statements]
    assert said == ["SELECT", "INSERT", "COMMIT"]


async def test_what_a_failed_unit_deferred_does_not_run(database: Database) -> None:
    def put(name: str, *, fails: bool = False) -> Callable[[Connection], None]:
        def unit(connection: Connection) -> None:
            pending.defer(connection, _INSERT, (name,))
            if fails:
                raise InvalidArgument("no")

        return unit

    ended = await together(database, put("a"), put("b", fails=True), put("c"))
    assert ended == [None, InvalidArgument, None]
    assert await database.read(names) == ["a", "c"]


class Counted:
    """Units that tell how often they ran."""

    def __init__(self) -> None:
        self.runs: list[str] = []

    def unit(self, name: str, *, writes: bool = True, fails: bool = False) -> Callable[[Connection], str]:
        def run(connection: Connection) -> str:
            self.runs.append(name)
            if writes:
                driver.changed(connection, _INSERT, (name,))
            if fails:
                raise InvalidArgument("no")
            return name

        return run


async def test_a_unit_that_fails_before_it_wrote_makes_nobody_run_again(alone: Database) -> None:
    counted = Counted()
    refused = counted.unit("refused", writes=False, fails=True)
    assert await together(alone, counted.unit("a"), refused, counted.unit("b")) == ["a", InvalidArgument, "b"]
    assert counted.runs == ["a", "refused", "b"]


async def test_after_a_unit_that_wrote_and_failed_the_group_runs_once_more(alone: Database) -> None:
    counted = Counted()
    units = [
        counted.unit("a"),
        counted.unit("half", fails=True),
        counted.unit("b"),
        counted.unit("other half", fails=True),
    ]
    assert await together(alone, *units) == ["a", InvalidArgument, "b", InvalidArgument]
    assert counted.runs == ["a", "half", "a", "half", "b", "other half"], "with marks the second time"
    assert await alone.read(names) == ["a", "b"]


async def test_the_next_group_does_without_marks_again(alone: Database) -> None:
    statements: list[str] = []

    def watch(connection: Connection) -> None:
        raw: Any = connection.connection.dbapi_connection
        raw.set_trace_callback(statements.append)

    counted = Counted()
    await together(alone, watch, counted.unit("half", fails=True), counted.unit("a"))
    assert any(each.startswith("SAVEPOINT") for each in statements)
    statements.clear()
    await together(alone, counted.unit("b"), counted.unit("c"))
    assert not any("SAVEPOINT" in each or "RELEASE" in each for each in statements)
