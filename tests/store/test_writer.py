"""The database's file, and its writer when something fails under it."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from core.errors import StorageFailed
from core.store.database import Database
from core.store.pending import Pending
from core.store.sqlite import Sqlite


async def test_a_file_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "maitred.db"
    path.touch()
    path.chmod(0o644)
    database = Database(Sqlite(path))
    await database.aclose()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_the_writer_outlives_a_defect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(Sqlite(tmp_path / "maitred.db"))

    def fail(*_: Any) -> None:
        raise RuntimeError("a defect")

    with monkeypatch.context() as patched:
        patched.setattr(Pending, "write", fail)
        with pytest.raises(StorageFailed):
            await database.write(lambda connection: None)
    assert await database.write(lambda connection: 7) == 7
    await database.aclose()
