"""An empty home for processes, with the test upstream named in its settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.processes.processes import House
from tests.upstream import Upstream


@pytest.fixture
def house(tmp_path: Path, upstream: Upstream) -> House:
    """A home with settings that name the test upstream, and nothing else."""
    house = House(tmp_path, upstream.base_url)
    house.settings()
    return house
