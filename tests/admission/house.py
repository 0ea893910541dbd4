"""A waiting room on a real database, with a clock that stands still."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from sqlalchemy import text

from core.admission import WaitingRoom
from core.admission.answers import ActiveSeat, QueuedSeat
from core.clock import ManualClock, parse_timestamp
from core.journal import Journal
from core.protocol import AnyEvent
from core.settings import Admission
from core.store.database import Database
from tests.storage.refusing import Change, refuse, relent
from tests.storage.storage import Storage

START = parse_timestamp("2026-04-17T12:00:00Z")
SMALL, BIG, LIMITED, OFFICE = "small", "big", "limited", "office"
MODELS: list[dict[str, Any]] = [
    {"id": SMALL, "tier": "SIMPLE", "instant_admit_capacity": 0},
    {"id": BIG, "tier": "COMPLEX", "premium": True, "instant_admit_capacity": 0},
    {"id": LIMITED, "tier": "SIMPLE", "limited": True, "instant_admit_capacity": 0},
    {
        "id": OFFICE,
        "tier": "MEDIUM",
        "instant_admit_capacity": 0,
        "hours": {"open": "09:00 America/New_York", "close": "17:00 America/Los_Angeles"},
    },
]


def admission(*, each: dict[str, Any] | None = None, **changes: Any) -> Admission:
    """Settings of a small house; `each` changes every model, `changes` the section."""
    section = {
        "fallback_model": SMALL,
        "limited_model": LIMITED,
        "abandon_seconds": 0,
        "models": [{**model, **(each or {})} for model in MODELS],
    }
    return msgspec.convert({**section, **changes}, Admission)


class House:
    """A waiting room with everything around it."""

    def __init__(self, storage: Storage, settings: Admission) -> None:
        self._storage = storage
        self._ids = itertools.count(1)
        self.settings = settings
        self.clock = ManualClock(START)
        self.journal = Journal(self.clock, "epoch", max_events=100_000, max_bytes=100_000_000)
        self.database: Database
        self.room: WaitingRoom

    async def open(self) -> None:
        self.database = self._storage.open()
        self.room = await WaitingRoom.open(
            self.settings,
            database=self.database,
            clock=self.clock,
            journal=self.journal,
            new_id=lambda: f"instance-{next(self._ids)}",
        )

    async def aclose(self) -> None:
        await self.room.aclose()
        await self.database.aclose()

    async def restart(self, settings: Admission | None = None) -> None:
        """Close everything and open it again on the same storage."""
        await self.aclose()
        self.settings = settings or self.settings
        await self.open()

    async def admitted(self, user_id: str, model: str = SMALL, **terms: Any) -> ActiveSeat:
        """Request a seat that is admitted at once."""
        answer = await self.room.request(user_id, model, **terms)
        assert isinstance(answer, ActiveSeat), answer
        return answer

    async def queued(self, user_id: str, model: str = SMALL, **terms: Any) -> QueuedSeat:
        """Request a seat that has to wait."""
        answer = await self.room.request(user_id, model, **terms)
        assert isinstance(answer, QueuedSeat), answer
        return answer

    def status(self, user_id: str, **terms: Any) -> str:
        """The status of a poll."""
        return str(type(self.room.state(user_id, **terms)).__struct_config__.tag)

    async def events(self, after: str = "") -> list[AnyEvent]:
        """What the journal holds after a cursor."""
        return (await self.journal.read(after, wait=0, limit=100_000)).events

    async def execute(self, statement: str) -> None:
        """Run one SQL statement, for what only another process or a broken disk would do."""
        await self.database.write(lambda connection: connection.execute(text(statement)) and None)

    async def tick_is_due(self) -> None:
        """Bring the processes' common next tick forward, for it goes by the database's clock, not the manual one."""
        await self.execute("UPDATE counters SET value = 0 WHERE name = 'tick_due'")

    async def refuse(self, change: Change, table: str, when: str = "") -> None:
        """Let the disk refuse a change of a table's rows, or of those for which `when` holds."""
        await self.database.write(lambda connection: refuse(connection, change, table, when))

    async def relent(self, table: str) -> None:
        """Let the disk refuse nothing any more."""
        await self.database.write(lambda connection: relent(connection, table))


OpenHouse = Callable[..., Awaitable[House]]
"""What the fixture `open_house` is: opens a house with given settings."""
