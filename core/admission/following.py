"""Keeping this process's memory abreast of the others that share the database, and them of what is known here alone."""

from __future__ import annotations

import logging
from functools import partial

from sqlalchemy import Connection

from core.admission import roll
from core.admission.changes import Change
from core.admission.floor import Floor
from core.admission.herald import Herald
from core.admission.landing import Landing
from core.admission.notes import MOST, Look, differences, look
from core.admission.quota import Meter
from core.clock import Clock
from core.errors import StorageFailed
from core.store import change_log
from core.store.change_log import Cursor
from core.store.database import Database

_log = logging.getLogger(__name__)

FOLLOW_SECONDS = 0.25
"""How often it looks: what others changed is here well within a second."""

_PRUNE_SECONDS = 60.0


class Following:
    """Reads what others changed, again and again, and has the floor follow; writes down who was heard of here.

    For whoever ticks drops those of whom the database has heard nothing for too long.
    """

    def __init__(
        self,
        cursor: Cursor,
        database: Database,
        landing: Landing,
        floor: Floor,
        herald: Herald,
        meter: Meter,
        clock: Clock,
    ) -> None:
        """`cursor` is where the floor was loaded."""
        self._cursor = cursor
        self._database = database
        self._landing = landing
        self._floor = floor
        self._herald = herald
        self._meter = meter
        self._clock = clock
        self._broken = False

    async def catch_up(self) -> None:
        """Follow everything that others have committed by now. Raises StorageFailed; the next time begins there."""
        while True:
            now = self._clock.now()
            unit = partial(look, cursor=self._cursor, since=self._meter.since(now))
            seen = await self._landing.adopt(unit, self._differences, now)
            # not before: should the floor not come to follow, the next look begins at the same place
            self._cursor = seen.cursor
            if not seen.more:
                return

    def _differences(self, seen: Look) -> list[Change]:
        return differences(self._floor, seen.found)

    async def run(self) -> None:
        """Catch up every `FOLLOW_SECONDS`, until it is cancelled; what fails is told and survived."""
        pruned = self._clock.monotonic()
        while True:
            try:
                await self.catch_up()
                await roll.write_down(self._floor.attendance, self._landing.write, self._clock.now())
                if self._clock.monotonic() - pruned >= _PRUNE_SECONDS:
                    pruned = self._clock.monotonic()
                    await self._prune()
                self._broken = False
            except StorageFailed:
                # a database that is gone is told by those who write to it; what was missed is read when it is back
                pass
            except Exception as error:
                self._tell_broken(error)
            await self._clock.sleep(FOLLOW_SECONDS)

    def _tell_broken(self, error: Exception) -> None:
        """Tell a defect of ours, once as long as it lasts."""
        if not self._broken:
            self._broken = True
            _log.error("following the other processes failed", exc_info=error)
            self._herald.trouble(
                "internal_error",
                f"following the other processes failed ({type(error).__name__}): what is shown may be old until it "
                "succeeds; the log has the details",
            )

    async def _prune(self) -> None:
        def unit(connection: Connection) -> int:
            return change_log.prune(connection, MOST)

        while await self._database.write(unit) == MOST:
            continue
