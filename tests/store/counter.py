"""Pins and costs over a real database, with a clock that stands still, and a way to restart them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.clock import ManualClock
from core.journal import Journal
from core.protocol import AnyEvent
from core.settings import Model
from core.settings import Pins as PinSettings
from core.store.costs import Costs
from core.store.database import Database
from core.store.pins import Pins
from core.store.prices import PriceList
from tests.storage.storage import Storage

START = 1_776_427_200_000

MODELS = [
    Model(id="s", tier="SIMPLE", input_usd_per_million=1, output_usd_per_million=2),
    Model(id="m", tier="MEDIUM", input_usd_per_million=2, output_usd_per_million=4),
    Model(id="m2", tier="MEDIUM"),
    Model(
        id="c",
        tier="COMPLEX",
        input_usd_per_million=0.15,
        output_usd_per_million=0.6,
        cached_usd_per_million=0.075,
    ),
    Model(id="r", tier="REASONING"),
]


class Counter:
    """What a core remembers of pins and money; open it with `opened`."""

    database: Database
    journal: Journal
    pins: Pins
    costs: Costs

    def __init__(self, storage: Storage, settings: PinSettings, models: list[Model]) -> None:
        self.clock = ManualClock(START)
        self._storage = storage
        self._settings = settings
        self._models = models

    async def open(self) -> None:
        self.database = self._storage.open()
        self.journal = Journal(self.clock, "epoch", max_events=10_000, max_bytes=1 << 26)
        database, clock, journal = self.database, self.clock, self.journal
        self.pins = await Pins.open(
            self._settings, self._models, database=database, clock=clock, journal=journal
        )
        self.costs = await Costs.open(
            PriceList(self._models), database=database, clock=clock, journal=journal
        )

    async def restart(self) -> None:
        await self.database.aclose()
        await self.open()

    async def events(self) -> list[AnyEvent]:
        """Everything journalled since the last start."""
        return (await self.journal.read("", wait=0, limit=10_000)).events

    async def stored(self, table: str = "pins") -> int:
        """How many rows a table has, once everything submitted so far is through."""
        return await self.database.write(
            lambda connection: connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()
        )


@asynccontextmanager
async def opened(
    storage: Storage, settings: PinSettings | None = None, models: list[Model] | None = None
) -> AsyncIterator[Counter]:
    """A counter on a storage, closed at the end."""
    counter = Counter(storage, settings or PinSettings(idle_seconds=1), MODELS if models is None else models)
    await counter.open()
    try:
        yield counter
    finally:
        await counter.database.aclose()


def anyone(_model: str) -> bool:
    """May use every model."""
    return True


def nobody(_model: str) -> bool:
    """May use none."""
    return False
