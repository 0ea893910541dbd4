"""What a session remembers, with all its services on one database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import StaticPool

from core.clock import ManualClock, parse_timestamp
from core.protocol import Message
from core.store.audit import Audit
from core.store.configuration import Configuration
from core.store.database import Database
from core.store.history import History
from core.store.migrations import migrate
from core.store.search import Search
from core.store.sqlite import Sqlite
from core.store.transfer import Transfer

NOON = parse_timestamp("2026-04-17T12:00:00Z")


class Remembered:
    """The services of one life of a core; `restart` begins the next one on the same file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = ManualClock(NOON)
        self._lives = 0
        self._open()

    async def restart(self) -> None:
        await self.database.aclose()
        self._open()

    async def messages(self, session_key: str) -> list[Message]:
        return (await self.history.page(session_key, limit=1000)).messages

    async def contents(self, session_key: str) -> list[Any]:
        return [message.content for message in await self.messages(session_key)]

    async def found(self, query: str, **options: Any) -> list[tuple[str, int]]:
        return [(hit.session_key, hit.seq) for hit in await self.search.search(query, **options)]

    async def told(self, session_key: str) -> list[tuple[str, dict[str, Any]]]:
        return [(entry.action, entry.detail) for entry in await self.audit.of_session(session_key)]

    def _open(self) -> None:
        self._lives += 1
        self.epoch = f"life-{self._lives}"
        self.database = Database(Sqlite(self.path))
        self.history = History(self.database, self.clock, self.epoch)
        self.configuration = Configuration(self.database, self.clock, self.epoch)
        self.transfer = Transfer(self.database, self.clock, self.epoch)
        self.search = Search(self.database)
        self.audit = Audit(self.database)


@contextmanager
def in_memory() -> Iterator[Connection]:
    """A connection to an empty database that nobody else sees, for tests with many examples."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    try:
        with engine.connect() as connection:
            migrate(connection, "memory")
            yield connection
    finally:
        engine.dispose()
