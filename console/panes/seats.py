"""The pane behind a queue: who sits there and who waits, in their order, with their place and how long it will take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from console import units
from console.actions import Target
from console.panes.pane import Cell, Column, Fact, Pane
from console.places import Places
from console.state import ConsoleState
from console.times import moment
from core.protocol import QueueRow, SeatRow

_STATES: dict[str, Cell] = {
    "active": Cell("● active", "good"),
    "queued": Cell("◌ queued", "warn"),
    "ended": Cell("○ ended", "dim"),
}
_ORDER = {"queued": 0, "active": 1, "ended": 2}


class SeatLine(NamedTuple):
    """One seat, and what its place in the queue is counted from."""

    seat: SeatRow
    places: Places
    queues: Mapping[str, QueueRow]


def _row(state: ConsoleState, user_id: str) -> SeatLine | None:
    seat = state.rows.seats.get(user_id)
    return None if seat is None else SeatLine(seat, state.places, state.rows.queues)


def _seat(line: SeatLine) -> Cell:
    if line.seat.banned:
        return Cell("✗ banned", "bad")
    return _STATES.get(line.seat.state, Cell(line.seat.state))


def _rank(line: SeatLine) -> tuple[int, int]:
    """The queue in its order; then those who sit, the next to leave first."""
    seat = line.seat
    within = seat.ticket if seat.state == "queued" else moment(seat.expires_at or "")
    return _ORDER.get(seat.state, len(_ORDER)), within


def _place(line: SeatLine) -> Cell:
    place = line.places.of(line.seat)
    return Cell("–", "dim") if place is None else Cell(units.count(place))


def _wait(line: SeatLine) -> int | None:
    """Milliseconds to the head of the queue and through the next tick's admissions; None where nobody can tell."""
    place, queue = line.places.of(line.seat), line.queues.get(line.seat.model)
    if place is None or queue is None or queue.paused_reason is not None or not queue.tick_ms:
        return None
    return (place - 1) // max(1, queue.admits_per_tick) * queue.tick_ms


def _estimate(line: SeatLine) -> Cell:
    """How long they still wait, or what holds the queue."""
    queue = line.queues.get(line.seat.model)
    if line.places.of(line.seat) is None or queue is None:
        return Cell("–", "dim")
    if queue.paused_reason is not None:
        return Cell(f"‖ {queue.paused_reason}", "warn")
    waits = _wait(line)
    if waits is None:
        return Cell("?", "dim")
    return Cell(f"~{units.age(waits)}" if waits else "next")


def _left(line: SeatLine, now: int) -> Cell:
    ends = line.seat.expires_at
    return Cell("–", "dim") if ends is None else Cell(units.age(moment(ends) - now))


def _facts(line: SeatLine, now: int) -> list[Fact]:
    seat, state = line.seat, _seat(line)
    return [
        Fact("user", seat.user_id, "strong"),
        Fact("seat", state.text, state.tone),
        Fact("model", seat.model),
        Fact("access", seat.access_tier),
        Fact("", ""),
        Fact("place", _place(line).text),
        Fact("let in", _estimate(line).text, _estimate(line).tone),
        Fact("asked", f"{units.age(now - moment(seat.queued_at))} ago"),
        Fact("admitted", f"{units.age(now - moment(seat.admitted_at))} ago" if seat.admitted_at else "–"),
        Fact("time left", _left(line, now).text),
        Fact("", ""),
        Fact("i", "says why they wait, and where they come from"),
    ]


def seat_target(seat: SeatRow) -> Target:
    """What a command aims at whose cursor is on somebody's seat."""
    return Target(
        label=seat.user_id,
        user_id=seat.user_id,
        model=seat.model,
        seat=seat.state,
        banned=seat.banned,
        explains=("seat", seat.user_id),
    )


SEATS: Pane[SeatLine, ConsoleState] = Pane(
    id="seats",
    title="seats",
    house_wide=True,
    columns=(
        Column(
            "state",
            "SEAT",
            9,
            lambda line, now: _seat(line),
            _rank,
            raw=lambda line, now: {"state": line.seat.state, "banned": line.seat.banned},
        ),
        Column(
            "user",
            "USER",
            16,
            lambda line, now: Cell(line.seat.user_id),
            lambda line: line.seat.user_id,
            grow=2,
            ideal=24,
            raw=lambda line, now: {"user_id": line.seat.user_id},
        ),
        Column(
            "place",
            "PLACE",
            7,
            lambda line, now: _place(line),
            _rank,
            "right",
            raw=lambda line, now: {"place": line.places.of(line.seat)},
        ),
        Column(
            "estimate",
            "LET IN",
            11,
            lambda line, now: _estimate(line),
            _rank,
            "right",
            raw=lambda line, now: {"estimated_wait_ms": _wait(line)},
        ),
        Column(
            "asked",
            "ASKED",
            7,
            lambda line, now: Cell(units.age(now - moment(line.seat.queued_at))),
            lambda line: line.seat.queued_at,
            "right",
            raw=lambda line, now: {"queued_at": line.seat.queued_at},
        ),
        Column(
            "left",
            "LEFT",
            7,
            _left,
            lambda line: line.seat.expires_at or "~",
            "right",
            raw=lambda line, now: {"expires_at": line.seat.expires_at},
        ),
        Column(
            "access",
            "ACCESS",
            8,
            lambda line, now: Cell(line.seat.access_tier, "dim"),
            lambda line: line.seat.access_tier,
            priority=1,
            raw=lambda line, now: {"access_tier": line.seat.access_tier},
        ),
        Column(
            "model",
            "MODEL",
            14,
            lambda line, now: Cell(line.seat.model, "dim"),
            lambda line: line.seat.model,
            priority=3,
            grow=1,
            raw=lambda line, now: {"model": line.seat.model},
        ),
    ),
    sort="state",
    descending=False,
    keys=lambda state: state.rows.seats,
    row=_row,
    changed=lambda changed: changed.of("seats"),
    search=lambda line: f"{line.seat.user_id} {line.seat.model} {line.seat.state} {line.seat.access_tier}",
    facts=_facts,
    target=lambda state, line: seat_target(line.seat),
    worth=("admit", "evict", "ban", "why"),
    empty=("No seats: nobody has asked for this model, or everybody has left.",),
)
