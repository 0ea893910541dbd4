"""Folders and homes for what nobody needs to keep."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.processes import House

_MEMORY = Path("/dev/shm")


@pytest.fixture
def quick_folder(tmp_path: Path) -> Iterator[Path]:
    """An empty folder; a play commits thousands of times, and a disk would be all that the test waits for."""
    if not _MEMORY.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="maitred-test-", dir=_MEMORY) as folder:
        yield Path(folder)


@pytest.fixture
def house(tmp_path: Path) -> House:
    """An empty home, and a folder of its own for what is temporary."""
    house = House(tmp_path, "")
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    house.environment["TMPDIR"] = str(temporary)
    return house
