"""What every pane draws from: the rows of a core, and the one function that changes them.

`reduce` changes a `ConsoleState` in place and is otherwise pure: no clock, no I/O, nothing but the state and the
event decide the outcome, so the same journal gives the same state however it is cut into batches. In place,
because copying dictionaries of 100,000 rows for every event would cost more than drawing them; the rows
themselves are frozen and replaced. Which rows changed is collected in `ConsoleState.changed` until the screen
takes it, so that a frame costs what changed and not what the house holds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sized
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, assert_never

from console.places import Places
from console.times import day, moment
from console.trends import Ahead, Amounts, Level, Speed
from console.walks import Walks
from core.protocol import (
    Acted,
    AnyEvent,
    AnyRow,
    CostChanged,
    CostRow,
    CostScope,
    FindingChanged,
    FindingKind,
    FindingRow,
    Noticed,
    PinChanged,
    PinGone,
    PinRow,
    Progress,
    QueueChanged,
    QueueRow,
    RunChanged,
    RunGone,
    RunRow,
    SeatChanged,
    SeatGone,
    SeatRow,
    SessionChanged,
    SessionGone,
    SessionRow,
    ViewHead,
)

JOURNAL_EVENTS = 2_000
"""How many of the latest events the console keeps."""

IN_FLIGHT = frozenset({"running", "stalled", "aborting"})
"""The states of a run that has not ended."""

Table = Literal["queues", "seats", "runs", "sessions", "pins", "costs", "findings", "journal"]


class CostKey(NamedTuple):
    """What a cost row counts for."""

    scope: CostScope
    key: str


class Entry(NamedTuple):
    """One event in the console's journal; `number` counts up for as long as the console runs."""

    number: int
    event: AnyEvent


class FindingKey(NamedTuple):
    """What a finding is known by."""

    kind: FindingKind
    key: str


class At(NamedTuple):
    """What a row is known by among those of several cores."""

    core: int
    key: Any
    """What its own core knows it by."""


Key = str | int | CostKey | FindingKey | At
"""What a row is known by: a model, user, run or session; a cost's scope and key; a finding's kind and key; an
entry's number. Among several cores, the number of the core as well.
"""


@dataclass(slots=True)
class Changed:
    """The keys of rows that were set or went, by table; `everything` after a new view."""

    everything: bool = False
    rows: dict[Table, set[Key]] = field(default_factory=dict)
    core: int = 0
    """The number of the core that they are of."""

    def __bool__(self) -> bool:
        return self.everything or bool(self.rows)

    def add(self, table: Table, key: Key) -> None:
        """Note that this row is another one now, or gone."""
        keys = self.rows.get(table)
        if keys is None:
            self.rows[table] = {key}
        else:
            keys.add(key)

    def of(self, *tables: Table) -> set[Key]:
        """The changed keys of these tables together; only sensible where they share their keys."""
        return set().union(*(self.rows.get(table, ()) for table in tables))


@dataclass(slots=True)
class Rows:
    """The rows of one view."""

    queues: dict[str, QueueRow] = field(default_factory=dict)
    seats: dict[str, SeatRow] = field(default_factory=dict)
    runs: dict[str, RunRow] = field(default_factory=dict)
    sessions: dict[str, SessionRow] = field(default_factory=dict)
    pins: dict[str, PinRow] = field(default_factory=dict)
    costs: dict[CostKey, CostRow] = field(default_factory=dict)
    findings: dict[FindingKey, FindingRow] = field(default_factory=dict)
    latest: dict[str, str] = field(default_factory=dict)
    """The latest run of each session, as long as it is kept."""
    models: set[str] = field(default_factory=set)
    """The models that there is a queue of, or that were paid for."""

    def put(self, row: AnyRow) -> None:
        """Set one row under its own key."""
        match row:
            case RunRow():
                self._put_run(row)
            case SessionRow():
                self.sessions[row.session_key] = row
            case CostRow():
                self.costs[CostKey(row.scope, row.key)] = row
                if row.scope == "model":
                    self.models.add(row.key)
            case PinRow():
                self.pins[row.session_key] = row
            case SeatRow():
                self.seats[row.user_id] = row
            case QueueRow():
                self.queues[row.model] = row
                self.models.add(row.model)
            case FindingRow():
                self.findings[FindingKey(row.kind, row.key)] = row
            case _:
                assert_never(row)

    def drop_run(self, run_id: str) -> RunRow | None:
        """Take a run away; answers it."""
        gone = self.runs.pop(run_id, None)
        if gone is not None and self.latest.get(gone.session_key) == run_id:
            del self.latest[gone.session_key]
        return gone

    def _put_run(self, run: RunRow) -> None:
        self.runs[run.run_id] = run
        known = self.runs.get(self.latest.get(run.session_key, ""))
        # in a view they come in any order; times of the wire are not all equally long
        if known is None or moment(known.started_at) <= moment(run.started_at):
            self.latest[run.session_key] = run.run_id

    def count(self) -> int:
        """How many rows there are."""
        few = len(self.queues) + len(self.seats) + len(self.runs)
        return few + len(self.sessions) + len(self.pins) + len(self.costs) + len(self.findings)


@dataclass(slots=True)
class Totals:
    """Figures of the whole house, kept as rows change so that nobody ever counts."""

    in_flight: int = 0
    waiting: int = 0
    seated: int = 0
    micros: int = 0


@dataclass(slots=True)
class Trends:
    """The last minutes, as far as the console has seen them: people and turns as they stood, money as it was spent."""

    in_flight: Level = field(default_factory=Level)
    waiting: dict[str, Level] = field(default_factory=dict)
    """By model."""
    admitted: Amounts[str] = field(default_factory=Amounts)
    """People let in, by model."""
    spent: Amounts[CostKey | None] = field(default_factory=Amounts)
    """By what it was spent on; None is the whole house. Turns in flight count with what they cost so far."""
    ahead: Ahead[CostKey | None] = field(default_factory=Ahead)
    """What of that is not booked yet, by session."""
    speeds: dict[str, Speed] = field(default_factory=dict)
    """Events a second of each run in flight."""


@dataclass(slots=True)
class ConsoleState:
    """The state of one core at one cursor, the latest events, and what changed since somebody looked."""

    head: ViewHead | None = None
    cursor: str = ""
    rows: Rows = field(default_factory=Rows)
    totals: Totals = field(default_factory=Totals)
    trends: Trends = field(default_factory=Trends)
    places: Places = field(default_factory=Places)
    walks: Walks = field(default_factory=Walks)
    journal: deque[Entry] = field(default_factory=deque)
    noted: int = 0
    changed: Changed = field(default_factory=Changed)
    arriving: tuple[ViewHead, Rows] | None = None
    number: int = 0
    """The core's place among those that the console is attached to."""

    def take_changed(self, now: int) -> Changed:
        """What changed since the last call, up to the core's time `now` in milliseconds."""
        for model in self.trends.admitted.forget(now):
            self.changed.add("queues", model)
        for key in self.trends.spent.forget(now):
            if key is not None:
                self.changed.add("costs", key)
        changed, self.changed = self.changed, Changed(core=self.number)
        changed.core = self.number
        return changed

    def count(self, table: Table) -> int:
        """How many rows there are of that kind."""
        held: Sized = self.journal if table == "journal" else getattr(self.rows, table)
        return len(held)

    def entry(self, number: int) -> Entry | None:
        """The journal's entry of that number, unless it is no longer kept."""
        if not self.journal:
            return None
        index = number - self.journal[0].number
        # near an end in practice: a frame asks for the newest entries, and for those that just went
        return self.journal[index] if 0 <= index < len(self.journal) else None

    def view_progress(self) -> tuple[int, int] | None:
        """How many rows of how many have come, while a view is on its way."""
        if self.arriving is None:
            return None
        head, rows = self.arriving
        return rows.count(), sum(head.counts.values())


def begin_view(state: ConsoleState, head: ViewHead) -> None:
    """A new view begins; what is shown stays until it is complete."""
    state.arriving = (head, Rows())


def add_rows(state: ConsoleState, rows: Iterable[AnyRow]) -> None:
    """More rows of the view that is on its way; raises ValueError when none is."""
    if state.arriving is None:
        raise ValueError("rows of a view that has not begun")
    arriving = state.arriving[1]
    for row in rows:
        arriving.put(row)


def end_view(state: ConsoleState, cursor: str) -> None:
    """The view is complete: it replaces what was shown. Raises ValueError when none has begun.

    The events that the console has seen stay in its journal; after a gap, or a restart of the core, a notice
    among them says that some are missing.
    """
    if state.arriving is None:
        raise ValueError("the end of a view that has not begun")
    before = state.head
    state.head, state.rows = state.arriving
    state.arriving = None
    state.cursor = cursor
    state.totals = _count(state.rows)
    _take_stock(state, moment(state.head.now))
    if before is not None:
        restarted = before.epoch != state.head.epoch
        text = "the core was restarted" if restarted else "the console fell behind"
        _note(
            state,
            Noticed(
                level="warning",
                code="gap",
                at=state.head.now,
                message=f"{text}: this is a new view, and events before it may be missing here",
            ),
        )
    state.changed.everything = True


def recall(state: ConsoleState, events: Iterable[AnyEvent]) -> None:
    """Put events from before the view into the journal, and nowhere else: the view has their outcome already."""
    for event in events:
        if not isinstance(event, Progress):
            _note(state, event)


def send_abort(state: ConsoleState, run_id: str, now: int) -> None:
    """This console is about to ask for a run to be aborted, at the core's time `now` in milliseconds."""
    run = state.rows.runs.get(run_id)
    if run is not None:
        state.walks.send(run_id, run.session_key, now)
        state.changed.add("runs", run_id)


def refuse_abort(state: ConsoleState, run_id: str) -> None:
    """What this console asked for was refused: as far as nobody else's abort is under way, there is none."""
    if state.walks.take_back(run_id):
        state.changed.add("runs", run_id)


def reduce(state: ConsoleState, event: AnyEvent) -> None:
    """Bring the state forward by one event; see the module's docstring for what is pure about it."""
    rows, changed = state.rows, state.changed
    match event:
        case Progress():
            _reduce_runs(state, event)
            return  # four a second, and they say nothing that the runs do not show
        case RunChanged() | RunGone():
            _reduce_runs(state, event)
        case SessionChanged():
            _set_session(state, event.session)
            if event.what == "turn_ended":
                aborted = state.walks.freed(event.session.session_key, moment(event.at))
                if aborted is not None:
                    changed.add("runs", aborted)
        case SessionGone():
            known_session = rows.sessions.get(event.session_key)
            if known_session is not None and known_session.generation <= event.generation:
                del rows.sessions[event.session_key]
                changed.add("sessions", event.session_key)
        case SeatChanged() | SeatGone() | QueueChanged():
            _reduce_admission(state, event)
        case PinChanged():
            rows.pins[event.pin.session_key] = event.pin
            changed.add("pins", event.pin.session_key)
        case PinGone():
            if rows.pins.pop(event.session_key, None) is not None:
                changed.add("pins", event.session_key)
        case CostChanged():
            _book(state, event)
        case FindingChanged():
            _set_finding(state, event)
        case Acted() | Noticed():
            pass
        case _:
            assert_never(event)
    _note(state, event)


def _reduce_runs(state: ConsoleState, event: Progress | RunChanged | RunGone) -> None:
    rows, changed = state.rows, state.changed
    match event:
        case Progress():
            for run in event.runs:
                # a run that ended or went meanwhile does not come back by a late figure
                known = rows.runs.get(run.run_id)
                if known is not None and (known.state in IN_FLIGHT or known.state == run.state):
                    _set_run(state, run, moment(event.at))
        case RunChanged():
            _set_run(state, event.run, moment(event.at))
            state.trends.in_flight.note(moment(event.at), state.totals.in_flight)
            _ = state.walks.note(event, moment(event.at))
        case RunGone():
            gone = rows.drop_run(event.run_id)
            state.walks.forget(event.run_id)
            if gone is not None:
                state.totals.in_flight -= gone.state in IN_FLIGHT
                _ = state.trends.speeds.pop(event.run_id, None)
                changed.add("runs", event.run_id)
                changed.add("sessions", gone.session_key)


def _reduce_admission(state: ConsoleState, event: SeatChanged | SeatGone | QueueChanged) -> None:
    rows, changed = state.rows, state.changed
    match event:
        case SeatChanged():
            state.places.put(rows.seats.get(event.seat.user_id), event.seat)
            rows.seats[event.seat.user_id] = event.seat
            if event.what in ("admitted", "admitted_now"):
                state.trends.admitted.add(event.seat.model, moment(event.at), 1)
            changed.add("seats", event.seat.user_id)
        case SeatGone():
            gone = rows.seats.pop(event.user_id, None)
            if gone is not None:
                state.places.drop(gone)
                changed.add("seats", event.user_id)
        case QueueChanged():
            before = rows.queues.get(event.queue.model)
            if before is not None:
                state.totals.waiting -= before.waiting
                state.totals.seated -= before.seated
            state.totals.waiting += event.queue.waiting
            state.totals.seated += event.queue.seated
            rows.queues[event.queue.model] = event.queue
            rows.models.add(event.queue.model)
            _level(state, event.queue.model).note(moment(event.at), event.queue.waiting)
            changed.add("queues", event.queue.model)


def _set_run(state: ConsoleState, run: RunRow, now: int) -> None:
    before = state.rows.runs.get(run.run_id)
    state.totals.in_flight += (run.state in IN_FLIGHT) - (before is not None and before.state in IN_FLIGHT)
    state.rows.put(run)
    _set_speed(state, run, now)
    _spend(state, run, now)
    state.changed.add("runs", run.run_id)
    if before is None or (before.state, before.tool, before.approval) != (run.state, run.tool, run.approval):
        # the session's line shows how its turn stands, and what it is at
        state.changed.add("sessions", run.session_key)


def _set_speed(state: ConsoleState, run: RunRow, now: int) -> None:
    speeds = state.trends.speeds
    if run.state not in IN_FLIGHT:
        _ = speeds.pop(run.run_id, None)
    elif run.run_id in speeds:
        speeds[run.run_id].note(now, run.last_seq)
    else:
        speeds[run.run_id] = Speed(now, run.last_seq)


def _set_session(state: ConsoleState, session: SessionRow) -> None:
    known = state.rows.sessions.get(session.session_key)
    if known is None or known.generation <= session.generation:
        state.rows.sessions[session.session_key] = session
        state.changed.add("sessions", session.session_key)


def _set_finding(state: ConsoleState, event: FindingChanged) -> None:
    finding = event.finding
    key = FindingKey(finding.kind, finding.key)
    if event.what in ("released", "gone"):
        state.rows.findings.pop(key, None)
    else:
        state.rows.findings[key] = finding
    state.changed.add("findings", key)


def _spend(state: ConsoleState, run: RunRow, now: int) -> None:
    """A turn in flight costs more by now; or it is over, and what was not booked of it was never spent."""
    ahead, key = state.trends.ahead, run.session_key
    if run.state in IN_FLIGHT:
        if key not in ahead:
            ahead.begin(key, 0, _spent_on(state, run, now))
        more, keys = ahead.grow(key, run.micros)
    else:
        counted, keys = ahead.settle(key)
        more = -counted
    if more:
        _add_spent(state, dict.fromkeys(keys, more), now)


def _spent_on(state: ConsoleState, run: RunRow, now: int) -> tuple[CostKey | None, ...]:
    """What a run's cost will be booked on, as far as that is known before."""
    session = state.rows.sessions.get(run.session_key)
    known: tuple[tuple[CostScope, str | None], ...] = (
        ("session", run.session_key),
        ("user", run.user_id),
        ("model", run.model),
        ("project", session.project if session is not None else None),
        ("day", day(now)),
    )
    return None, *(CostKey(scope, key) for scope, key in known if key)


def _book(state: ConsoleState, event: CostChanged) -> None:
    """A turn is paid for: what has not counted yet counts now."""
    counted, keys = state.trends.ahead.settle(event.session_key)
    spent: dict[CostKey | None, int] = dict.fromkeys(keys, -counted)
    for cost in event.costs:
        key = CostKey(cost.scope, cost.key)
        before = state.rows.costs.get(key)
        more = cost.micros - (before.micros if before else 0)
        spent[key] = spent.get(key, 0) + more
        if cost.scope == "model":
            # every turn counts for exactly one model, so the models' sum is what the house has spent
            state.totals.micros += more
            spent[None] = spent.get(None, 0) + more
        state.rows.put(cost)
        state.changed.add("costs", key)
    _add_spent(state, spent, moment(event.at))


def _add_spent(state: ConsoleState, spent: dict[CostKey | None, int], now: int) -> None:
    for key, micros in spent.items():
        state.trends.spent.add(key, now, micros)
        if key is not None:
            state.changed.add("costs", key)


def _level(state: ConsoleState, model: str) -> Level:
    return state.trends.waiting.setdefault(model, Level())


def _take_stock(state: ConsoleState, now: int) -> None:
    """How all stands in a new view; a queue that is gone has no trend any more."""
    waiting = state.trends.waiting
    for model in waiting.keys() - state.rows.queues.keys():
        del waiting[model]
    for model, queue in state.rows.queues.items():
        _level(state, model).note(now, queue.waiting)
    state.trends.in_flight.note(now, state.totals.in_flight)
    state.trends.spent.begin(now)
    state.trends.admitted.begin(now)
    state.places = Places()
    for seat in state.rows.seats.values():
        state.places.put(None, seat)
    for run_id in state.walks.by_run.keys() - state.rows.runs.keys():
        state.walks.forget(run_id)
    state.trends.speeds = {}
    state.trends.ahead = Ahead()
    for run in state.rows.runs.values():
        _set_speed(state, run, now)
        if run.state in IN_FLIGHT:
            state.trends.ahead.begin(run.session_key, run.micros, _spent_on(state, run, now))


def _note(state: ConsoleState, event: AnyEvent) -> None:
    state.noted += 1
    state.journal.append(Entry(state.noted, event))
    state.changed.add("journal", state.noted)
    while len(state.journal) > JOURNAL_EVENTS:
        state.changed.add("journal", state.journal.popleft().number)


def _count(rows: Rows) -> Totals:
    return Totals(
        in_flight=sum(run.state in IN_FLIGHT for run in rows.runs.values()),
        waiting=sum(queue.waiting for queue in rows.queues.values()),
        seated=sum(queue.seated for queue in rows.queues.values()),
        micros=sum(cost.micros for cost in rows.costs.values() if cost.scope == "model"),
    )
