"""The fixtures, for ``pytest_plugins`` of tests/conftest.py.

`storage` gives every test that asks for it both kinds, one after the other; `postgres` only PostgreSQL. The server is
one of our own for each test process, or the one named by MAITRED_TEST_POSTGRES (a URL of an empty database).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.storage.schemas import Schemas
from tests.storage.server import PostgresServer
from tests.storage.storage import Fresh, Storage


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    named = os.environ.get("MAITRED_TEST_POSTGRES")
    if named:
        yield named
        return
    server = PostgresServer()
    try:
        yield server.url()
    finally:
        server.close()


@pytest.fixture(scope="session")
def _schemas(postgres_url: str) -> Iterator[Schemas]:
    schemas = Schemas(postgres_url)
    try:
        yield schemas
    finally:
        schemas.close()


@pytest.fixture
def postgres(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    """An empty PostgreSQL storage."""
    schemas: Schemas = request.getfixturevalue("_schemas")
    url = schemas.take()
    yield Storage("postgres", url, tmp_path)
    schemas.give_back(url)


@pytest.fixture(params=["sqlite", "postgres"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """An empty storage of each kind."""
    if request.param == "sqlite":
        return Storage("sqlite", "sqlite", tmp_path)
    found: Storage = request.getfixturevalue("postgres")
    return found


@pytest.fixture(params=["sqlite", "postgres"])
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Fresh]:
    """Makes one empty storage after another, of each kind."""
    given = Fresh(tmp_path, None if request.param == "sqlite" else request.getfixturevalue("_schemas"))
    yield given
    given.give_back()
