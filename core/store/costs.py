"""What everything has cost: totals by session, user, project, model and day, durable first and then in memory.

Totals only grow, and stay when the session's pin is gone. behaviours/pins.md, decisions 8, 12 and 13.
"""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection

from core.clock import Clock
from core.journal import Journal
from core.protocol import CostChanged, CostRow, CostScope
from core.store import cost_records
from core.store.acknowledged import acknowledged
from core.store.database import Database, Unit
from core.store.message import check_key
from core.store.prices import PriceList, Usage, check_amount, check_usage

_NO_USAGE = Usage(input_tokens=0, output_tokens=0)


class Booked(msgspec.Struct, frozen=True):
    """A booking as it was written: the amount, and the new totals of everything it counts for."""

    session_key: str
    micros: int
    estimated: bool
    totals: list[CostRow]


class Costs:
    """The totals of a house. Make it with `open`; it has nothing to close."""

    def __init__(self, prices: PriceList, *, database: Database, clock: Clock, journal: Journal) -> None:
        self._prices = prices
        self._database = database
        self._clock = clock
        self._journal = journal
        self._totals: dict[tuple[CostScope, str], CostRow] = {}

    @classmethod
    async def open(cls, prices: PriceList, *, database: Database, clock: Clock, journal: Journal) -> Costs:
        """Load the totals."""
        costs = cls(prices, database=database, clock=clock, journal=journal)
        costs._totals = await database.read(
            lambda connection: {(row.scope, row.key): row for row in cost_records.load(connection)}
        )
        return costs

    def total(self, scope: CostScope, key: str) -> CostRow | None:
        """What one session, user, project, model or day has cost; None when nothing was ever booked for it."""
        return self._totals.get((scope, key))

    def rows(self) -> list[CostRow]:
        """All totals."""
        return list(self._totals.values())

    async def add(
        self,
        session_key: str,
        micros: int,
        *,
        user_id: str | None = None,
        project: str | None = None,
        model: str | None = None,
        usage: Usage | None = None,
        estimated: bool = False,
    ) -> int:
        """Book an amount, in micro-USD, for the session and whatever else is known; answers it.

        The session needs no pin. Raises InvalidArgument for a negative amount or a name that cannot be one.
        """
        unit = self.booking(
            session_key,
            micros,
            user_id=user_id,
            project=project,
            model=model,
            usage=usage,
            estimated=estimated,
        )
        await acknowledged(self._database, unit, self.apply)
        return micros

    async def add_usage(
        self,
        session_key: str,
        model: str,
        usage: Usage,
        *,
        user_id: str | None = None,
        project: str | None = None,
    ) -> int:
        """Price a usage report by the model's configured prices and book it; answers this report's micro-USD.

        Raises InvalidArgument for a model without configured prices and for negative numbers.
        """
        micros = self._prices.price(model, usage)
        return await self.add(session_key, micros, user_id=user_id, project=project, model=model, usage=usage)

    def booking(
        self,
        session_key: str,
        micros: int,
        *,
        user_id: str | None = None,
        project: str | None = None,
        model: str | None = None,
        usage: Usage | None = None,
        estimated: bool = False,
    ) -> Unit[Booked]:
        """The same as `add` as a unit, to be part of a larger one; `apply` its result when that is durable.

        Raises InvalidArgument at once, not in the unit.
        """
        check_key(session_key)
        check_amount(micros, "micros")
        usage = check_usage(usage or _NO_USAGE)
        estimated = estimated or usage.estimated
        now = self._clock.now()
        targets = cost_records.targets_of(session_key, user_id=user_id, project=project, model=model, now=now)
        for scope, key in targets:
            check_key(key, scope)
        amounts = cost_records.Amounts(
            micros=micros,
            estimated_micros=micros if estimated else 0,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cached_tokens=usage.cached_tokens,
            updated_at=now,
        )

        def unit(connection: Connection) -> Booked:
            return Booked(session_key, micros, estimated, cost_records.add(connection, targets, amounts))

        return unit

    def apply(self, booked: Booked) -> None:
        """Memory and journal follow a durable booking. Call it in the order of the commits: see `acknowledged`."""
        for row in booked.totals:
            self._totals[row.scope, row.key] = row
        self._journal.append(
            CostChanged(
                session_key=booked.session_key,
                micros=booked.micros,
                estimated=booked.estimated,
                costs=booked.totals,
            )
        )
