"""Pane 4: which model each session stays on: who is nearest to escalating first, then who has escalated."""

from __future__ import annotations

from typing import NamedTuple

from console import units
from console.panes import pins, spent
from console.panes.pane import Cell, Column, Fact, Pane, session_target
from console.panes.spent import Spent, spent_on
from console.state import Changed, ConsoleState, CostKey, Key
from console.times import moment
from core.protocol import PinRow


class PinLine(NamedTuple):
    """A session's pin, and what is spent while it repeats itself."""

    pin: PinRow
    spent: Spent


def _row(state: ConsoleState, key: str) -> PinLine | None:
    pin = state.rows.pins.get(key)
    return None if pin is None else PinLine(pin, spent_on(state, CostKey("session", key)))


def _changed(changed: Changed) -> set[Key]:
    keys = changed.of("pins")
    keys.update(key.key for key in changed.of("costs") if isinstance(key, CostKey) and key.scope == "session")
    return keys


def _facts(line: PinLine, now: int) -> list[Fact]:
    standing = pins.standing(line.pin)
    return [
        Fact("session", line.pin.session_key, "strong"),
        Fact("pin", standing.text, standing.tone),
        Fact("last used", f"{units.age(now - moment(line.pin.last_used_at))} ago"),
        Fact("", ""),
        *pins.facts(line.pin),
        Fact("", ""),
        Fact("per minute", spent.minute(line.spent, now).text),
        Fact("per hour", spent.hour(line.spent, now).text),
        Fact("last 10 min", spent.trend(line.spent, now).text, "accent"),
    ]


STRIKES: Pane[PinLine, ConsoleState] = Pane(
    id="strikes",
    title="strikes",
    house_wide=True,
    columns=(
        Column(
            "strikes",
            "STRIKES",
            8,
            lambda line, now: pins.strikes(line.pin),
            lambda line: pins.urgency(line.pin),
            raw=lambda line, now: {"strikes": line.pin.strikes, "repeat_limit": line.pin.repeat_limit},
        ),
        Column(
            "pin",
            "PIN",
            11,
            lambda line, now: pins.standing(line.pin),
            lambda line: (line.pin.escalated, line.pin.explicit, line.pin.strikes),
            raw=lambda line, now: {"explicit": line.pin.explicit, "escalated": line.pin.escalated},
        ),
        Column(
            "session",
            "SESSION",
            20,
            lambda line, now: Cell(line.pin.session_key),
            lambda line: line.pin.session_key,
            grow=3,
            ideal=28,
            raw=lambda line, now: {"session_key": line.pin.session_key},
        ),
        Column(
            "model",
            "MODEL",
            12,
            lambda line, now: Cell(line.pin.model),
            lambda line: line.pin.model,
            priority=2,
            grow=1,
            ideal=14,
            raw=lambda line, now: {"model": line.pin.model},
        ),
        Column(
            "tier",
            "TIER",
            9,
            lambda line, now: Cell(line.pin.tier, "dim"),
            lambda line: line.pin.tier,
            priority=1,
            raw=lambda line, now: {"tier": line.pin.tier},
        ),
        Column(
            "rate",
            "COST/MIN",
            9,
            lambda line, now: spent.minute(line.spent, now),
            lambda line: line.spent.lately,
            "right",
            priority=3,
            raw=lambda line, now: {"micros_per_hour": line.spent.per_hour(now)},
        ),
        Column(
            "requests",
            "REQS",
            6,
            lambda line, now: Cell(units.short(line.pin.request_count)),
            lambda line: line.pin.request_count,
            "right",
            priority=4,
            raw=lambda line, now: {"request_count": line.pin.request_count},
        ),
        Column(
            "used",
            "USED",
            7,
            lambda line, now: Cell(units.age(now - moment(line.pin.last_used_at))),
            lambda line: line.pin.last_used_at,
            "right",
            raw=lambda line, now: {"last_used_at": line.pin.last_used_at},
        ),
    ),
    sort="strikes",
    descending=False,
    keys=lambda state: state.rows.pins,
    row=_row,
    changed=_changed,
    search=lambda line: f"{line.pin.session_key} {pins.words(line.pin)}",
    facts=_facts,
    target=lambda state, line: session_target(state, line.pin.session_key),
    worth=("unpin", "model", "abort", "why"),
    empty=(
        "No pins: a session is pinned to a model at its first turn.",
        "When a session sends the same request again and again, its strikes show here.",
    ),
)
