"""Pane 5: what everything has cost, the dearest first."""

from __future__ import annotations

from console import units
from console.actions import Target
from console.panes.pane import Cell, Column, Fact, Pane, session_target
from console.panes.times import moment
from console.state import ConsoleState
from core.protocol import CostRow


def _estimated(cost: CostRow) -> Cell:
    if not cost.estimated_micros:
        return Cell("–", "dim")
    return Cell(f"~{units.money(cost.estimated_micros)}", "warn")


def _facts(cost: CostRow, now: int) -> list[Fact]:
    return [
        Fact(cost.scope, cost.key, "strong"),
        Fact("cost", units.money(cost.micros)),
        Fact("estimated", _estimated(cost).text, _estimated(cost).tone),
        Fact("", ""),
        Fact("tokens in", units.count(cost.input_tokens)),
        Fact("of them cached", units.count(cost.cached_tokens)),
        Fact("tokens out", units.count(cost.output_tokens)),
        Fact("", ""),
        Fact("last booked", f"{units.age(now - moment(cost.updated_at))} ago"),
    ]


def _target(state: ConsoleState, cost: CostRow) -> Target:
    match cost.scope:
        case "session":
            return session_target(state, cost.key)
        case "project":
            return Target(label=f"project {cost.key}", project=cost.key)
        case "user" | "model":
            return Target(label=f"{cost.scope} {cost.key}")


COST: Pane[CostRow] = Pane(
    id="cost",
    title="cost",
    columns=(
        Column(
            "cost",
            "COST",
            11,
            lambda cost, now: Cell(units.money(cost.micros)),
            lambda cost: cost.micros,
            "right",
        ),
        Column("scope", "OF", 8, lambda cost, now: Cell(cost.scope, "dim"), lambda cost: cost.scope),
        Column("key", "WHICH", 22, lambda cost, now: Cell(cost.key), lambda cost: cost.key, grow=3),
        Column(
            "estimated",
            "ESTIMATED",
            11,
            lambda cost, now: _estimated(cost),
            lambda cost: cost.estimated_micros,
            "right",
            3,
        ),
        Column(
            "input",
            "TOKENS IN",
            9,
            lambda cost, now: Cell(units.short(cost.input_tokens)),
            lambda cost: cost.input_tokens,
            "right",
            1,
        ),
        Column(
            "output",
            "OUT",
            7,
            lambda cost, now: Cell(units.short(cost.output_tokens)),
            lambda cost: cost.output_tokens,
            "right",
            2,
        ),
        Column(
            "cached",
            "CACHED",
            7,
            lambda cost, now: Cell(units.short(cost.cached_tokens), "dim"),
            lambda cost: cost.cached_tokens,
            "right",
            4,
        ),
        Column(
            "updated",
            "BOOKED",
            7,
            lambda cost, now: Cell(units.age(now - moment(cost.updated_at))),
            lambda cost: cost.updated_at,
            "right",
            5,
        ),
    ),
    sort="cost",
    descending=True,
    keys=lambda state: state.rows.costs,
    row=lambda state, key: state.rows.costs.get(key),
    changed=lambda changed: changed.of("costs"),
    search=lambda cost: f"{cost.scope} {cost.key}",
    facts=_facts,
    target=_target,
    empty=(
        "Nothing has been booked yet: when a turn ends its usage is,",
        "at the prices under [[admission.models]] in the settings.",
    ),
)
