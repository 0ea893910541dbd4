"""Pane 1: the models with their queues and seats; behind each, the seats themselves."""

from __future__ import annotations

from console import units
from console.actions import Target
from console.panes.pane import Cell, Column, Fact, Pane
from console.panes.times import moment
from core.protocol import QueueRow, SeatRow

_HEALTH: dict[str, Cell] = {
    "healthy": Cell("● healthy", "good"),
    "degraded": Cell("◐ degraded", "warn"),
    "unhealthy": Cell("✗ unhealthy", "bad"),
}
_SEATS: dict[str, Cell] = {
    "active": Cell("● active", "good"),
    "queued": Cell("◌ queued", "warn"),
    "ended": Cell("○ ended", "dim"),
}
_SEAT_ORDER = {"active": 0, "queued": 1, "ended": 2}


def _health(queue: QueueRow) -> Cell:
    return _HEALTH.get(queue.health, Cell(queue.health))


def _door(queue: QueueRow) -> Cell:
    return Cell("▶ open", "") if queue.paused_reason is None else Cell(f"‖ {queue.paused_reason}", "warn")


def _waited(queue: QueueRow, now: int) -> Cell:
    if queue.oldest_queued_at is None:
        return Cell("–", "dim")
    return Cell(units.age(now - moment(queue.oldest_queued_at)), "warn")


def _limit(capacity: int) -> str:
    return units.count(capacity) if capacity else "–"


def _queue_facts(queue: QueueRow, now: int) -> list[Fact]:
    health, door = _health(queue), _door(queue)
    return [
        Fact("model", queue.model, "strong"),
        Fact("name", queue.name),
        Fact("tier", queue.tier),
        Fact("health", health.text, health.tone),
        Fact("door", door.text, door.tone),
        Fact("", ""),
        Fact("waiting", units.count(queue.waiting)),
        Fact("oldest", _waited(queue, now).text),
        Fact("seated", units.count(queue.seated)),
        Fact("draining", units.count(queue.draining)),
        Fact("", ""),
        Fact("at once up to", _limit(queue.instant_admit_capacity)),
        Fact("ceiling", _limit(queue.max_active)),
        Fact("", ""),
        Fact("enter", "shows the seats"),
    ]


QUEUES: Pane[QueueRow] = Pane(
    id="queues",
    title="queues",
    columns=(
        Column("model", "MODEL", 22, lambda queue, now: Cell(queue.model), lambda queue: queue.model, grow=2),
        Column(
            "tier",
            "TIER",
            9,
            lambda queue, now: Cell(queue.tier, "dim"),
            lambda queue: queue.tier,
            priority=3,
        ),
        Column(
            "door",
            "DOOR",
            11,
            lambda queue, now: _door(queue),
            lambda queue: queue.paused_reason or "",
            priority=1,
        ),
        Column(
            "health", "HEALTH", 11, lambda queue, now: _health(queue), lambda queue: queue.health, priority=2
        ),
        Column(
            "waiting",
            "WAITING",
            7,
            lambda queue, now: Cell(units.count(queue.waiting), "strong" if queue.waiting else "dim"),
            lambda queue: queue.waiting,
            "right",
        ),
        Column("oldest", "OLDEST", 7, _waited, lambda queue: queue.oldest_queued_at or "~", "right"),
        Column(
            "seated",
            "SEATED",
            7,
            lambda queue, now: Cell(units.count(queue.seated)),
            lambda queue: queue.seated,
            "right",
        ),
        Column(
            "draining",
            "GRACE",
            6,
            lambda queue, now: Cell(units.count(queue.draining), "" if queue.draining else "dim"),
            lambda queue: queue.draining,
            "right",
            priority=4,
        ),
        Column(
            "instant",
            "AT ONCE",
            8,
            lambda queue, now: Cell(_limit(queue.instant_admit_capacity), "dim"),
            lambda queue: queue.instant_admit_capacity,
            "right",
            priority=6,
        ),
        Column(
            "ceiling",
            "CEILING",
            8,
            lambda queue, now: Cell(_limit(queue.max_active), "dim"),
            lambda queue: queue.max_active,
            "right",
            priority=5,
        ),
    ),
    sort="model",
    descending=False,
    keys=lambda state: state.rows.queues,
    row=lambda state, key: state.rows.queues.get(key),
    changed=lambda changed: changed.of("queues"),
    search=lambda queue: (
        f"{queue.model} {queue.name} {queue.tier} {queue.health} {queue.paused_reason or 'open'}"
    ),
    facts=_queue_facts,
    target=lambda state, queue: Target(label=queue.model),
    empty=(
        "No models are set up for admission, so nobody queues: everybody is let in.",
        "Name some under [[admission.models]] in the settings, for seats and a queue.",
    ),
)


def _seat_state(seat: SeatRow) -> Cell:
    return _SEATS.get(seat.state, Cell(seat.state))


def _left(seat: SeatRow, now: int) -> Cell:
    return Cell("–", "dim") if seat.expires_at is None else Cell(units.age(moment(seat.expires_at) - now))


def _seat_facts(seat: SeatRow, now: int) -> list[Fact]:
    state = _seat_state(seat)
    return [
        Fact("user", seat.user_id, "strong"),
        Fact("seat", state.text, state.tone),
        Fact("model", seat.model),
        Fact("access", seat.access_tier),
        Fact("asked", f"{units.age(now - moment(seat.queued_at))} ago"),
        Fact("admitted", f"{units.age(now - moment(seat.admitted_at))} ago" if seat.admitted_at else "–"),
        Fact("time left", _left(seat, now).text),
    ]


SEATS: Pane[SeatRow] = Pane(
    id="seats",
    title="seats",
    columns=(
        Column(
            "state",
            "SEAT",
            9,
            lambda seat, now: _seat_state(seat),
            lambda seat: (_SEAT_ORDER.get(seat.state, 9), seat.queued_at),
        ),
        Column("user", "USER", 20, lambda seat, now: Cell(seat.user_id), lambda seat: seat.user_id, grow=2),
        Column(
            "model",
            "MODEL",
            18,
            lambda seat, now: Cell(seat.model),
            lambda seat: seat.model,
            priority=1,
            grow=1,
        ),
        Column(
            "access",
            "ACCESS",
            8,
            lambda seat, now: Cell(seat.access_tier, "dim"),
            lambda seat: seat.access_tier,
            priority=2,
        ),
        Column(
            "asked",
            "ASKED",
            7,
            lambda seat, now: Cell(units.age(now - moment(seat.queued_at))),
            lambda seat: seat.queued_at,
            "right",
        ),
        Column("left", "LEFT", 7, _left, lambda seat: seat.expires_at or "~", "right"),
    ),
    sort="state",
    descending=False,
    keys=lambda state: state.rows.seats,
    row=lambda state, key: state.rows.seats.get(key),
    changed=lambda changed: changed.of("seats"),
    search=lambda seat: f"{seat.user_id} {seat.model} {seat.state} {seat.access_tier}",
    facts=_seat_facts,
    target=lambda state, seat: Target(label=seat.user_id),
    empty=("No seats: nobody has asked for this model, or everybody has left.",),
)
