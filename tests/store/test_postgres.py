"""What is PostgreSQL's alone: the way in, what is refused there, and several at once."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import msgspec
import psycopg
import pytest
from sqlalchemy import Connection, select, text

from core.errors import DatabaseUnusable, InvalidArgument, StorageFailed
from core.store import audit_records, driver, pin_records
from core.store.database import Database
from core.store.facts import house_id
from core.store.opening import backend_of
from core.store.pin import Pin
from core.store.postgres import Postgres
from core.store.tables import facts
from tests.storage.schemas import Schemas
from tests.storage.storage import Storage


@pytest.fixture
def bare(_schemas: Schemas) -> str:
    """A URL whose schema is empty."""
    return _schemas.take_bare()


@pytest.fixture
def own_server() -> None:
    """Only where the server is ours, and lets everybody in but one."""
    if "MAITRED_TEST_POSTGRES" in os.environ:
        pytest.skip("the server is not ours: who comes in is not for the tests to say")


def statement(url: str, *statements: str) -> None:
    """Do what another program, or a person, would."""
    with psycopg.connect(url, autocommit=True) as connection:
        for each in statements:
            connection.execute(each)


def refused(url: str, *said: str) -> str:
    with pytest.raises(DatabaseUnusable) as caught:
        Database(Postgres(url))
    for part in said:
        assert part in caught.value.message
    assert "\n" not in caught.value.message
    return caught.value.message


# --------------------------------------------------------------------------------------------- the way in


def test_there_is_no_server() -> None:
    refused("postgresql://u:hidden@127.0.0.1:1/house", "u@127.0.0.1:1/house", "start the server")


def test_there_is_no_such_database_or_user(own_server: None, postgres_url: str) -> None:
    place = postgres_url.replace("/postgres?", "/nowhere?")
    refused(place, '"nowhere" does not exist', "create them")
    stranger = postgres_url.replace("//maitred@", "//stranger:hidden@")
    assert "hidden" not in refused(stranger, '"stranger"', "storage.url")


def test_a_schema_without_permission(own_server: None, postgres_url: str, bare: str) -> None:
    statement(postgres_url, "DROP ROLE IF EXISTS guest", "CREATE ROLE guest LOGIN")
    refused(bare.replace("//maitred@", "//guest@"), "storage.url")


def test_a_search_path_that_leads_nowhere(postgres_url: str) -> None:
    joint = "&" if "?" in postgres_url else "?"
    refused(f"{postgres_url}{joint}options=-csearch_path%3Dnowhere", "no schema in its search path")


def test_another_programs_tables_are_left_alone(bare: str) -> None:
    statement(bare, "CREATE TABLE sessions (id text)")
    refused(bare, "another program's table sessions", "empty database or schema")
    statement(bare, "CREATE TABLE schema_version (installed_rank int, version text)")
    refused(bare, "schema_version is another program's")
    with psycopg.connect(bare) as connection:
        found = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
        ).fetchall()
    assert sorted(found) == [("schema_version",), ("sessions",)]


def test_a_password(own_server: None, postgres_url: str) -> None:
    statement(postgres_url, "DROP ROLE IF EXISTS locked", "CREATE ROLE locked LOGIN PASSWORD 'hidden-right'")
    wrong = postgres_url.replace("//maitred@", "//locked:hidden-wrong@")
    assert "hidden" not in refused(wrong, "locked", "password", "storage.url")
    backend = Postgres(postgres_url.replace("//maitred@", "//locked:hidden-right@"))
    assert "hidden" not in backend.place
    backend.link().close()
    backend.close()


async def test_several_start_at_once_and_are_one_house(bare: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        databases = list(threads.map(lambda _: Database(backend_of(bare, None)), range(4)))  # type: ignore[arg-type]
    ids = await asyncio.gather(
        *(
            database.write(partial(house_id, new_id=partial(str, number)))
            for number, database in enumerate(databases)
        )
    )
    assert len(set(ids)) == 1
    for database in databases:
        await database.aclose()


# ----------------------------------------------------------------------------------------- what it refuses


async def test_a_query_sees_one_moment(postgres: Storage) -> None:
    database = postgres.open()

    def twice(connection: Connection) -> tuple[int, int]:
        first = len(connection.execute(select(facts)).all())
        statement(postgres.url, "INSERT INTO facts VALUES ('late', '')")
        return first, len(connection.execute(select(facts)).all())

    assert await database.read(twice) == (0, 0)
    assert len(await database.read(lambda connection: connection.execute(select(facts)).all())) == 1
    await database.aclose()


@pytest.mark.parametrize("change", ["TRUNCATE audit", "DELETE FROM audit", "UPDATE audit SET actor = 'x'"])
async def test_the_audit_is_append_only(postgres: Storage, change: str) -> None:
    database = postgres.open()
    entry = audit_records.NewEntry(at=1, action="act", target="t", of_session=False)
    await database.write(lambda connection: audit_records.record(connection, entry))
    with pytest.raises(StorageFailed, match="append-only"):
        await database.write(lambda connection: connection.execute(text(change)) and None)
    await database.aclose()


async def test_a_transaction_that_a_unit_left_broken_is_not_acknowledged(postgres: Storage) -> None:
    database = postgres.open()

    def swallows(connection: Connection) -> None:
        driver.changed(connection, "INSERT INTO facts VALUES (?, ?)", ("swallowed", ""))
        with pytest.raises(psycopg.Error):
            driver.rows(connection, "SELECT 1 / 0", ())

    with pytest.raises(StorageFailed, match="nothing was written"):
        await database.write(swallows)
    others = [database.submit(lambda connection: 1) for _ in range(3)]
    broken = database.submit(swallows)
    with pytest.raises(StorageFailed, match="nothing was written"):
        await broken
    await asyncio.gather(*others)
    assert await database.read(lambda connection: connection.execute(select(facts)).all()) == []
    await database.aclose()


def test_placeholders_are_translated_once() -> None:
    assert driver._with_percents("a LIKE '%' AND b = ?") == "a LIKE '%%' AND b = %s"
    assert driver._with_percents("SELECT ?") is driver._with_percents("SELECT ?")


async def test_a_text_that_no_database_keeps_is_the_callers_fault(postgres: Storage) -> None:
    database = postgres.open()
    wanted = select(facts).where(facts.c.name == "a\0b")
    with pytest.raises(InvalidArgument, match="U\\+0000"):
        await database.read(lambda connection: connection.execute(wanted).all())
    with pytest.raises(InvalidArgument, match="U\\+0000"):
        await database.write(lambda connection: driver.rows(connection, "SELECT 1 WHERE 'a' = ?", ("\0",)))
    await database.aclose()


async def test_a_pin_that_is_being_changed_is_waited_for(postgres: Storage) -> None:
    """Two processes that count the same request of a session both count."""
    first, second = postgres.open(), postgres.open()
    pin = Pin(session_key="k", model="m", tier="SIMPLE", run=1, created_at=0, last_used_at=0)
    await first.write(lambda connection: pin_records.write(connection, pin))
    seen, free = threading.Event(), threading.Event()

    def strike(connection: Connection) -> None:
        stored = pin_records.read(connection, "k")
        assert stored is not None
        seen.set()
        assert free.wait(20)
        pin_records.write(connection, msgspec.structs.replace(stored, run=stored.run + 1))

    one = first.submit(strike)
    assert await asyncio.to_thread(seen.wait, 20)
    seen.clear()
    two = second.submit(strike)
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    async with asyncio.timeout(20):
        while not await first.read(lambda connection: connection.execute(waiting).scalar_one()):
            assert not seen.is_set(), "it has read what is about to change"
            await asyncio.sleep(0.01)
    free.set()
    await asyncio.gather(one, two)
    found = await first.write(lambda connection: pin_records.read(connection, "k"))
    assert found is not None
    assert found.run == 3
    await first.aclose()
    await second.aclose()
