"""The notes that processes leave each other: none is missed, whoever commits when; a unit undone leaves none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection

from core.store import change_log, driver, pending
from core.store.change_log import Cursor, Note
from core.store.postgres import Postgres, PostgresLink
from tests.storage.storage import Storage

MOST = 100


@pytest.fixture
def links(postgres: Storage) -> Iterator[list[PostgresLink]]:
    """Three writers' connections, each inside a transaction; the first is the reader's."""
    backend = Postgres(postgres.url)
    opened = [backend.link() for _ in range(3)]
    for link in opened:
        link.begin(marked=False)
    yield opened
    for link in opened:
        link.rollback()
        link.close()
    backend.close()


def write(link: PostgresLink, *keys: str) -> None:
    """Note changes; nothing is committed."""
    change_log.note(link.connection, [Note("seat", key, "queued") for key in keys])
    pending.of(link.connection).write(link.connection)


def commit(link: PostgresLink) -> None:
    """Commit, and begin the next transaction."""
    link.commit()
    link.begin(marked=False)


def read(connection: Connection, cursor: Cursor) -> tuple[list[str], Cursor]:
    """The keys of what is new, and the next cursor."""
    seen = change_log.read(connection, cursor, MOST)
    assert seen is not None
    notes, after = seen
    return [note.key for note in notes], after


def test_who_draws_first_and_commits_last_is_not_missed(links: list[PostgresLink]) -> None:
    reader, slow, fast = links
    cursor = change_log.begin(reader.connection)
    write(slow, "first drawn")
    write(fast, "second drawn")
    commit(fast)
    keys, cursor = read(reader.connection, cursor)
    assert keys == ["second drawn"]
    commit(slow)
    keys, cursor = read(reader.connection, cursor)
    assert keys == ["first drawn"]
    assert read(reader.connection, cursor)[0] == []


def test_what_was_noted_before_the_beginning_is_not_read(links: list[PostgresLink]) -> None:
    reader, writer, _ = links
    write(writer, "before")
    commit(writer)
    cursor = change_log.begin(reader.connection)
    write(writer, "after")
    commit(writer)
    assert read(reader.connection, cursor)[0] == ["after"]


def test_ones_own_are_not_read(links: list[PostgresLink]) -> None:
    reader, writer, _ = links
    cursor = change_log.begin(reader.connection)
    write(reader, "own")
    write(writer, "other")
    commit(writer)
    commit(reader)
    assert read(reader.connection, cursor)[0] == ["other"]


def test_at_most_so_many_of_each_writer_are_read_at_once(links: list[PostgresLink]) -> None:
    reader, first, second = links
    cursor = change_log.begin(reader.connection)
    for place, link in enumerate((first, second)):
        write(link, *(f"{place}{number}" for number in range(3)))
        commit(link)
    seen = change_log.read(reader.connection, cursor, 2)
    assert seen is not None
    assert sorted(note.key for note in seen[0]) == ["00", "01", "10", "11"]
    assert sorted(read(reader.connection, seen[1])[0]) == ["02", "12"]


def test_after_a_long_absence_everything_must_be_read(links: list[PostgresLink]) -> None:
    reader, *_ = links
    cursor = change_log.begin(reader.connection)
    for seconds, there in (
        (change_log.KEPT_SECONDS / 2 - 10, True),
        (change_log.KEPT_SECONDS / 2 + 1, False),
    ):
        earlier = Cursor(cursor.at - seconds, cursor.last)
        assert (change_log.read(reader.connection, earlier, MOST) is not None) == there


def test_only_old_notes_are_pruned_so_many_at_once(links: list[PostgresLink]) -> None:
    reader, writer, _ = links
    cursor = change_log.begin(reader.connection)
    write(writer, *"abc")
    age = f"UPDATE change_log SET at = at - interval '{change_log.KEPT_SECONDS + 1} s'"
    driver.changed(writer.connection, age, ())
    write(writer, "young")
    commit(writer)
    assert [change_log.prune(writer.connection, 2) for _ in range(3)] == [2, 1, 0]
    commit(writer)
    assert read(reader.connection, cursor)[0] == ["young"]


async def test_a_unit_that_is_undone_leaves_no_note(postgres: Storage) -> None:
    database, other = postgres.open(), postgres.open()
    cursor = await other.write(change_log.begin)

    def failing(connection: Connection) -> None:
        change_log.note(connection, [Note("seat", "undone", "queued")])
        raise LookupError

    def well(connection: Connection) -> None:
        change_log.note(connection, [Note("seat", "done", "queued")])

    written = [database.submit(unit) for unit in (well, failing, well)]
    with pytest.raises(LookupError):
        await written[1]
    await written[2]
    seen = await other.write(lambda connection: change_log.read(connection, cursor, MOST))
    assert seen is not None
    assert [note.key for note in seen[0]] == ["done", "done"]
    for each in (database, other):
        await each.aclose()


def test_an_older_database_gets_the_table(postgres: Storage) -> None:
    backend = Postgres(postgres.url)
    link = backend.link()
    for statement in (
        "DROP TABLE change_log",
        "DROP SEQUENCE seat_tickets",
        "UPDATE schema_version SET version = 1",
    ):
        link.connection.exec_driver_sql(statement)
    link.close()
    opened = backend.open()
    opened.begin(marked=False)
    write(opened, "a")
    commit(opened)
    opened.close()
    backend.close()
