"""The records of runs in the database; see `core.runs.records.RunRecords`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sqlalchemy import Connection

from core.clock import Clock
from core.runs.run import Run, RunStatus
from core.store import run_records, sessions
from core.store.audit_records import HOUSE
from core.store.database import Database
from core.store.orphans import close_orphans
from core.store.prices import PriceList
from core.store.run_records import RunEnd, RunStart
from core.store.sessions import Stamp


class StoredRuns:
    """Runs as rows; `epoch` is that of the core that writes them."""

    def __init__(self, database: Database, *, epoch: str, clock: Clock, prices: PriceList) -> None:
        self._database = database
        self._prices = prices
        self._epoch = epoch
        self._clock = clock

    def started(self, run: Run) -> asyncio.Future[None]:
        start = RunStart(
            run_id=run.id,
            session_key=run.session_key,
            user_id=run.user_id,
            provider=run.provider,
            model=run.model,
            epoch=self._epoch,
            started_at=run.started_at,
        )
        stamp = self._stamp(run.user_id)

        def unit(connection: Connection) -> None:
            if stamp.owner is not None:
                sessions.take(connection, start.session_key, 0, stamp)
            run_records.start(connection, start)

        return self._database.submit(unit)

    def ended(self, run: Run) -> asyncio.Future[None]:
        status = run.status
        assert run.ended_at is not None, "only an ended run has an end to record"
        assert status != "running"
        assert run.exit_code is not None
        end = RunEnd(
            run_id=run.id,
            status=status,
            exit_code=run.exit_code,
            ended_at=run.ended_at,
            input_tokens=run.used.input_tokens,
            output_tokens=run.used.output_tokens,
            micros=run.used.micros,
            estimated=run.used.estimated,
        )
        return self._database.submit(_nothing(lambda connection: run_records.end(connection, end)))

    def save_provider_id(self, session_key: str, provider_session_id: str) -> asyncio.Future[None]:
        stamp = self._stamp()
        return self._database.submit(
            lambda connection: run_records.set_provider_session_id(
                connection, session_key, provider_session_id, stamp
            )
        )

    async def provider_id(self, session_key: str) -> str | None:
        return await self._database.read(
            lambda connection: run_records.provider_session_id(connection, session_key)
        )

    async def status(self, run_id: str) -> RunStatus | None:
        return await self._database.read(lambda connection: run_records.status_of(connection, run_id))

    async def interrupt_orphans(self) -> int:
        """See `RunRecords.interrupt_orphans`; what was received becomes a message, what it cost is estimated."""
        stamp = self._stamp()

        return await self._database.write(lambda connection: close_orphans(connection, self._prices, stamp))

    def _stamp(self, owner: str | None = None) -> Stamp:
        return Stamp(now=self._clock.now(), epoch=self._epoch, actor=owner or HOUSE, owner=owner)


def _nothing(unit: Callable[[Connection], object]) -> Callable[[Connection], None]:
    """The same unit with nothing to answer."""

    def quiet(connection: Connection) -> None:
        unit(connection)

    return quiet
