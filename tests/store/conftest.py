"""Fixtures of the store's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.store.remembered import Remembered


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Remembered]:
    """Everything a session remembers, on a fresh file."""
    opened = Remembered(tmp_path / "maitred.db")
    yield opened
    await opened.database.aclose()
