"""Following a run: one shared log, and a place in it for each subscriber (behaviours/runs.md, decision 6)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from core.runs.bell import Bell
from core.runs.log import RunEvent
from core.runs.run import Run, is_truncated

_MOST = 1000
"""Events handed out at once: a follower who is far behind holds up nobody."""


class Lagged(Exception):
    """A subscriber was slower than the log is long, and has been dropped.

    What it may still have begins after `resume_after`; what lies between `after`, where it stood, and that is gone.
    """

    def __init__(self, run_id: str, after: int, resume_after: int) -> None:
        super().__init__(
            f"run {run_id}: events {after + 1} to {resume_after} left the buffer before they were read; "
            f"subscribe again after {resume_after}"
        )
        self.run_id = run_id
        self.after = after
        self.resume_after = resume_after


class Subscription:
    """A place in a run's log. Made by the registry; `run`, `after`, `truncated`, `first_seq` and `last_seq` are the
    acknowledgement: how the run stood in the very step in which the subscription began.
    """

    def __init__(
        self, run: Run, after: int, bell: Bell, on_close: Callable[[Subscription], None], *, name: str = ""
    ) -> None:
        self.run = run
        self.name = name
        self.after = min(after, run.log.last)
        self.truncated = is_truncated(run.log, after)
        self.first_seq = run.log.first
        self.last_seq = run.log.last
        self._at = max(self.after, run.log.first - 1)
        self.on_move: Callable[[], None] | None = None
        """Called once, with the next events that are handed out."""
        self._bell = bell
        self._on_close = on_close
        self._closed = False
        self._waiting: asyncio.Future[None] | None = None

    @property
    def position(self) -> int:
        """The number of the last event handed out."""
        return self._at

    async def next(self) -> list[RunEvent]:
        """What has come since the last call, at least one event and at most a thousand; waits for it.

        Empty exactly when the subscription is over: the `complete` was handed out before, or it was closed.
        Raises Lagged, once, when events left the log before they were read. Only one caller at a time.
        """
        while not self._closed:
            events = self.run.log.follow(self._at, _MOST)
            if events is None:
                self.close()
                raise Lagged(self.run.id, self._at, self.run.log.first - 1)
            if events:
                self._at = events[-1].seq
                if self.on_move is not None:
                    moved, self.on_move = self.on_move, None
                    moved()
                return events
            if self.run.ended:
                self.close()
                break
            self._waiting = waiting = self._bell.enlist()
            try:
                await waiting
            finally:
                self._bell.forget(waiting)
        return []

    def close(self) -> None:
        """Follow no longer; closing twice does nothing."""
        if not self._closed:
            self._closed = True
            if self._waiting is not None and not self._waiting.done():
                self._waiting.set_result(None)
            self._on_close(self)
