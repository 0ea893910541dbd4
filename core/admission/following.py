"""Keeping this process's memory abreast of the others that share the database, and them of what is known here alone."""

from __future__ import annotations

from functools import partial

from sqlalchemy import Connection

from core.admission import roll
from core.admission.changes import Change
from core.admission.floor import Floor
from core.admission.landing import Landing
from core.admission.notes import MOST, Look, differences, look
from core.admission.quota import Meter
from core.clock import Clock
from core.errors import StorageFailed
from core.store import change_log
from core.store.change_log import Cursor
from core.store.database import Database

FOLLOW_SECONDS = 0.25
"""How often it looks: what others changed is here well within a second."""

_PRUNE_SECONDS = 60.0


class Following:
    """Reads what others changed, again and again, and has the floor follow; writes down who was heard of here.

    For whoever ticks drops those of whom the database has heard nothing for too long.
    """

    def __init__(
        self, cursor: Cursor, database: Database, landing: Landing, floor: Floor, meter: Meter, clock: Clock
    ) -> None:
        """`cursor` is where the floor was loaded."""
        self._cursor = cursor
        self._database = database
        self._landing = landing
        self._floor = floor
        self._meter = meter
        self._clock = clock

    async def catch_up(self) -> None:
        """Follow everything that others have committed by now. Raises StorageFailed; the next time begins there."""
        while True:
            now = self._clock.now()
            unit = partial(look, cursor=self._cursor, since=self._meter.since(now))
            if not (await self._landing.adopt(unit, self._differences, now)).more:
                return

    def _differences(self, seen: Look) -> list[Change]:
        self._cursor = seen.cursor
        return differences(self._floor, seen.found)

    async def run(self) -> None:
        """Catch up every `FOLLOW_SECONDS`, until it is cancelled."""
        pruned = self._clock.monotonic()
        while True:
            try:
                await self.catch_up()
                await roll.write_down(self._floor.attendance, self._landing.write, self._clock.now())
                if self._clock.monotonic() - pruned >= _PRUNE_SECONDS:
                    pruned = self._clock.monotonic()
                    await self._prune()
            except StorageFailed:
                # a database that is gone is told by those who write to it; what was missed is read when it is back
                pass
            await self._clock.sleep(FOLLOW_SECONDS)

    async def _prune(self) -> None:
        def unit(connection: Connection) -> int:
            return change_log.prune(connection, MOST)

        while await self._database.write(unit) == MOST:
            continue
