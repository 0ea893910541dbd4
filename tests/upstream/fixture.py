"""The fixture, for ``pytest_plugins`` of tests/conftest.py."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.upstream.server import Upstream


@pytest.fixture(scope="session")
def _upstream_server() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server


@pytest.fixture
def upstream(_upstream_server: Upstream) -> Upstream:
    """A model server that has seen nothing yet; one serves all tests of a session."""
    _upstream_server.record.clear()
    return _upstream_server
