"""Copying a SQLite file while its core writes to it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from core.errors import DatabaseTooNew, FolderUnusable
from core.store.migrations import CURRENT

_PAGES = 1024
"""How many are copied in one step, 4 MiB: between two of them the copy can be interrupted."""
_PATIENCE_SECONDS = 30


def copy(source: Path, target: Path, progress: Callable[[int, int], None]) -> None:
    """Copy the database at `source` over the empty file `target`; `progress` is told pages.

    Raises FolderUnusable when there is no database of ours, DatabaseTooNew, or what SQLite says of `target`.
    """
    if not source.is_file():
        raise FolderUnusable(f"{source}: there is no database to copy; has maitred ever been started here?")
    place = f"file:{quote(str(source))}?mode=ro"
    with (
        closing(sqlite3.connect(place, uri=True, timeout=_PATIENCE_SECONDS, isolation_level=None)) as live,
        closing(sqlite3.connect(target)) as made,
    ):
        try:
            # A reader's transaction holds one moment of the database. Without it every write of the core would make
            # the copy begin again, and under load it would never end.
            live.execute("BEGIN")
            _check(live, source)
        except sqlite3.Error as error:
            raise FolderUnusable(
                f"{source}: is no database that can be copied ({error}); maitred doctor says more"
            ) from error
        live.backup(made, pages=_PAGES, progress=lambda _, left, total: progress(total - left, total))


def _check(live: sqlite3.Connection, source: Path) -> None:
    (version,) = live.execute("SELECT max(version) FROM schema_version").fetchone()
    live.execute("SELECT 1 FROM message_words, sessions, messages LIMIT 1")
    if isinstance(version, int) and version > CURRENT:
        raise DatabaseTooNew(
            f"{source}: was written by a newer maitred (schema {version}, this one knows {CURRENT}); "
            "back it up with that version"
        )
