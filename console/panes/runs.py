"""Pane 2: the runs, those in flight first."""

from __future__ import annotations

from console import units
from console.actions import Target
from console.panes.pane import Cell, Column, Fact, Pane, Tone, session_target
from console.state import IN_FLIGHT, ConsoleState
from console.times import moment
from core.protocol import RunRow

_LOOKS: dict[str, Cell] = {
    "running": Cell("● running", "good"),
    "stalled": Cell("◐ stalled", "warn"),
    "aborting": Cell("◌ aborting", "warn"),
    "completed": Cell("✓ completed", "dim"),
    "failed": Cell("✗ failed", "bad"),
    "aborted": Cell("■ aborted", "warn"),
    "interrupted": Cell("▲ cut off", "bad"),
}
_MINUTE_MS = 60_000
_FIRST = {"stalled": 0, "aborting": 1, "running": 2}
_ENDED = 3


def run_state(run: RunRow) -> Cell:
    """The state as a glyph and a word."""
    return _LOOKS.get(run.state, Cell(run.state))


def _elapsed(run: RunRow, now: int) -> int:
    return (moment(run.ended_at) if run.ended_at else now) - moment(run.started_at)


def per_minute(run: RunRow, now: int) -> int:
    """Micro-USD a minute, over the whole run so far; a run of less than a second counts as one."""
    return run.micros * _MINUTE_MS // max(1_000, _elapsed(run, now))


def _urgency(run: RunRow) -> tuple[int, int]:
    """What wants to be seen first: stalled, aborting, then running with the longest first, then the latest ends."""
    if run.ended_at is not None:
        return _ENDED, -moment(run.ended_at)
    return _FIRST.get(run.state, _ENDED), moment(run.started_at)


def _about(run: RunRow, text: str) -> str:
    """The figure, marked as long as it is an estimate."""
    return f"~{text}" if run.estimated else text


def _quiet(run: RunRow) -> Tone:
    return "" if run.state in IN_FLIGHT else "dim"


def _facts(run: RunRow, now: int) -> list[Fact]:
    state = run_state(run)
    return [
        Fact("run", run.run_id, "strong"),
        Fact("state", state.text, state.tone),
        Fact("session", run.session_key),
        Fact("user", run.user_id or "–"),
        Fact("model", run.model or "–"),
        Fact("upstream", run.provider),
        Fact("started", f"{units.clock_time(run.started_at)} UTC"),
        Fact("ended", f"{units.clock_time(run.ended_at)} UTC" if run.ended_at else "–"),
        Fact("took", units.age(_elapsed(run, now))),
        Fact(
            "exit code", "–" if run.exit_code is None else str(run.exit_code), "bad" if run.exit_code else ""
        ),
        Fact("", ""),
        Fact("seq", f"{units.count(run.first_seq)} … {units.count(run.last_seq)}" if run.last_seq else "–"),
        Fact("buffer", units.size(run.buffered_bytes)),
        Fact("followers", units.count(run.subscribers)),
        Fact("", ""),
        Fact("tokens in", _about(run, units.count(run.input_tokens))),
        Fact("tokens out", _about(run, units.count(run.output_tokens))),
        Fact("cost", _about(run, units.money(run.micros))),
        Fact("cost/min", f"{_about(run, units.money(per_minute(run, now)))}/min"),
        Fact("", "~ estimated until it is reported", "dim") if run.estimated else Fact("", ""),
    ]


def _target(state: ConsoleState, run: RunRow) -> Target:
    return session_target(state, run.session_key, run_id=run.run_id)


RUNS: Pane[RunRow] = Pane(
    id="runs",
    title="runs",
    columns=(
        Column("state", "STATE", 11, lambda run, now: run_state(run), _urgency),
        Column(
            "session",
            "SESSION",
            18,
            lambda run, now: Cell(run.session_key),
            lambda run: run.session_key,
            grow=3,
            ideal=32,
        ),
        Column(
            "user",
            "USER",
            12,
            lambda run, now: Cell(run.user_id or "–"),
            lambda run: run.user_id or "",
            priority=4,
        ),
        Column(
            "model",
            "MODEL",
            14,
            lambda run, now: Cell(run.model or "–"),
            lambda run: run.model or "",
            priority=1,
            grow=1,
        ),
        Column(
            "seq",
            "SEQ",
            7,
            lambda run, now: Cell(units.count(run.last_seq), _quiet(run)),
            lambda run: run.last_seq,
            "right",
        ),
        Column(
            "age",
            "AGE",
            7,
            lambda run, now: Cell(units.age(_elapsed(run, now)), _quiet(run)),
            lambda run: (run.state in IN_FLIGHT, -moment(run.started_at)),
            "right",
        ),
        Column(
            "out",
            "TOKENS",
            7,
            lambda run, now: Cell(_about(run, units.short(run.output_tokens)), _quiet(run)),
            lambda run: run.output_tokens,
            "right",
            priority=2,
        ),
        Column(
            "cost",
            "COST",
            9,
            lambda run, now: Cell(_about(run, units.money(run.micros)), _quiet(run)),
            lambda run: run.micros,
            "right",
        ),
        Column(
            "rate",
            "COST/MIN",
            9,
            lambda run, now: Cell(_about(run, units.money(per_minute(run, now))), _quiet(run)),
            lambda run: run.micros,
            "right",
            priority=5,
        ),
        Column(
            "run", "RUN", 12, lambda run, now: Cell(run.run_id, "dim"), lambda run: run.run_id, priority=6
        ),
        Column(
            "followers",
            "FOLLOW",
            6,
            lambda run, now: Cell(str(run.subscribers), _quiet(run)),
            lambda run: run.subscribers,
            "right",
            priority=7,
        ),
        Column(
            "buffer",
            "BUFFER",
            7,
            lambda run, now: Cell(units.size(run.buffered_bytes), _quiet(run)),
            lambda run: run.buffered_bytes,
            "right",
            priority=8,
        ),
    ),
    sort="state",
    descending=False,
    keys=lambda state: state.rows.runs,
    row=lambda state, key: state.rows.runs.get(key),
    changed=lambda changed: changed.of("runs"),
    search=lambda run: (
        f"{run.state} {run.session_key} {run.user_id or ''} {run.model or ''} {run.provider} {run.run_id}"
    ),
    facts=_facts,
    target=_target,
    empty=(
        "No runs: no turn is being served, and none ended in the last minutes.",
        "Send one (y copies the lines):",
        "{curl}",
    ),
)
