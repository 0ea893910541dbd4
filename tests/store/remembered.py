"""What a session remembers, with all its services on one database."""

from __future__ import annotations

import itertools
from typing import Any

from core.clock import ManualClock, parse_timestamp
from core.protocol import Message
from core.store.audit import Audit
from core.store.configuration import Configuration
from core.store.history import History
from core.store.imports import Imports
from core.store.search import Search
from core.store.transfer import Transfer
from tests.storage.storage import Storage

NOON = parse_timestamp("2026-04-17T12:00:00Z")


class Remembered:
    """The services of one life of a core; `restart` begins the next one on the same storage."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.clock = ManualClock(NOON)
        self._lives = 0
        self._ids = itertools.count(1)
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

    def _new_id(self) -> str:
        return f"id-{next(self._ids)}"

    def _open(self) -> None:
        self._lives += 1
        self.epoch = f"life-{self._lives}"
        self.database = self.storage.open()
        self.history = History(self.database, self.clock, self.epoch)
        self.configuration = Configuration(self.database, self.clock, self.epoch)
        self.transfer = Transfer(self.database, self.clock, self.epoch)
        self.search = Search(self.database)
        self.imports = Imports(self.database, self.clock, self.epoch, self._new_id)
        self.audit = Audit(self.database)
