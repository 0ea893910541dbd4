"""A copy of a database as one SQLite file, taken while others write, from which maitred can start.

The copy is that of one moment. It is written beside its place, in ``FILE.partial``, and put there when it is whole and
has been checked, so that a file of that name is always a good one. Whatever ends a copy early leaves nothing; what a
kill leaves, the next backup to the same name takes away. Whoever writes holds the lock of the file, which ends with the
process, so that nobody takes away what is still being written.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from core.errors import StartRefused, StorageFailed
from core.settings import SQLITE
from core.store import backup_postgres, backup_sqlite
from core.store.new_file import check_free, put, unwritable
from core.store.opening import backend_of

_BESIDE = ("-journal", "-wal", "-shm")
"""What SQLite keeps beside a file that it writes. Left there, it would be taken for the next file's of that name."""
_SQLITE = b"SQLite format 3\0"

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
        held = _claim(partial)
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
        if _is_at(partial, held):  # where there are no links, it has moved, and the name may be another's
            _clear_beside(partial)
            partial.unlink()
        os.close(held)


def _claim(partial: Path) -> int:
    """Create the file and hold its lock; what a killed backup has left is taken away first. Raises StartRefused."""
    while True:
        try:
            file = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            _clear(partial)
            continue
        try:
            if _lock(file) and _is_at(partial, file):
                _clear_beside(partial)
                return file
        except OSError:
            os.close(file)
            raise
        os.close(file)  # somebody took it for left in the moment before it was locked


def _clear(partial: Path) -> None:
    """Take away what a killed backup has left; raises StartRefused for what is written, or was left by no backup.

    It is never written to: when the kill came late, it is another name of a copy that was whole.
    """
    try:
        file = os.open(partial, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not _lock(file):
            raise StartRefused(f"{partial}: another backup writes it; wait for it, or choose another name")
        if not _is_left(file):
            raise StartRefused(
                f"{partial}: is there already, and no backup has left it; choose another name, or move it away first"
            )
        if _is_at(partial, file):
            partial.unlink()
    finally:
        os.close(file)


def _clear_beside(partial: Path) -> None:
    for ending in _BESIDE:
        partial.with_name(f"{partial.name}{ending}").unlink(missing_ok=True)


def _lock(file: int) -> bool:
    """Whether the file is ours now; the lock goes when it is closed, or the process ends."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(path: Path, file: int) -> bool:
    """Whether the path leads to the open file, and not to one that came after it."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(file))
    except FileNotFoundError:
        return False


def _is_left(file: int) -> bool:
    """Whether it looks like a copy that was broken off, whose first page may come last."""
    start = os.pread(file, len(_SQLITE), 0) if stat.S_ISREG(os.fstat(file).st_mode) else b"?"
    return start == _SQLITE or not any(start)


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
