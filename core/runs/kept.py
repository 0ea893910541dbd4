"""The runs that are kept, and what the journal hears of them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Literal

from core.clock import Clock
from core.errors import RunNotFound
from core.journal import Journal
from core.protocol import Noticed, Progress, RunChanged, RunGone, RunRow
from core.runs.budget import Budget
from core.runs.entry import Entry
from core.runs.progress import Pace
from core.runs.run import Run


class KeptRuns:
    """Every run that is running or kept for replay: by id, by session the latest, and the running ones apart."""

    def __init__(self, clock: Clock, journal: Journal, *, max_bytes: int) -> None:
        self._journal = journal
        self._by_id: dict[str, Entry] = {}
        self._latest: dict[str, Entry] = {}
        self._pace = Pace(clock, self._tell_progress)
        self._budget = Budget(max_bytes)
        self.running: dict[str, Entry] = {}
        """In the order of the starts."""

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._by_id

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._by_id.values())

    def entry(self, run_id: str) -> Entry:
        """One run; raises RunNotFound."""
        entry = self._by_id.get(run_id)
        if entry is None:
            raise RunNotFound(f"run {run_id!r} is unknown, or ended longer ago than it is kept")
        return entry

    def find(self, run_id: str) -> Entry | None:
        """One run, if it is kept."""
        return self._by_id.get(run_id)

    def latest(self, session_key: str) -> Entry | None:
        """The session's latest run, if it is kept."""
        return self._latest.get(session_key)

    def add(self, entry: Entry) -> None:
        """Keep a run that has begun."""
        run = entry.run
        self._by_id[run.id] = self.running[run.id] = self._latest[run.session_key] = entry
        self.tell(entry, "started")

    def end(self, entry: Entry) -> None:
        """A run has ended; it is kept for replay."""
        del self.running[entry.run.id]
        self._budget.ended(entry.run)
        self.tell(entry, "ended", entry.run.abort_reason or "")

    def forget(self, entry: Entry) -> None:
        """Keep a run no longer; a later one of its session is not touched."""
        run = entry.run
        del self._by_id[run.id]
        if self._latest.get(run.session_key) is entry:
            del self._latest[run.session_key]
        self._budget.forget(run)
        self._pace.told(run.id)
        self._journal.append(RunGone(run_id=run.id, session_key=run.session_key))

    def grew(self, run: Run, delta: int) -> None:
        """A running run's log changed by `delta` bytes; others may have to give for it."""
        for other in self._budget.grew(run, delta):
            self.moved(self._by_id[other.id])

    def moved(self, entry: Entry) -> None:
        """A run's figures changed: the next progress tells them."""
        entry.changed()
        self._pace.moved(entry.run.id)

    def tell(
        self,
        entry: Entry,
        what: Literal["started", "stalled", "revived", "aborting", "upstream_closed", "ended"],
        reason: str = "",
    ) -> None:
        """A run's state changed: the journal hears it now."""
        entry.changed()
        self._pace.told(entry.run.id)
        self._journal.append(RunChanged(what=what, run=entry.row, reason=reason))
        self._was_told(entry, entry.row)

    def notice(self, level: Literal["warning", "error"], code: str, message: str) -> None:
        """Something went wrong that belongs to no row."""
        self._journal.append(Noticed(level=level, code=code, message=message))

    def rows(self) -> Iterator[RunRow]:
        """Every run as a view shows it."""
        return (entry.row for entry in self._by_id.values())

    def stop(self) -> None:
        """Nothing happens by itself any more."""
        self._pace.stop()
        for entry in self._by_id.values():
            entry.watchdog.stop()
            entry.set_timer(None)

    def _tell_progress(self, run_ids: list[str]) -> None:
        rows: list[RunRow] = []
        for run_id in run_ids:
            entry = self._by_id[run_id]
            row = entry.row
            if row != entry.told:
                rows.append(row)
                self._was_told(entry, row)
        if rows:
            self._journal.append(Progress(runs=rows))

    def _was_told(self, entry: Entry, row: RunRow) -> None:
        entry.told = row
        last = entry.run.log.last
        for follower in entry.following:
            if follower.position < last:
                # where they have got to is told when they get on, and not asked for meanwhile
                follower.on_move = partial(self.moved, entry)
