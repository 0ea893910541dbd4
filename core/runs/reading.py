"""How readers get at runs: they follow, replay, look, and wait for the word to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial

import msgspec

from core.errors import RunNotFound
from core.protocol import RunBatch, RunRow
from core.runs.answers import Control
from core.runs.entry import Entry
from core.runs.kept import KeptRuns
from core.runs.run import Run, frame, is_truncated
from core.runs.subscription import Subscription


class RunReaders:
    """The part of the registry that changes no run."""

    def __init__(self, kept: KeptRuns) -> None:
        self._kept = kept

    def subscribe(self, run_id: str, after: int = 0, *, name: str = "") -> Subscription:
        """Follow a run from `after` on; the subscription's own fields are the acknowledgement. Raises RunNotFound."""
        return self._subscribe(self._kept.entry(run_id), after, name)

    def subscribe_session(
        self, session_key: str, last_run_id: str | None = None, after: int = 0, *, name: str = ""
    ) -> Subscription:
        """Follow a session's current run: from `after` when it is the run seen last, else from its beginning.

        It follows that one run only. Raises RunNotFound when the session has none.
        """
        entry = self._kept.latest(session_key)
        if entry is None:
            raise RunNotFound(f"session {session_key!r} has no run, or its last one is no longer kept")
        return self._subscribe(entry, after if entry.run.id == last_run_id else 0, name)

    def replay(self, run_id: str, after: int = 0) -> RunBatch:
        """The kept frames with a number above `after`; a negative one counts as 0. Raises RunNotFound."""
        run = self._kept.entry(run_id).run
        after = max(0, after)
        return RunBatch(
            run_id=run.id,
            session_key=run.session_key,
            events=[msgspec.Raw(frame(run, event)) for event in run.log.after(after)],
            truncated=is_truncated(run.log, after),
            first_seq=run.log.first,
            last_seq=run.log.last,
            ended=run.ended,
        )

    async def control(self, run_id: str, wait: float = 0.0) -> Control:
        """What an agent elsewhere must know; waits up to `wait` seconds for an abort or the end.

        The waiting is a socket's patience, so it is real time, never scaled. Raises RunNotFound.
        """
        entry = self._kept.entry(run_id)
        run = entry.run
        if wait > 0 and not run.ended and not run.abort_requested:
            rung = entry.control.enlist()
            try:
                async with asyncio.timeout(wait):
                    await rung
            except TimeoutError:
                pass
            finally:
                entry.control.forget(rung)
        return Control(
            run_id=run.id,
            abort_requested=run.abort_requested,
            reason=run.abort_reason or "",
            ended=run.ended,
        )

    def get(self, run_id: str) -> Run | None:
        """A run that is running or kept; None for any other."""
        entry = self._kept.find(run_id)
        return None if entry is None else entry.run

    def current(self, session_key: str) -> Run | None:
        """The session's latest run, while it is running or kept."""
        entry = self._kept.latest(session_key)
        return None if entry is None else entry.run

    def running(self) -> list[Run]:
        """What is running, in the order of the starts."""
        return [entry.run for entry in self._kept.running.values()]

    def began_elsewhere(self, run: Run) -> bool:
        """Whether the run was not begun by a turn of this house, which records start and end itself."""
        entry = self._kept.find(run.id)
        return entry is None or entry.recorded

    def count(self) -> int:
        """How many runs are kept: as many rows there are."""
        return len(self._kept)

    def rows(self) -> Iterator[RunRow]:
        """Every kept run as a view shows it; to be read in one step."""
        return self._kept.rows()

    def row(self, run: Run) -> RunRow | None:
        """One run as a view shows it; None when it is no longer kept."""
        entry = self._kept.find(run.id)
        return None if entry is None else entry.row

    def _subscribe(self, entry: Entry, after: int, name: str) -> Subscription:
        follower = Subscription(entry.run, max(0, after), entry.bell, partial(self._left, entry), name=name)
        entry.following.add(follower)
        self._kept.moved(entry)
        return follower

    def _left(self, entry: Entry, follower: Subscription) -> None:
        entry.following.discard(follower)
        if self._kept.find(entry.run.id) is entry:
            self._kept.moved(entry)
