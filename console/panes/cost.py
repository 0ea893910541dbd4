"""Pane 5: what everything has cost, the dearest first: sessions, users, projects, models, days."""

from __future__ import annotations

from typing import NamedTuple

from console import units
from console.actions import Target
from console.panes import spent
from console.panes.pane import Cell, Column, Fact, Pane, session_target
from console.panes.spent import Spent, spent_on
from console.state import ConsoleState, CostKey
from console.times import moment
from core.protocol import CostRow


class CostLine(NamedTuple):
    """What something has cost, and what was spent on it lately."""

    cost: CostRow
    spent: Spent


def _row(state: ConsoleState, key: CostKey) -> CostLine | None:
    cost = state.rows.costs.get(key)
    return None if cost is None else CostLine(cost, spent_on(state, key))


def _estimated(cost: CostRow) -> Cell:
    if not cost.estimated_micros:
        return Cell("–", "dim")
    return Cell(f"~{units.money(cost.estimated_micros)}", "warn")


def _facts(line: CostLine, now: int) -> list[Fact]:
    cost = line.cost
    return [
        Fact(cost.scope, cost.key, "strong"),
        Fact("cost", units.money(cost.micros)),
        Fact("per minute", spent.minute(line.spent, now).text),
        Fact("per hour", spent.hour(line.spent, now).text),
        Fact("last 10 min", spent.trend(line.spent, now).text, "accent"),
        Fact("estimated", _estimated(cost).text, _estimated(cost).tone),
        Fact("", ""),
        Fact("tokens in", units.count(cost.input_tokens)),
        Fact("of them cached", units.count(cost.cached_tokens)),
        Fact("tokens out", units.count(cost.output_tokens)),
        Fact("", ""),
        Fact("last booked", f"{units.age(now - moment(cost.updated_at))} ago"),
    ]


def _target(state: ConsoleState, line: CostLine) -> Target:
    cost = line.cost
    match cost.scope:
        case "session":
            return session_target(state, cost.key)
        case "project":
            return Target(label=f"project {cost.key}", project=cost.key)
        case "user" | "model" | "day":
            return Target(label=f"{cost.scope} {cost.key}")


COST: Pane[CostLine, ConsoleState] = Pane(
    id="cost",
    title="cost",
    house_wide=True,
    columns=(
        Column(
            "cost",
            "COST",
            11,
            lambda line, now: Cell(units.money(line.cost.micros)),
            lambda line: line.cost.micros,
            "right",
            raw=lambda line, now: {"micros": line.cost.micros},
        ),
        Column(
            "minute",
            "PER MIN",
            9,
            lambda line, now: spent.minute(line.spent, now),
            lambda line: line.spent.lately,
            "right",
            2,
            raw=lambda line, now: {"micros_per_hour": line.spent.per_hour(now)},
        ),
        Column(
            "hour",
            "PER HOUR",
            10,
            lambda line, now: spent.hour(line.spent, now),
            lambda line: line.spent.lately,
            "right",
            1,
            raw=lambda line, now: {"micros_per_hour": line.spent.per_hour(now)},
        ),
        Column(
            "trend",
            "LAST 10M",
            10,
            lambda line, now: spent.trend(line.spent, now),
            lambda line: line.spent.lately,
            priority=1,
            raw=lambda line, now: {"micros_by_minute": line.spent.by_minute(now)},
        ),
        Column(
            "scope",
            "OF",
            7,
            lambda line, now: Cell(line.cost.scope, "dim"),
            lambda line: line.cost.scope,
            raw=lambda line, now: {"scope": line.cost.scope},
        ),
        Column(
            "key",
            "WHICH",
            20,
            lambda line, now: Cell(line.cost.key),
            lambda line: line.cost.key,
            grow=3,
            ideal=40,
            raw=lambda line, now: {"key": line.cost.key},
        ),
        Column(
            "estimated",
            "ESTIMATED",
            11,
            lambda line, now: _estimated(line.cost),
            lambda line: line.cost.estimated_micros,
            "right",
            3,
            raw=lambda line, now: {"estimated_micros": line.cost.estimated_micros},
        ),
        Column(
            "input",
            "TOKENS IN",
            9,
            lambda line, now: Cell(units.short(line.cost.input_tokens)),
            lambda line: line.cost.input_tokens,
            "right",
            3,
            raw=lambda line, now: {"input_tokens": line.cost.input_tokens},
        ),
        Column(
            "output",
            "OUT",
            7,
            lambda line, now: Cell(units.short(line.cost.output_tokens)),
            lambda line: line.cost.output_tokens,
            "right",
            2,
            raw=lambda line, now: {"output_tokens": line.cost.output_tokens},
        ),
        Column(
            "cached",
            "CACHED",
            7,
            lambda line, now: Cell(units.short(line.cost.cached_tokens), "dim"),
            lambda line: line.cost.cached_tokens,
            "right",
            4,
            raw=lambda line, now: {"cached_tokens": line.cost.cached_tokens},
        ),
        Column(
            "updated",
            "BOOKED",
            7,
            lambda line, now: Cell(units.age(now - moment(line.cost.updated_at))),
            lambda line: line.cost.updated_at,
            "right",
            5,
            raw=lambda line, now: {"updated_at": line.cost.updated_at},
        ),
    ),
    sort="cost",
    descending=True,
    keys=lambda state: state.rows.costs,
    row=_row,
    changed=lambda changed: changed.of("costs"),
    search=lambda line: f"{line.cost.scope} {line.cost.key}",
    facts=_facts,
    target=_target,
    scopes=("session", "user", "project", "model", "day"),
    scope_of=lambda line: line.cost.scope,
    worth=("abort", "unpin", "dirty"),
    empty=(
        "Nothing has been booked yet: when a turn ends its usage is,",
        "at the prices under [[admission.models]] in the settings.",
    ),
)
