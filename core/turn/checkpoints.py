"""The text of a running answer, written beside the history every two seconds (behaviours/runs.md, decision 13).

A core that dies leaves what was received; the turn's end, or the next start, makes a message of it.
"""

from __future__ import annotations

import logging
from asyncio import Future

from core.agents import Answer
from core.clock import Clock, Timer
from core.errors import StorageFailed
from core.store import run_records
from core.store.database import Database

_SECONDS = 2.0

_log = logging.getLogger(__name__)


class Checkpoints:
    """Watches over one answer until it is stopped; writes only what has grown, and never waits for the disk."""

    def __init__(
        self, run_id: str, session_key: str, answer: Answer, database: Database, clock: Clock
    ) -> None:
        self._run_id = run_id
        self._session_key = session_key
        self._answer = answer
        self._database = database
        self._clock = clock
        self._length = 0
        self._timer: Timer = clock.call_later(_SECONDS, self._write)

    def stop(self) -> None:
        """Write no more."""
        self._timer.cancel()

    def _write(self) -> None:
        self._timer = self._clock.call_later(_SECONDS, self._write)
        text, now = self._answer.text, self._clock.now()
        if len(text) == self._length:
            return
        self._length = len(text)
        try:
            written = self._database.submit(
                lambda connection: run_records.checkpoint(
                    connection, self._run_id, self._session_key, text, now
                )
            )
        except StorageFailed:
            return  # the database is closing, and the turn's end says so
        written.add_done_callback(self._look)

    def _look(self, written: Future[None]) -> None:
        if not written.cancelled() and (error := written.exception()) is not None:
            _log.warning("the text of run %s could not be checkpointed: %s", self._run_id, error)
