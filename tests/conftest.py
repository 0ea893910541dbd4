"""What every test may ask for. An `async def test_…` needs no mark: anyio runs it, on asyncio."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest
from hypothesis import settings

# how long an example takes says more of the machine than of what is tested; speed is for the benches
settings.register_profile("maitred", deadline=None)
settings.load_profile("maitred")

pytest_plugins = ["tests.storage.fixture", "tests.upstream.fixture"]

_OURS = ("MAITRED_CONFORMANCE", "MAITRED_TEST_POSTGRES")
"""Variables that are for the tests, not for what they test."""


def pytest_collection_finish() -> None:
    """What was imported stays: looking through it with every collection is a good part of what tests would take."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The one event loop that is used; for the session, so that a fixture of any scope may be async."""
    return "asyncio"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home: no settings, no data, and nothing of the developer's own."""
    folders = {
        "HOME": ".",
        "XDG_CONFIG_HOME": "config",
        "XDG_DATA_HOME": "data",
        "XDG_STATE_HOME": "state",
        "XDG_CACHE_HOME": "cache",
    }
    for name, folder in folders.items():
        path = tmp_path / folder
        path.mkdir(exist_ok=True)
        monkeypatch.setenv(name, str(path))
    for name in os.environ:
        if name.startswith(("MAITRED_", "OPENAI_")) and name not in _OURS:
            monkeypatch.delenv(name)
    return tmp_path
