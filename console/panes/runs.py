"""Pane 2: the runs, those in flight first."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from console import units
from console.actions import Target
from console.panes.pane import Cell, Column, Fact, Pane, Tone, session_target
from console.state import IN_FLIGHT, ConsoleState
from console.times import instant, moment
from console.trends import Speed
from console.walks import Walk, is_forced
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
_FORCED = Cell("■ forced", "bad")
_APPROVAL = Cell("? approval", "warn")
_MINUTE_MS = 60_000
_SLOW = 10
"""Slower than this a speed is shown with its tenths."""
_SHORT = 12
"""So many characters of a run's id name it in a line of text; its facts have all of it."""
_FIRST = {"stalled": 0, "aborting": 1, "running": 2}
_ENDED = 3


def run_state(run: RunRow) -> Cell:
    """The state as a glyph and a word; an abort that its agent has not confirmed is a forced one.

    A run that waits for somebody's approval says so: no time will help it on.
    """
    if run.approval is not None and run.state in ("running", "stalled"):
        return _APPROVAL
    return _FORCED if is_forced(run) else _LOOKS.get(run.state, Cell(run.state))


def doing(run: RunRow | None) -> Cell:
    """The tool in use, or what is to be allowed; of a run that has ended the tool that its answer calls."""
    if run is None or (run.tool is None and run.approval is None):
        return Cell("–", "dim")
    if run.approval is not None:
        return Cell(f"asks: {run.approval or run.tool or 'approval'}", "warn")
    name = run.tool or "a tool"
    return Cell(f"▸ {name}", "accent") if run.state in IN_FLIGHT else Cell(f"→ {name}", "dim")


def doing_fact(run: RunRow | None) -> list[Fact]:
    """The same as a fact, where there is something to tell."""
    cell = doing(run)
    return [] if cell.text == "–" else [Fact("doing", cell.text, cell.tone)]


def _elapsed(run: RunRow, now: int) -> int:
    return (moment(run.ended_at) if run.ended_at else now) - moment(run.started_at)


def per_minute(run: RunRow, now: int) -> int:
    """Micro-USD a minute, over the whole run so far; a run of less than a second counts as one."""
    return run.micros * _MINUTE_MS // max(1_000, _elapsed(run, now))


def _urgency(run: RunRow) -> tuple[int, float]:
    """What wants to be seen first: stalled, aborting, then running with the longest first, then the latest ends."""
    if run.ended_at is not None:
        return _ENDED, -instant(run.ended_at)
    return _FIRST.get(run.state, _ENDED), instant(run.started_at)


def _about(run: RunRow, text: str) -> str:
    """The figure, marked as long as it is an estimate."""
    return f"~{text}" if run.estimated else text


def _quiet(run: RunRow) -> Tone:
    return "" if run.state in IN_FLIGHT else "dim"


class RunLine(NamedTuple):
    """What is known of a run in one line: its row, how fast it goes, and its abort if there is one."""

    run: RunRow
    speed: Speed | None
    walk: Walk | None


def run_line(state: ConsoleState, key: str) -> RunLine | None:
    """The line of that run."""
    run = state.rows.runs.get(key)
    if run is None:
        return None
    return RunLine(run, state.trends.speeds.get(key), state.walks.by_run.get(key))


def per_second(line: RunLine, now: int) -> str:
    """Its events a second."""
    speed = line.speed.per_second(now) if line.speed is not None else None
    if speed is None:
        return "–"
    return f"{speed:.1f}" if 0 < speed < _SLOW else f"{speed:.0f}"


def lag(run: RunRow) -> int:
    """How many events the slowest follower is behind."""
    return max(0, run.last_seq - run.followers[0].seq) if run.followers else 0


def _follow(run: RunRow) -> Cell:
    behind = lag(run)
    if not behind:
        return Cell(str(run.subscribers), _quiet(run))
    lost = run.followers[0].seq + 1 < run.first_seq
    return Cell(f"{run.subscribers} −{units.short(behind)}", "bad" if lost else "warn")


def _fill(run: RunRow) -> str:
    """How full the buffer is; dots when its oldest events have gone."""
    return f"{'⋯' if run.first_seq > 1 else ''}{run.buffer_percent}%"


def _kept(run: RunRow) -> str:
    if not run.last_seq:
        return "–"
    kept = f"{units.count(run.first_seq)} … {units.count(run.last_seq)}"
    return kept if run.first_seq == 1 else f"{kept}; earlier ones are gone"


def abort_facts(walk: Walk, now: int) -> list[Fact]:
    """Each step of the abort: the first with its time of day, the others by how much later they came."""
    began = walk.began
    if began is None:
        return []
    facts = [Fact("", "")]
    for step in walk.steps():
        if step.at == began:
            facts.append(Fact(step.name, f"{units.moment_time(began)} UTC"))
        elif step.at is not None:
            facts.append(Fact(step.name, f"+{units.lapse(step.at - began)}", "good"))
        elif step.name != "sent":
            facts.append(Fact(step.name, f"not yet, after {units.lapse(now - began)}", "warn"))
    if walk.forced:
        why = "it will hear of it when it calls" if walk.elsewhere else "it did not answer in time"
        facts.append(Fact("its agent", f"has not confirmed: {why}", "bad"))
    return facts


def abort_answer(walk: Walk, run_id: str, now: int) -> Cell:
    """The whole walk in one line, for whoever pressed the key: it grows until the slot is free, or it was forced.

    The run comes first and short: a narrow screen cuts the line at its end.
    """
    run = run_id[:_SHORT]
    began = walk.began if walk.began is not None else now
    told = [f"{step.name} {units.lapse(step.at - began)}" for step in walk.steps()[1:] if step.at is not None]
    if walk.forced:
        why = "its agent hears of it when it calls" if walk.elsewhere else "its agent did not answer in time"
        return Cell(f"■ abort forced {run}: {', '.join([*told, why])}", "bad")
    if walk.done:
        return Cell(f"✓ aborted {run}: {', '.join(told)}", "good")
    return Cell(f"◌ abort {run}: {', '.join(['sent', *told])} … {units.lapse(now - began)}", "warn")


def _facts(line: RunLine, now: int) -> list[Fact]:
    run, state = line.run, run_state(line.run)
    return [
        Fact("run", run.run_id, "strong"),
        Fact("state", state.text, state.tone),
        *doing_fact(run),
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
        *([] if line.walk is None else abort_facts(line.walk, now)),
        Fact("", ""),
        Fact("seq", _kept(run)),
        Fact("events/s", per_second(line, now)),
        Fact("buffer", f"{run.buffer_percent}% full, {units.size(run.buffered_bytes)}"),
        Fact("followers", units.count(run.subscribers)),
        Fact("slowest", f"{units.count(lag(run))} behind", _follow(run).tone)
        if run.followers
        else Fact("", ""),
        Fact("", ""),
        Fact("tokens in", _about(run, units.count(run.input_tokens))),
        Fact("tokens out", _about(run, units.count(run.output_tokens))),
        Fact("cost", _about(run, units.money(run.micros))),
        Fact("cost/min", f"{_about(run, units.money(per_minute(run, now)))}/min"),
        Fact("", "~ estimated until it is reported", "dim") if run.estimated else Fact("", ""),
    ]


def _search(run: RunRow) -> str:
    # what is shown is found as well: the state by its word here
    shown = run_state(run).text
    about = f"{run.session_key} {run.user_id or ''} {run.model or ''} {run.provider} {run.run_id}"
    return f"{run.state} {shown} {doing(run).text} {about}"


def _target(state: ConsoleState, line: RunLine) -> Target:
    target = session_target(state, line.run.session_key, run_id=line.run.run_id)
    return replace(target, explains=("run", line.run.run_id))


RUNS: Pane[RunLine, ConsoleState] = Pane(
    id="runs",
    title="runs",
    columns=(
        Column(
            "state",
            "STATE",
            11,
            lambda line, now: run_state(line.run),
            lambda line: _urgency(line.run),
            raw=lambda line, now: {"state": line.run.state},
        ),
        Column(
            "session",
            "SESSION",
            18,
            lambda line, now: Cell(line.run.session_key),
            lambda line: line.run.session_key,
            grow=3,
            ideal=32,
            raw=lambda line, now: {"session_key": line.run.session_key},
        ),
        Column(
            "user",
            "USER",
            12,
            lambda line, now: Cell(line.run.user_id or "–"),
            lambda line: line.run.user_id or "",
            priority=4,
            raw=lambda line, now: {"user_id": line.run.user_id},
        ),
        Column(
            "model",
            "MODEL",
            14,
            lambda line, now: Cell(line.run.model or "–"),
            lambda line: line.run.model or "",
            priority=1,
            grow=1,
            raw=lambda line, now: {"model": line.run.model},
        ),
        Column(
            "seq",
            "SEQ",
            7,
            lambda line, now: Cell(units.count(line.run.last_seq), _quiet(line.run)),
            lambda line: line.run.last_seq,
            "right",
            raw=lambda line, now: {"last_seq": line.run.last_seq},
        ),
        Column(
            "speed",
            "EV/S",
            5,
            lambda line, now: Cell(per_second(line, now), _quiet(line.run)),
            lambda line: line.speed.per_second(0) or 0.0 if line.speed is not None else -1.0,
            "right",
            priority=3,
            raw=lambda line, now: {
                "events_per_second": line.speed.per_second(now) if line.speed is not None else None
            },
        ),
        Column(
            "age",
            "AGE",
            7,
            lambda line, now: Cell(units.age(_elapsed(line.run, now)), _quiet(line.run)),
            lambda line: (line.run.state in IN_FLIGHT, -instant(line.run.started_at)),
            "right",
            raw=lambda line, now: {"started_at": line.run.started_at, "ended_at": line.run.ended_at},
        ),
        Column(
            "out",
            "TOKENS",
            7,
            lambda line, now: Cell(_about(line.run, units.short(line.run.output_tokens)), _quiet(line.run)),
            lambda line: line.run.output_tokens,
            "right",
            priority=2,
            raw=lambda line, now: {"output_tokens": line.run.output_tokens, "estimated": line.run.estimated},
        ),
        Column(
            "cost",
            "COST",
            9,
            lambda line, now: Cell(_about(line.run, units.money(line.run.micros)), _quiet(line.run)),
            lambda line: line.run.micros,
            "right",
            raw=lambda line, now: {"micros": line.run.micros, "estimated": line.run.estimated},
        ),
        Column(
            "rate",
            "COST/MIN",
            9,
            lambda line, now: Cell(
                _about(line.run, units.money(per_minute(line.run, now))), _quiet(line.run)
            ),
            lambda line: line.run.micros,
            "right",
            priority=5,
            raw=lambda line, now: {"micros_per_minute": per_minute(line.run, now)},
        ),
        Column(
            "run",
            "RUN",
            12,
            lambda line, now: Cell(line.run.run_id, "dim"),
            lambda line: line.run.run_id,
            priority=9,
            raw=lambda line, now: {"run_id": line.run.run_id},
        ),
        Column(
            "doing",
            "DOING",
            12,
            lambda line, now: doing(line.run),
            lambda line: (line.run.approval is None, line.run.tool is None, line.run.tool or ""),
            priority=6,
            raw=lambda line, now: {"tool": line.run.tool, "approval": line.run.approval},
        ),
        Column(
            "followers",
            "FOLLOW",
            9,
            lambda line, now: _follow(line.run),
            lambda line: (lag(line.run), line.run.subscribers),
            "right",
            priority=7,
            raw=lambda line, now: {"subscribers": line.run.subscribers, "lag": lag(line.run)},
        ),
        Column(
            "buffer",
            "BUFFER",
            7,
            lambda line, now: Cell(_fill(line.run), _quiet(line.run)),
            lambda line: (line.run.buffer_percent, line.run.buffered_bytes),
            "right",
            priority=8,
            raw=lambda line, now: {
                "buffered_bytes": line.run.buffered_bytes,
                "buffer_percent": line.run.buffer_percent,
            },
        ),
    ),
    sort="state",
    descending=False,
    keys=lambda state: state.rows.runs,
    row=run_line,
    changed=lambda changed: changed.of("runs"),
    search=lambda line: _search(line.run),
    facts=_facts,
    target=_target,
    empty=(
        "No runs: no turn is being served, and none ended in the last minutes.",
        "Send one (y copies the lines):",
        "{curl}",
    ),
)
