"""From the settings' URL to a back end."""

from __future__ import annotations

from pathlib import Path

from core.errors import StartRefused
from core.settings import SQLITE
from core.store.backend import Backend
from core.store.sqlite import Sqlite


def backend_of(url: str, folder: Path, *, alone: bool = False) -> Backend:
    """The back end that ``storage.url`` names; `folder` is the data folder, where SQLite's file lies.

    With `alone` a server's database is refused while another core works on it; the folder has a lock of its own
    (`core.store.lock`). Raises SettingsError for a URL that no server understands, StartRefused when the driver is
    not installed.
    """
    if url == SQLITE:
        return Sqlite(folder / "maitred.db")
    try:
        from core.store.postgres import Postgres
    except ImportError as error:
        raise StartRefused(
            f"storage.url: PostgreSQL's driver is not there ({error}); pip install 'maitred[postgres]'"
        ) from error
    return Postgres(url, alone=alone)
