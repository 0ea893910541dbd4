"""A copy of a database as one SQLite file, taken while others write, from which maitred can start.

The copy is that of one moment. It is written beside its place and put there when it is whole and has been checked, so
that a file of that name is always a good one; whatever ends a copy early leaves nothing.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from core.errors import StartRefused, StorageFailed
from core.settings import SQLITE
from core.store import backup_postgres, backup_sqlite
from core.store.new_file import check_free, put, unwritable
from core.store.opening import backend_of

Progress = Callable[[int, int], None]
"""Told (done, of), in pages or rows, now and then."""


class BackedUp(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a copy holds."""

    file: str
    bytes: int
    schema: int
    sessions: int
    messages: int


def back_up(storage_url: str, folder: Path, target: Path, progress: Progress) -> BackedUp:
    """Copy the database that ``storage.url`` names into a new file; `folder` is where SQLite's file lies.

    No core needs to run, and one may. Raises StartRefused when something is in the file's place, FolderUnusable when
    it cannot be written or there is no database, DatabaseUnusable or StorageFailed when the database cannot be read.
    """
    with _new_file(target) as partial:
        if storage_url == SQLITE:
            backup_sqlite.copy(folder / "maitred.db", partial, progress)
        else:
            with closing(backend_of(storage_url, folder)) as backend:
                backup_postgres.copy(backend, partial, progress)
        return _checked(partial, target)


@contextmanager
def _new_file(target: Path) -> Iterator[Path]:
    """A private empty file that stands at `target` if all goes well, and nowhere if it does not."""
    partial = target.with_name(f"{target.name}.partial")
    check_free(target)
    try:
        os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        raise StartRefused(
            f"{partial}: is there already; another backup writes it, or was killed: then remove it"
        ) from None
    except OSError as error:
        raise unwritable(partial, error) from error
    try:
        yield partial
        put(partial, target)
    except sqlite3.Error as error:
        raise StorageFailed(f"{partial}: {error}; make room for it, and begin again") from error
    except OSError as error:
        raise unwritable(target, error) from error
    finally:
        for left in (partial, partial.with_name(f"{partial.name}-journal")):
            left.unlink(missing_ok=True)


def _checked(partial: Path, target: Path) -> BackedUp:
    """What the copy holds, once it is proven sound; raises StorageFailed when it is not."""
    with closing(sqlite3.connect(partial, isolation_level=None)) as made:
        # one file that is whole by itself; a core that opens it brings its own mode
        made.execute("PRAGMA journal_mode = DELETE")
        (verdict,) = made.execute("PRAGMA integrity_check(1)").fetchone()
        if verdict != "ok":
            raise StorageFailed(f"{target}: the copy is damaged ({verdict}); so may be what it was made from")
        try:
            made.execute("INSERT INTO message_words (message_words) VALUES ('integrity-check')")
        except sqlite3.DatabaseError as error:
            raise StorageFailed(
                f"{target}: the search index is damaged ({error}); run maitred reindex, then back up again"
            ) from error
        schema, sessions, messages = made.execute(
            "SELECT (SELECT version FROM schema_version), (SELECT count(*) FROM sessions), "
            "(SELECT count(*) FROM messages)"
        ).fetchone()
    return BackedUp(
        file=str(target), bytes=partial.stat().st_size, schema=schema, sessions=sessions, messages=messages
    )
