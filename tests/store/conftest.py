"""Fixtures of the store's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.storage.storage import Storage
from tests.store.remembered import Remembered


@pytest.fixture
async def store(storage: Storage) -> AsyncIterator[Remembered]:
    """Everything a session remembers, on an empty storage."""
    opened = Remembered(storage)
    yield opened
    await opened.database.aclose()
