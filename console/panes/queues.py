"""Pane 1: the models with their queues and seats."""

from __future__ import annotations

from typing import NamedTuple

from console import units
from console.actions import Target
from console.panes.pane import Cell, Column, Fact, Pane
from console.state import ConsoleState
from console.times import moment
from console.trends import Amounts, Level, spark
from core.protocol import QueueRow

_HEALTH: dict[str, Cell] = {
    "healthy": Cell("● healthy", "good"),
    "degraded": Cell("◐ degraded", "warn"),
    "unhealthy": Cell("✗ unhealthy", "bad"),
}
_FEW = 7
"""A queue that never had more people is drawn low, not as high as the house's longest."""


class QueueLine(NamedTuple):
    """A model's queue, and how many waited in it lately."""

    queue: QueueRow
    waiting: Level
    admitted: Amounts[str]


def _row(state: ConsoleState, model: str) -> QueueLine | None:
    queue = state.rows.queues.get(model)
    return (
        None
        if queue is None
        else QueueLine(queue, state.trends.waiting.get(model, Level()), state.trends.admitted)
    )


def _search(line: QueueLine) -> str:
    queue = line.queue
    return f"{queue.model} {queue.name} {queue.tier} {queue.health} {queue.paused_reason or 'open'}"


def _trend(line: QueueLine, now: int) -> Cell:
    figures = line.waiting.series(now)
    return Cell(spark(figures, max(_FEW, *(figure or 0 for figure in figures))), "accent")


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


def _admitted(line: QueueLine, now: int) -> Cell:
    """Admissions a minute, over the last minutes."""
    rate = line.admitted.per_hour(line.queue.model, now) / 60
    return Cell(f"{rate:.1f}/m") if rate else Cell("–", "dim")


def _queue_facts(line: QueueLine, now: int) -> list[Fact]:
    queue = line.queue
    health, door = _health(queue), _door(queue)
    return [
        Fact("model", queue.model, "strong"),
        Fact("name", queue.name),
        Fact("tier", queue.tier),
        Fact("health", health.text, health.tone),
        Fact("door", door.text, door.tone),
        Fact("", ""),
        Fact("waiting", units.count(queue.waiting)),
        Fact("last 10 min", _trend(line, now).text, "accent"),
        Fact("oldest", _waited(queue, now).text),
        Fact("admitted", _admitted(line, now).text),
        Fact("seated", units.count(queue.seated)),
        Fact("draining", units.count(queue.draining)),
        Fact("", ""),
        Fact("at once up to", _limit(queue.instant_admit_capacity)),
        Fact("ceiling", _limit(queue.max_active)),
        Fact("", ""),
        Fact("enter", "shows who sits and who waits"),
    ]


QUEUES: Pane[QueueLine, ConsoleState] = Pane(
    id="queues",
    title="queues",
    house_wide=True,
    columns=(
        Column(
            "model",
            "MODEL",
            16,
            lambda line, now: Cell(line.queue.model),
            lambda line: line.queue.model,
            grow=2,
            ideal=24,
            raw=lambda line, now: {"model": line.queue.model},
        ),
        Column(
            "tier",
            "TIER",
            9,
            lambda line, now: Cell(line.queue.tier, "dim"),
            lambda line: line.queue.tier,
            priority=3,
            raw=lambda line, now: {"tier": line.queue.tier},
        ),
        Column(
            "door",
            "DOOR",
            11,
            lambda line, now: _door(line.queue),
            lambda line: line.queue.paused_reason or "",
            priority=1,
            raw=lambda line, now: {"paused_reason": line.queue.paused_reason},
        ),
        Column(
            "health",
            "HEALTH",
            11,
            lambda line, now: _health(line.queue),
            lambda line: line.queue.health,
            priority=2,
            raw=lambda line, now: {"health": line.queue.health},
        ),
        Column(
            "waiting",
            "WAITING",
            7,
            lambda line, now: Cell(
                units.count(line.queue.waiting), "strong" if line.queue.waiting else "dim"
            ),
            lambda line: line.queue.waiting,
            "right",
            raw=lambda line, now: {"waiting": line.queue.waiting},
        ),
        Column(
            "trend",
            "LAST 10M",
            10,
            _trend,
            lambda line: line.queue.waiting,
            priority=2,
            raw=lambda line, now: {"waiting_by_minute": line.waiting.series(now)},
        ),
        Column(
            "oldest",
            "OLDEST",
            7,
            lambda line, now: _waited(line.queue, now),
            lambda line: line.queue.oldest_queued_at or "~",
            "right",
            raw=lambda line, now: {"oldest_queued_at": line.queue.oldest_queued_at},
        ),
        Column(
            "admitted",
            "ADMITTED",
            8,
            _admitted,
            lambda line: line.admitted.total(line.queue.model),
            "right",
            priority=2,
            raw=lambda line, now: {"admitted_by_minute": line.admitted.series(line.queue.model, now)},
        ),
        Column(
            "seated",
            "SEATED",
            7,
            lambda line, now: Cell(units.count(line.queue.seated)),
            lambda line: line.queue.seated,
            "right",
            raw=lambda line, now: {"seated": line.queue.seated},
        ),
        Column(
            "draining",
            "GRACE",
            6,
            lambda line, now: Cell(units.count(line.queue.draining), "" if line.queue.draining else "dim"),
            lambda line: line.queue.draining,
            "right",
            priority=4,
            raw=lambda line, now: {"draining": line.queue.draining},
        ),
        Column(
            "instant",
            "AT ONCE",
            8,
            lambda line, now: Cell(_limit(line.queue.instant_admit_capacity), "dim"),
            lambda line: line.queue.instant_admit_capacity,
            "right",
            priority=6,
            raw=lambda line, now: {"instant_admit_capacity": line.queue.instant_admit_capacity},
        ),
        Column(
            "ceiling",
            "CEILING",
            8,
            lambda line, now: Cell(_limit(line.queue.max_active), "dim"),
            lambda line: line.queue.max_active,
            "right",
            priority=5,
            raw=lambda line, now: {"max_active": line.queue.max_active},
        ),
    ),
    sort="model",
    descending=False,
    keys=lambda state: state.rows.queues,
    row=_row,
    changed=lambda changed: changed.of("queues"),
    search=_search,
    facts=_queue_facts,
    target=lambda state, line: Target(
        label=line.queue.model, model=line.queue.model, paused=line.queue.paused
    ),
    worth=("pause",),
    empty=(
        "No models are set up for admission, so nobody queues: everybody is let in.",
        "Name some under [[admission.models]] in the settings, for seats and a queue.",
    ),
)
