"""What the journal's events come to: figures that only grow, and the runs that are on their way.

Counting costs one event what one event says; nothing here looks at what the house holds.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

from core.clock import parse_timestamp
from core.metrics.histogram import WAITS, Histogram
from core.protocol import (
    Acted,
    AnyEvent,
    CostChanged,
    FindingChanged,
    PinChanged,
    Progress,
    RunChanged,
    RunRow,
    SeatChanged,
    SeatGone,
    SeatRow,
    SessionChanged,
    SessionGone,
)


class Tally:
    """The sums of one life of a core; `note` is told every event of its journal."""

    def __init__(self) -> None:
        self.admissions: Counter[tuple[str, str]] = Counter()
        """By model, and by what way: ``admitted`` or ``admitted_now``."""
        self.waits: defaultdict[str, Histogram] = defaultdict(lambda: Histogram(WAITS))
        """By model, seconds from joining the queue to the seat."""
        self.seats_gone: Counter[tuple[str, str]] = Counter()
        """By model, and why."""
        self.sessions: Counter[str] = Counter()
        """How many were built: ``created`` or ``rebuilt``."""
        self.evictions: Counter[str] = Counter()
        """By reason."""
        self.runs_ended: Counter[str] = Counter()
        """By the state in which they ended."""
        self.stalls = 0
        self.events = 0
        """Of runs: every number that one of them gave out, as far as it was told."""
        self.strikes = 0
        self.escalations = 0
        self.micros: Counter[tuple[str, bool]] = Counter()
        """Micro-USD by model ('' where none is known), and whether they are estimated."""
        self.acts: Counter[tuple[str, str]] = Counter()
        """Operators' acts, by action and outcome."""
        self.findings: Counter[str] = Counter()
        """What the reconciler found, by kind."""
        self.running: Counter[str] = Counter()
        """How many runs are in each state that is no end."""
        self._states: dict[str, str] = {}
        self._seqs: dict[str, int] = {}
        self._counting: dict[type, Callable[[Any], None]] = {
            SeatChanged: self._seat,
            SeatGone: self._seat_gone,
            SessionChanged: self._session,
            SessionGone: self._session_gone,
            RunChanged: self._run,
            Progress: self._progress,
            PinChanged: self._pin,
            CostChanged: self._cost,
            Acted: self._acted,
            FindingChanged: self._finding,
        }

    def note(self, event: AnyEvent) -> None:
        """Count an event; one that says nothing to be counted changes nothing."""
        counting = self._counting.get(type(event))
        if counting is not None:
            counting(event)

    def _seat(self, event: SeatChanged) -> None:
        if event.what in ("admitted", "admitted_now"):
            self.admissions[event.seat.model, event.what] += 1
            self.waits[event.seat.model].note(_waited(event.seat))

    def _seat_gone(self, event: SeatGone) -> None:
        self.seats_gone[event.model, event.what] += 1

    def _session(self, event: SessionChanged) -> None:
        if event.what in ("created", "rebuilt"):
            self.sessions[event.what] += 1

    def _session_gone(self, event: SessionGone) -> None:
        self.evictions[event.reason] += 1

    def _run(self, event: RunChanged) -> None:
        self._moved(event.run)
        self.stalls += event.what == "stalled"
        if event.what == "ended":
            self.runs_ended[event.run.state] += 1

    def _progress(self, event: Progress) -> None:
        for run in event.runs:
            self._moved(run)

    def _moved(self, run: RunRow) -> None:
        """A run that has ended may still be told of once; it is not counted anew."""
        before = self._states.get(run.run_id)
        if before is None and run.ended_at is not None:
            return
        self.events += run.last_seq - self._seqs.get(run.run_id, 0)
        self._seqs[run.run_id] = run.last_seq
        if before is not None:
            self.running[before] -= 1
        if run.ended_at is None:
            self._states[run.run_id] = run.state
            self.running[run.state] += 1
        else:
            del self._states[run.run_id], self._seqs[run.run_id]

    def _pin(self, event: PinChanged) -> None:
        self.strikes += event.what == "struck"
        self.escalations += event.what == "escalated"

    def _cost(self, event: CostChanged) -> None:
        model = next((row.key for row in event.costs if row.scope == "model"), "")
        self.micros[model, event.estimated] += event.micros

    def _acted(self, event: Acted) -> None:
        self.acts[event.action, event.outcome] += 1

    def _finding(self, event: FindingChanged) -> None:
        self.findings[event.finding.kind] += event.what == "found"


def _waited(seat: SeatRow) -> float:
    if seat.admitted_at is None:
        return 0.0
    return max(0, parse_timestamp(seat.admitted_at) - parse_timestamp(seat.queued_at)) / 1000
