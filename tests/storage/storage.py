"""A storage as a test sees it: an empty one, opened as often as the test wants."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import StaticPool

from core.settings import SQLITE
from core.store.backend import Backend
from core.store.database import Database
from core.store.migrations import migrate
from core.store.opening import backend_of
from tests.storage.schemas import Schemas

Kind = Literal["sqlite", "postgres"]


class Storage:
    """An empty storage of one kind, for one test."""

    def __init__(self, kind: Kind, url: str, folder: Path) -> None:
        """`url` is what the settings have; `folder` is where SQLite keeps its file."""
        self.kind = kind
        self.url = url
        self.folder = folder

    def __str__(self) -> str:
        return self.kind

    @property
    def path(self) -> Path:
        """SQLite's file."""
        assert self.kind == "sqlite"
        return self.folder / "maitred.db"

    def backend(self, *, alone: bool = False) -> Backend:
        """What a database works on; `alone` as for `backend_of`."""
        return backend_of(self.url, self.folder, alone=alone)

    def open(self) -> Database:
        """Open the database on it; the caller closes it."""
        return Database(self.backend())

    @contextmanager
    def scratch(self) -> Iterator[Connection]:
        """A connection to an empty database that nobody else sees, for tests with many examples."""
        if self.kind == "sqlite":
            engine = create_engine("sqlite://", poolclass=StaticPool)
            try:
                with engine.connect() as connection:
                    migrate(connection, "memory")
                    yield connection
            finally:
                engine.dispose()
            return
        backend = self.backend()
        link = backend.link()
        link.begin(marked=False)
        try:
            yield link.connection
        finally:
            link.rollback()
            link.close()
            backend.close()


class Fresh:
    """Gives one empty storage after another, all of one kind; the fixture `fresh`."""

    def __init__(self, folder: Path, schemas: Schemas | None) -> None:
        """`folder` is for SQLite's files; with `schemas` the storages are PostgreSQL's."""
        self._folder = folder
        self._schemas = schemas
        self._numbers = itertools.count(1)
        self._taken: list[str] = []

    @property
    def kind(self) -> Kind:
        """Of which kind they are."""
        return "sqlite" if self._schemas is None else "postgres"

    def __call__(self) -> Storage:
        """An empty storage."""
        folder = self._folder / f"storage-{next(self._numbers)}"
        folder.mkdir()
        if self._schemas is None:
            return Storage("sqlite", SQLITE, folder)
        self._taken.append(self._schemas.take())
        return Storage("postgres", self._taken[-1], folder)

    def give_back(self) -> None:
        """Take back all that were given; they must be closed. A test with many examples does it after each."""
        for url in self._taken:
            assert self._schemas is not None
            self._schemas.give_back(url)
        self._taken.clear()
