"""Pane 6: everything the core decided, the newest first, with the operators' acts among it."""

from __future__ import annotations

from typing import assert_never

from console import units
from console.actions import Target
from console.panes.findings import finding_name, finding_subject
from console.panes.pane import Cell, Column, Fact, Pane, Tone, session_target
from console.panes.seats import seat_target
from console.state import ConsoleState, Entry
from console.times import moment
from core.protocol import (
    Acted,
    AnyEvent,
    CostChanged,
    FindingChanged,
    Noticed,
    PinChanged,
    PinGone,
    Progress,
    QueueChanged,
    RunChanged,
    RunGone,
    RunRow,
    SeatChanged,
    SeatGone,
    SessionChanged,
    SessionGone,
)

_LEVELS: dict[str, Tone] = {"info": "", "warning": "warn", "error": "bad"}
_STRUCK: dict[str, Tone] = {
    "stalled": "warn",
    "aborting": "warn",
    "failed": "bad",
    "interrupted": "bad",
    "struck": "warn",
    "escalated": "warn",
}


_FOUND: dict[str, Tone] = {"found": "warn", "kept": "bad", "released": "good", "gone": "dim"}


def _words(name: str) -> str:
    return name.replace("_", " ")


def what(event: AnyEvent) -> Cell:
    """What happened, in a word or two."""
    return _told(event)[0]


def subject(event: AnyEvent) -> str:
    """What it happened to."""
    return _told(event)[1]


def details(event: AnyEvent) -> str:
    """The figures that matter, in one line."""
    return _told(event)[2]


def _told(event: AnyEvent) -> tuple[Cell, str, str]:
    """What happened, to what, and the figures of it."""
    match event:
        case Acted():
            reason = f" ({event.reason})" if event.reason else ""
            text = f"by {event.actor}: {event.outcome}: {event.message}{reason}"
            told = Cell(f"! {event.action}", "accent"), event.target, text
        case Noticed():
            told = (
                Cell(f"{event.level}: {_words(event.code)}", _LEVELS.get(event.level, "")),
                "",
                event.message,
            )
        case RunChanged() | RunGone() | Progress():
            told = _told_of_run(event)
        case SessionChanged():
            session = event.session
            dirty = f", dirty: {session.dirty}" if session.dirty is not None else ""
            text = f"generation {session.generation}{dirty}"
            told = Cell(f"session {_words(event.what)}"), session.session_key, text
        case SessionGone():
            told = Cell(f"session gone: {event.reason}"), event.session_key, f"generation {event.generation}"
        case PinChanged():
            pin, tone = event.pin, _STRUCK.get(event.what, "")
            text = f"{pin.model} ({pin.tier}), strikes {pin.strikes}"
            told = Cell(f"pin {event.what}", tone), pin.session_key, text
        case PinGone():
            told = Cell(f"pin {event.what}"), event.session_key, ""
        case CostChanged():
            text = f"{'~' if event.estimated else ''}{units.money(event.micros)}"
            told = Cell("cost booked"), event.session_key, text
        case SeatChanged():
            seat = event.seat
            told = Cell(f"seat {_words(event.what)}"), seat.user_id, f"{seat.model}, {seat.state}"
        case SeatGone():
            told = Cell(f"seat gone: {_words(event.what)}"), event.user_id, event.model
        case QueueChanged():
            queue = event.queue
            told = Cell("queue", "dim"), queue.model, f"{queue.waiting} waiting, {queue.seated} seated"
        case FindingChanged(what=what, finding=finding):
            text = (
                f"{finding_name(finding)}: {finding.evidence}{f'; {event.message}' if event.message else ''}"
            )
            told = Cell(f"finding {what}", _FOUND[what]), finding_subject(finding), text
        case _:
            assert_never(event)
    return told


def worth_telling(entry: Entry) -> bool:
    """Whether it belongs into the few lines below a table: not what merely follows from something told already."""
    match entry.event:
        case RunGone() | QueueChanged() | Progress() | CostChanged():
            return False
        case SessionChanged(what=what):
            return what not in ("turn_began", "turn_ended")
        case PinChanged(what=what):
            return what != "touched"
        case _:
            return True


def _told_of_run(event: RunChanged | RunGone | Progress) -> tuple[Cell, str, str]:
    match event:
        case RunChanged(run=run):
            word = run.state if event.what == "ended" else event.what
            return (
                Cell(f"run {_words(word)}", _STRUCK.get(word, "")),
                run.session_key,
                _figures(run, event.reason),
            )
        case RunGone():
            return Cell("run forgotten", "dim"), event.session_key, f"run {event.run_id}"
        case Progress():
            return Cell("progress", "dim"), "", ""


def _figures(run: RunRow, reason: str) -> str:
    told = [run.model or run.provider]
    if run.ended_at is not None:
        told.append(units.age(moment(run.ended_at) - moment(run.started_at)))
        told.append(f"{units.short(run.output_tokens)} tokens")
        told.append(f"{'~' if run.estimated else ''}{units.money(run.micros)}")
    if run.exit_code:
        told.append(f"exit {run.exit_code}")
    if reason:
        told.append(reason)
    return ", ".join([*told, f"run {run.run_id}"])


def _facts(entry: Entry, now: int) -> list[Fact]:
    event = entry.event
    happened = what(event)
    return [
        Fact("what", happened.text, happened.tone),
        Fact("of", subject(event) or "–", "strong"),
        Fact("at", f"{event.at[11:] or '–'}"),
        Fact("number", str(event.seq) if event.seq else "–"),
        Fact("", ""),
        Fact("details", details(event)),
    ]


def _target(state: ConsoleState, entry: Entry) -> Target:
    match entry.event:
        case RunChanged(run=run):
            return session_target(state, run.session_key, run_id=run.run_id)
        case SessionChanged() | SessionGone() | PinChanged() | PinGone() | CostChanged() | RunGone():
            return session_target(state, subject(entry.event))
        case SeatChanged(seat=seat):
            return _of_user(state, seat.user_id)
        case SeatGone(user_id=user_id):
            return _of_user(state, user_id)
        case QueueChanged(queue=queue):
            return _of_model(state, queue.model)
        case Acted(target=target):
            return _acted_on(state, target)
        case _:
            return Target(label=subject(entry.event))


def _acted_on(state: ConsoleState, name: str) -> Target:
    """What an act names: a session, a run, a user or a model, as far as there is one of that name."""
    rows = state.rows
    if name in rows.sessions:
        return session_target(state, name)
    if name in rows.runs:
        return session_target(state, rows.runs[name].session_key, run_id=name)
    if name in rows.seats:
        return _of_user(state, name)
    return _of_model(state, name) if name in rows.queues else Target(label=name)


def _of_user(state: ConsoleState, user_id: str) -> Target:
    seat = state.rows.seats.get(user_id)
    return Target(label=user_id, user_id=user_id) if seat is None else seat_target(seat)


def _of_model(state: ConsoleState, model: str) -> Target:
    queue = state.rows.queues.get(model)
    return Target(label=model, model=model, paused=queue is not None and queue.paused)


JOURNAL: Pane[Entry, ConsoleState] = Pane(
    id="journal",
    title="journal",
    columns=(
        Column(
            "time",
            "TIME",
            8,
            lambda entry, now: Cell(units.clock_time(entry.event.at), "dim"),
            lambda entry: entry.number,
            sort_across=lambda entry: (entry.event.at, entry.number),
            raw=lambda entry, now: {"at": entry.event.at},
        ),
        Column(
            "what",
            "WHAT",
            22,
            lambda entry, now: what(entry.event),
            lambda entry: what(entry.event).text,
            raw=lambda entry, now: {"what": what(entry.event).text},
        ),
        Column(
            "of",
            "OF",
            20,
            lambda entry, now: Cell(subject(entry.event)),
            lambda entry: subject(entry.event),
            grow=1,
            raw=lambda entry, now: {"of": subject(entry.event)},
        ),
        Column(
            "details",
            "DETAILS",
            18,
            lambda entry, now: Cell(details(entry.event)),
            lambda entry: details(entry.event),
            priority=1,
            grow=2,
            raw=lambda entry, now: {"details": details(entry.event)},
        ),
    ),
    sort="time",
    descending=True,
    keys=lambda state: (entry.number for entry in state.journal),
    row=lambda state, key: state.entry(key),
    changed=lambda changed: changed.of("journal"),
    search=lambda entry: f"{what(entry.event).text} {subject(entry.event)} {details(entry.event)}",
    facts=_facts,
    target=_target,
    empty=("Nothing has happened since the console was opened.",),
    follow=True,
)
