"""A registry for tests, and records in memory: what the database would keep, with failures on demand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Any

import msgspec

from core.clock import ManualClock
from core.errors import StorageFailed
from core.journal import Journal
from core.protocol import AnyEvent, Noticed, RunChanged, RunGone
from core.runs import Run, RunRegistry, RunStatus
from core.settings import Runs


class MemoryRecords:
    """A `RunRecords` that answers at the next step of the loop; it survives the registry, as a database does."""

    def __init__(self) -> None:
        self.statuses: dict[str, RunStatus] = {}
        self.exit_codes: dict[str, int | None] = {}
        self.provider_ids: dict[str, str] = {}
        self.calls: list[tuple[str, str]] = []
        self.failures = 0
        self.refuse_at_once = False

    def started(self, run: Run) -> asyncio.Future[None]:
        def write(run_id: str = run.id) -> None:
            self.statuses[run_id] = "running"

        return self._submit(("started", run.id), write)

    def ended(self, run: Run) -> asyncio.Future[None]:
        def write(
            run_id: str = run.id, status: RunStatus = run.status, code: int | None = run.exit_code
        ) -> None:
            self.statuses[run_id] = status
            self.exit_codes[run_id] = code

        return self._submit(("ended", run.id), write)

    def save_provider_id(self, session_key: str, provider_session_id: str) -> asyncio.Future[None]:
        def write() -> None:
            self.provider_ids[session_key] = provider_session_id

        return self._submit(("provider_id", provider_session_id), write)

    async def provider_id(self, session_key: str) -> str | None:
        return self.provider_ids.get(session_key)

    async def status(self, run_id: str) -> RunStatus | None:
        return self.statuses.get(run_id)

    async def interrupt_orphans(self) -> int:
        found = [run_id for run_id, status in self.statuses.items() if status == "running"]
        self.statuses.update(dict.fromkeys(found, "interrupted"))
        return len(found)

    def _submit(self, call: tuple[str, str], write: Callable[[], None]) -> asyncio.Future[None]:
        self.calls.append(call)
        if self.refuse_at_once:
            raise StorageFailed("the disk is full")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        if self.failures:
            self.failures -= 1
            loop.call_soon(future.set_exception, StorageFailed("the disk is full"))
        else:
            loop.call_soon(write)
            loop.call_soon(future.set_result, None)
        return future


class House:
    """A registry with a clock that tests move, a journal that they read, and records in memory."""

    def __init__(self, *, records: MemoryRecords | None = None, **settings: Any) -> None:
        self.clock = ManualClock()
        self.journal = Journal(self.clock, "e", max_events=100_000, max_bytes=1 << 30)
        self.records = records or MemoryRecords()
        ids = count(1)
        self.registry = RunRegistry(
            Runs(**settings),
            clock=self.clock,
            journal=self.journal,
            records=self.records,
            new_id=lambda: f"r{next(ids)}",
        )

    async def told(self) -> list[AnyEvent]:
        """Every event of the journal."""
        return (await self.journal.read("", wait=0, limit=100_000)).events

    async def changes(self, run: Run) -> list[str]:
        """What the journal says of one run, in order."""
        said: list[str] = []
        for event in await self.told():
            if isinstance(event, RunChanged) and event.run.run_id == run.id:
                said.append(event.what)
            elif isinstance(event, RunGone) and event.run_id == run.id:
                said.append("gone")
        return said

    async def notices(self) -> list[str]:
        """The codes of what went wrong."""
        return [event.code for event in await self.told() if isinstance(event, Noticed)]


def text(content: str = "a") -> dict[str, Any]:
    """An event as an agent publishes it."""
    return {"kind": "text", "content": content}


def ready(*contents: str) -> list[tuple[bytes, int, int]]:
    """Events as a turn appends them."""
    return [(msgspec.json.encode(text(content)), 0, 0) for content in contents]
