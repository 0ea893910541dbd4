"""What a writer changed, for the other processes on the same database.

Every process keeps in memory what it answers from, and follows what the others write. A unit notes the keys that it
changed, in its own transaction; a reader takes the notes that have come since it looked last, and then the rows
themselves, so that it never puts an older state over a newer one.

A number that is drawn first may be committed last, so one cursor over all notes would miss some. Each connection
commits its transactions one after the other, though: the cursor is one for each writing connection. On SQLite, where
one process writes, nothing is noted.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from sqlalchemy import Connection, text

from core.store import driver, pending

KEPT_SECONDS = 300
"""How long a note is there for. Who was away for more than half of it takes everything anew."""

_TABLE = """
CREATE TABLE change_log (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    writer INTEGER NOT NULL DEFAULT pg_backend_pid(),
    at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    topic TEXT NOT NULL,
    key TEXT NOT NULL,
    what TEXT NOT NULL
)
"""
_BY_WRITER = "CREATE INDEX change_log_by_writer ON change_log (writer, id)"

_NOTE = "INSERT INTO change_log (topic, key, what) VALUES (?, ?, ?)"
_CURSORS = "SELECT writer, max(id) FROM change_log GROUP BY writer"
_NOW = "SELECT extract(epoch FROM clock_timestamp())::float8"
# The writers one by one out of the index, and from each what comes after its cursor: costs what is new.
_READ = """
WITH RECURSIVE writers (writer) AS (
    SELECT min(writer) FROM change_log
    UNION ALL
    SELECT (SELECT min(c.writer) FROM change_log c WHERE c.writer > w.writer) FROM writers w WHERE w.writer IS NOT NULL
)
SELECT found.writer, found.id, found.topic, found.key, found.what
FROM writers w
LEFT JOIN unnest(?::int[], ?::bigint[]) AS known (writer, last) ON known.writer = w.writer
CROSS JOIN LATERAL (
    SELECT * FROM change_log c WHERE c.writer = w.writer AND c.id > coalesce(known.last, 0) ORDER BY c.id LIMIT ?
) found
WHERE w.writer <> pg_backend_pid()
ORDER BY found.id
"""
_PRUNE = """
DELETE FROM change_log WHERE id IN (
    SELECT id FROM change_log WHERE at < clock_timestamp() - make_interval(secs => ?)
    ORDER BY id LIMIT ? FOR UPDATE SKIP LOCKED
)
"""


class Note(msgspec.Struct, frozen=True):
    """That something was changed: of which kind, whose, and by what."""

    topic: str
    key: str
    what: str


class Cursor(msgspec.Struct, frozen=True):
    """Up to where one reader has read."""

    at: float
    """When (s) that was, by the database's clock."""
    last: dict[int, int]
    """Writing connection → the last of its notes that was read."""


def begin(connection: Connection) -> Cursor:
    """The cursor behind everything that is noted now; what the unit reads afterwards has all of it."""
    return Cursor(_now(connection), dict(driver.rows(connection, _CURSORS, ())))


def read(connection: Connection, cursor: Cursor, most: int) -> tuple[list[Note], Cursor] | None:
    """What others noted after the cursor, at most `most` of each of them, and the cursor behind that.

    None when notes may be gone already: then `begin` again, and read everything.
    """
    now = _now(connection)
    if now - cursor.at > KEPT_SECONDS / 2:
        return None
    rows = driver.rows(connection, _READ, (list(cursor.last), list(cursor.last.values()), most))
    last = cursor.last | {writer: number for writer, number, *_ in rows}
    return [Note(topic, key, what) for _, _, topic, key, what in rows], Cursor(now, last)


def create(connection: Connection) -> None:
    """Make the table of the notes, where several processes may write."""
    if driver.is_shared(connection):
        connection.execute(text(_TABLE))
        connection.execute(text(_BY_WRITER))


def note(connection: Connection, notes: Iterable[Note]) -> None:
    """Tell the other processes, with the commit of the unit."""
    if driver.is_shared(connection):
        for each in notes:
            pending.defer(connection, _NOTE, (each.topic, each.key, each.what))


def prune(connection: Connection, most: int) -> int:
    """Remove at most `most` notes that are too old for anybody; answers how many those were."""
    return driver.changed(connection, _PRUNE, (float(KEPT_SECONDS), most))


def _now(connection: Connection) -> float:
    """The database's own time, the same for all of its processes, in seconds."""
    return float(driver.rows(connection, _NOW, ())[0][0])
