"""Operators who read content leave an entry in the audit (behaviours/history.md, decision 8).

A console follows a run by asking again and again: that is one reading, not hundreds, so the same reader of the same
content is written down once in ten minutes.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal

from core.clock import Clock
from core.store import audit
from core.store.database import Database

What = Literal["history", "run", "search"]

_AGAIN_SECONDS = 600.0
_REMEMBERED = 10_000


class Readings:
    """Writes readings down, and knows the latest."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._latest: OrderedDict[tuple[str, What, str | None], float] = OrderedDict()

    async def note(self, reader: str, what: What, session_key: str | None) -> None:
        """`reader` is about to see content of a session (None: of all). Durable before they do."""
        reading, now = (reader, what, session_key), self._clock.monotonic()
        if now - self._latest.get(reading, -_AGAIN_SECONDS) < _AGAIN_SECONDS:
            return
        at = self._clock.now()
        await self._database.write(
            lambda connection: audit.reading(
                connection, at=at, actor=reader, what=what, session_key=session_key
            )
        )
        self._latest[reading] = now
        self._latest.move_to_end(reading)
        while len(self._latest) > _REMEMBERED:
            self._latest.popitem(last=False)
