"""Pane 4: which model each session stays on, how often it repeated itself, and where it was escalated."""

from __future__ import annotations

from console import units
from console.panes.pane import Cell, Column, Fact, Pane, session_target
from console.times import moment
from core.protocol import PinRow


def _pinned(pin: PinRow) -> Cell:
    if pin.escalated:
        return Cell("▲ escalated", "warn")
    return Cell("◆ chosen", "accent") if pin.explicit else Cell("● pinned")


def _strikes(pin: PinRow) -> Cell:
    return Cell(str(pin.strikes), "warn" if pin.strikes else "dim")


def _repeats(pin: PinRow) -> Cell:
    close = pin.run > 1 and pin.run + 1 >= pin.repeat_limit
    return Cell(f"{pin.run}/{pin.repeat_limit}", "bad" if close else "")


def _facts(pin: PinRow, now: int) -> list[Fact]:
    pinned = _pinned(pin)
    return [
        Fact("session", pin.session_key, "strong"),
        Fact("pin", pinned.text, pinned.tone),
        Fact("model", pin.model),
        Fact("tier", pin.tier),
        Fact("", ""),
        Fact("strikes", str(pin.strikes), _strikes(pin).tone),
        Fact("equal in a row", f"{pin.run} of {pin.repeat_limit}", _repeats(pin).tone),
        Fact("requests", units.count(pin.request_count)),
        Fact("last used", f"{units.age(now - moment(pin.last_used_at))} ago"),
    ]


STRIKES: Pane[PinRow] = Pane(
    id="strikes",
    title="strikes",
    columns=(
        Column(
            "strikes",
            "STRIKES",
            8,
            lambda pin, now: _strikes(pin),
            lambda pin: (pin.escalated, pin.strikes, pin.run),
            "right",
        ),
        Column(
            "repeats", "REPEATS", 7, lambda pin, now: _repeats(pin), lambda pin: pin.run, "right", priority=1
        ),
        Column("pin", "PIN", 11, lambda pin, now: _pinned(pin), lambda pin: (pin.escalated, pin.explicit)),
        Column(
            "session",
            "SESSION",
            20,
            lambda pin, now: Cell(pin.session_key),
            lambda pin: pin.session_key,
            grow=3,
            ideal=32,
        ),
        Column(
            "model", "MODEL", 14, lambda pin, now: Cell(pin.model), lambda pin: pin.model, priority=2, grow=1
        ),
        Column("tier", "TIER", 9, lambda pin, now: Cell(pin.tier, "dim"), lambda pin: pin.tier, priority=3),
        Column(
            "requests",
            "REQS",
            6,
            lambda pin, now: Cell(units.short(pin.request_count)),
            lambda pin: pin.request_count,
            "right",
            priority=4,
        ),
        Column(
            "used",
            "USED",
            7,
            lambda pin, now: Cell(units.age(now - moment(pin.last_used_at))),
            lambda pin: pin.last_used_at,
            "right",
        ),
    ),
    sort="strikes",
    descending=True,
    keys=lambda state: state.rows.pins,
    row=lambda state, key: state.rows.pins.get(key),
    changed=lambda changed: changed.of("pins"),
    search=lambda pin: (
        f"{pin.session_key} {pin.model} {pin.tier} {'escalated' if pin.escalated else ''} "
        f"{'chosen' if pin.explicit else ''}"
    ),
    facts=_facts,
    target=lambda state, pin: session_target(state, pin.session_key),
    worth=("abort", "evict", "dirty", "why"),
    empty=(
        "No pins: a session is pinned to a model at its first turn.",
        "When a session sends the same request again and again, its strikes show here.",
    ),
)
