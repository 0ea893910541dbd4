"""What a writer does when its server, its connection or somebody else is in the way."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, select, text

from core.errors import InvalidArgument, StorageFailed
from core.store import driver, pending
from core.store.database import Database
from core.store.postgres import Postgres, PostgresLink
from core.store.tables import facts
from tests.storage.server import PostgresServer
from tests.storage.storage import Storage


def note(name: str) -> Callable[[Connection], str]:
    def unit(connection: Connection) -> str:
        driver.changed(connection, "INSERT INTO facts (name, value) VALUES (?, '')", (name,))
        return name

    return unit


def count(name: str, by: int = 1) -> Callable[[Connection], int]:
    def unit(connection: Connection) -> int:
        bump = (
            "INSERT INTO counters (name, value) VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET value = counters.value + excluded.value RETURNING value"
        )
        return int(driver.rows(connection, bump, (name, by))[0][0])

    return unit


def names(connection: Connection) -> set[str]:
    return set(connection.execute(select(facts.c.name)).scalars())


def pid_of(connection: Connection) -> int:
    return int(driver.rows(connection, "SELECT pg_backend_pid()", ())[0][0])


def in_trouble(database: Database) -> bool:
    return database.trouble is not None


def terminate(url: str, pid: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(%s)", (pid,))


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    server = PostgresServer()
    yield server
    server.close()


async def test_what_was_acknowledged_outlives_a_killed_server(server: PostgresServer) -> None:
    """Killed in the middle of the load and started again: nothing acknowledged is lost, nothing is there twice."""
    database = Database(Postgres(server.url()))
    acknowledged: set[str] = set()
    unknown: set[str] = set()
    refused: set[str] = set()
    numbers = itertools.count()
    over = False

    async def write() -> None:
        while not over:
            name = f"n{next(numbers)}"
            try:
                acknowledged.add(await database.write(note(name)))
            except StorageFailed as error:
                (unknown if "not known" in error.message else refused).add(name)
                await asyncio.sleep(0)

    writers = [asyncio.create_task(write()) for _ in range(16)]
    for target in (200, 400):
        async with asyncio.timeout(60):
            while len(acknowledged) < target:
                await asyncio.sleep(0.005)
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
    async with asyncio.timeout(60):
        while len(acknowledged) < 600:
            await asyncio.sleep(0.005)
    over = True
    await asyncio.gather(*writers)
    stored = await database.read(names)
    assert database.trouble is None
    await database.aclose()
    assert acknowledged <= stored
    assert stored <= acknowledged | unknown
    assert not stored & refused, "what was said not to be written is not"


async def test_a_writer_whose_connection_is_cut_goes_on(postgres: Storage) -> None:
    database = postgres.open()
    await database.write(note("before"))
    terminate(postgres.url, await database.write(pid_of))
    assert await database.write(note("after")) == "after", "nothing was written yet, so it runs again"
    assert await database.read(names) == {"before", "after"}
    await database.aclose()


async def test_a_cut_in_the_middle_of_a_group_runs_it_again(postgres: Storage) -> None:
    database = postgres.open()
    pids: list[int] = []

    def cut(connection: Connection) -> str:
        pids.append(pid_of(connection))
        if len(pids) == 1:
            terminate(postgres.url, pids[0])
        return note("cut")(connection)

    futures = [
        database.submit(note("a")),
        database.submit(note("b")),
        database.submit(cut),
        database.submit(note("c")),
    ]
    assert list(await asyncio.gather(*futures)) == ["a", "b", "cut", "c"]
    assert len(set(pids)) == 2
    assert await database.read(names) == {"a", "b", "cut", "c"}
    await database.aclose()


async def test_a_unit_that_always_breaks_the_connection_gives_up_alone(postgres: Storage) -> None:
    database = postgres.open()

    def breaks(connection: Connection) -> None:
        terminate(postgres.url, pid_of(connection))
        note("poison")(connection)

    first, poison, last = database.submit(note("a")), database.submit(breaks), database.submit(note("b"))
    with pytest.raises(StorageFailed, match="nothing was written"):
        await poison
    assert list(await asyncio.gather(first, last)) == ["a", "b"]
    assert await database.read(names) == {"a", "b"}
    await database.aclose()


async def test_a_lost_answer_to_a_commit_is_told_as_unknown(
    postgres: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = postgres.open()
    commit = PostgresLink.commit
    cut = iter([True])

    def lost(link: PostgresLink) -> None:
        commit(link)
        if next(cut, False):
            raise psycopg.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(PostgresLink, "commit", lost)
    with pytest.raises(StorageFailed, match="not known whether this was written") as told:
        await database.write(note("maybe"))
    assert "nothing was written" not in told.value.message
    assert await database.write(note("later")) == "later"
    assert await database.read(names) == {"maybe", "later"}
    await database.aclose()


async def test_readers_come_back_by_themselves(postgres: Storage) -> None:
    database = postgres.open()
    for _ in range(2):
        terminate(postgres.url, await database.read(pid_of))
        assert await database.read(names) == set()
    await database.aclose()


async def test_while_the_server_is_away_it_is_told_at_once(server: PostgresServer) -> None:
    database = Database(Postgres(server.url()))
    await database.write(note("before"))
    server.kill()
    with pytest.raises(StorageFailed, match=r"cannot be reached.*nothing was written"):
        await database.write(note("lost"))
    with pytest.raises(StorageFailed):
        await database.read(names)
    assert in_trouble(database)
    server.start()
    async with asyncio.timeout(20):
        while in_trouble(database):
            await asyncio.sleep(0.02)
    assert await database.write(note("after")) == "after"
    assert await database.read(names) == {"before", "after"}
    await database.aclose()


async def test_a_server_that_dies_in_the_middle_of_a_unit_costs_that_transaction_only(
    server: PostgresServer,
) -> None:
    """Through SQLAlchemy, which lets the broken connection go by itself: nothing may be asked of it any more."""
    database = Database(Postgres(server.url()))

    def dies(connection: Connection) -> None:
        pending.defer(connection, "INSERT INTO facts (name, value) VALUES (?, '')", ("deferred",))
        server.kill()
        connection.execute(text("SELECT 1"))

    futures = [database.submit(unit) for unit in (note("before"), dies, note("behind"))]
    async with asyncio.timeout(40):
        results = await asyncio.gather(*futures, return_exceptions=True)
    assert [type(result) for result in results] == [StorageFailed] * 3
    server.start()
    async with asyncio.timeout(20):
        while in_trouble(database):
            await asyncio.sleep(0.02)
    assert await database.write(note("after")) == "after"
    assert await database.read(names) == {"after"}
    await database.aclose()


async def test_closing_while_the_server_is_away_does_not_hang(server: PostgresServer) -> None:
    database = Database(Postgres(server.url()))
    server.kill()
    written = database.submit(note("lost"))
    async with asyncio.timeout(10):
        await database.aclose()
    with pytest.raises(StorageFailed):
        await written


# ------------------------------------------------------------------------------------------ other writers


async def test_who_waits_for_somebody_else_holds_nobody_up(postgres: Storage) -> None:
    """What was done before is committed, not kept waiting with it."""
    database = postgres.open()
    await database.write(count("wanted"))
    with psycopg.connect(postgres.url) as somebody:
        somebody.execute("UPDATE counters SET value = 10")
        before = database.submit(note("a")), database.submit(note("b"))
        waiting = database.submit(count("wanted"))
        async with asyncio.timeout(8):
            assert list(await asyncio.gather(*before)) == ["a", "b"]
        assert not waiting.done()
        somebody.commit()
    assert await waiting == 11
    await database.aclose()


@pytest.mark.parametrize("alone", [True, False])
async def test_two_writers_that_cross_both_get_through(postgres: Storage, alone: bool) -> None:
    """A ring that only the database can break: each holds one row and wants the other's, in the same unit."""
    first, second = postgres.open(), postgres.open()
    await first.write(lambda connection: [count(name, 0)(connection) for name in "ab"])
    both = threading.Barrier(2)
    met: list[str] = []

    def crossing(mine: str, theirs: str) -> Callable[[Connection], None]:
        def unit(connection: Connection) -> None:
            count(mine)(connection)
            if mine not in met:
                met.append(mine)
                both.wait(10)
            count(theirs)(connection)

        return unit

    neighbours: list[asyncio.Future[str]] = []
    if not alone:
        neighbours = [database.submit(note(name)) for name, database in (("n1", first), ("n2", second))]
    one, two = first.submit(crossing("a", "b")), second.submit(crossing("b", "a"))
    async with asyncio.timeout(30):
        await asyncio.gather(one, two, *neighbours)
    totals = await first.read(
        lambda connection: (
            connection.execute(text("SELECT value FROM counters ORDER BY name")).scalars().all()
        )
    )
    assert list(totals) == [2, 2]
    assert await first.read(names) == (set() if alone else {"n1", "n2"})
    await first.aclose()
    await second.aclose()


async def test_groups_that_cross_lose_and_double_nothing(postgres: Storage) -> None:
    """Whole groups want the same rows in opposite orders, as turns of many sessions on several processes do."""
    first, second = postgres.open(), postgres.open()
    rows = [f"c{number}" for number in range(8)]
    futures: list[asyncio.Future[Any]] = []
    for _ in range(25):
        futures += [first.submit(count(name)) for name in rows]
        futures += [second.submit(count(name)) for name in reversed(rows)]
    async with asyncio.timeout(60):
        await asyncio.gather(*futures)
    found = await first.read(
        lambda connection: connection.execute(text("SELECT name, value FROM counters")).all()
    )
    assert {row.name: row.value for row in found} == dict.fromkeys(rows, 50)
    await first.aclose()
    await second.aclose()


async def test_a_row_that_somebody_else_made_first_is_found_the_second_time(postgres: Storage) -> None:
    database, other = postgres.open(), postgres.open()
    seen: list[set[str]] = []

    def unless_there(connection: Connection) -> str:
        seen.append(names(connection))
        if "row" in seen[-1]:
            return "found"
        if len(seen) == 1:
            # somebody else is quicker
            with psycopg.connect(postgres.url, autocommit=True) as raw:
                raw.execute("INSERT INTO facts VALUES ('row', 'theirs')")
        note("row")(connection)
        return "made"

    futures = [database.submit(note("a")), database.submit(unless_there), database.submit(note("b"))]
    assert list(await asyncio.gather(*futures)) == ["a", "found", "b"]
    with pytest.raises(StorageFailed, match="duplicate key"):
        await database.write(note("row"))
    await database.aclose()
    await other.aclose()


async def test_a_unit_that_fails_leaves_its_neighbours(postgres: Storage) -> None:
    database = postgres.open()

    def fails(connection: Connection) -> None:
        note("half")(connection)
        pending.defer(connection, "INSERT INTO facts (name, value) VALUES (?, '')", ("deferred",))
        raise InvalidArgument("no")

    def wrong(connection: Connection) -> None:
        note("other half")(connection)
        driver.rows(connection, "SELECT 1 / 0", ())

    futures = [database.submit(unit) for unit in (note("a"), fails, note("b"), wrong, note("c"))]
    results = await asyncio.gather(*futures, return_exceptions=True)
    assert [result if isinstance(result, str) else type(result) for result in results] == [
        "a",
        InvalidArgument,
        "b",
        StorageFailed,
        "c",
    ]
    with pytest.raises(StorageFailed, match="division by zero"):
        await database.write(wrong)
    assert await database.read(names) == {"a", "b", "c"}
    await database.aclose()
