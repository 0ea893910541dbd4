"""A folder for data that nobody needs to keep: in memory, where there is such a place."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_MEMORY = Path("/dev/shm")


@pytest.fixture
def quick_folder(tmp_path: Path) -> Iterator[Path]:
    """An empty folder; a play commits thousands of times, and a disk would be all that the test waits for."""
    if not _MEMORY.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="maitred-test-", dir=_MEMORY) as folder:
        yield Path(folder)
