"""Pane 3: the live sessions with their pins and costs: those that cost the most a minute first, then the newest."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from console import units
from console.actions import Target
from console.panes import pins, spent
from console.panes.pane import Cell, Column, Fact, Pane, Tone, session_target
from console.panes.runs import doing, doing_fact, run_state
from console.panes.spent import Spent, spent_on
from console.state import IN_FLIGHT, Changed, ConsoleState, CostKey, Key
from console.times import moment
from core.protocol import CostRow, PinRow, RunRow, SessionRow

_DIRTY = "◆"
_NEARLY_FULL, _FULL = 80, 95
"""Percent of a context from which on a session will soon be compacted, or refused."""


class SessionLine(NamedTuple):
    """What is known of a live session in one line."""

    session: SessionRow
    pin: PinRow | None
    cost: CostRow | None
    run: RunRow | None
    """The one in its slot."""
    spent: Spent
    latest: RunRow | None = None
    """The last one, ended or not, as long as it is kept."""
    context: int | None = None
    """How full its model's context was in that, in percent."""
    unbooked: int = 0
    """Micro-USD that its turn has cost so far."""


def _row(state: ConsoleState, key: str) -> SessionLine | None:
    session = state.rows.sessions.get(key)
    if session is None:
        return None
    run = state.rows.runs.get(session.run_id) if session.run_id is not None else None
    cost = CostKey("session", key)
    latest = state.rows.runs.get(state.rows.latest.get(key, ""))
    return SessionLine(
        session,
        state.rows.pins.get(key),
        state.rows.costs.get(cost),
        run,
        spent_on(state, cost),
        latest,
        _fill(state, latest),
        state.trends.ahead.of(key),
    )


def _fill(state: ConsoleState, run: RunRow | None) -> int | None:
    """How much of its model's context a turn took, in percent: what was read and what was written."""
    queue = state.rows.queues.get(run.model) if run is not None and run.model is not None else None
    if run is None or queue is None or not queue.context_tokens:
        return None
    used = run.input_tokens + run.output_tokens
    return 100 * used // queue.context_tokens if used else None


def _changed(changed: Changed) -> set[Key]:
    keys = changed.of("sessions", "pins")
    keys.update(key.key for key in changed.of("costs") if isinstance(key, CostKey) and key.scope == "session")
    return keys


def _turn(line: SessionLine) -> Cell:
    if line.session.maintenance is not None:
        return Cell("◧ reserved", "accent")
    if line.session.run_id is None:
        return Cell("○ idle", "dim")
    return run_state(line.run) if line.run is not None else Cell("● running", "good")


def _marked(line: SessionLine) -> Cell:
    """The turn with the mark of a dirty session, whose reason stands in a column of its own where there is room."""
    turn = _turn(line)
    return turn if line.session.dirty is None else Cell(f"{turn.text} {_DIRTY}", turn.tone or "warn")


def _dirty(line: SessionLine) -> Cell:
    return Cell("–", "dim") if line.session.dirty is None else Cell(f"{_DIRTY} {line.session.dirty}", "warn")


def _micros(line: SessionLine) -> int:
    """What it has cost, with what its turn costs so far: one that runs away has booked nothing yet."""
    return line.unbooked if line.cost is None else line.cost.micros + line.unbooked


def _booked(line: SessionLine) -> int:
    return line.cost.micros if line.cost is not None else 0


def _strikes(line: SessionLine) -> Cell:
    return Cell("–", "dim") if line.pin is None else pins.strikes(line.pin)


def _nearness(line: SessionLine) -> tuple[float, int, bool]:
    pin = line.pin
    return (-1, 0, False) if pin is None else (pins.nearness(pin), pin.strikes, pin.escalated)


def _used(line: SessionLine, now: int) -> int:
    return now - moment(line.session.last_used_at)


def _idle(line: SessionLine, now: int) -> Cell:
    return Cell("–", "dim") if line.session.run_id is not None else Cell(units.age(_used(line, now)))


def cost_facts(cost: CostRow | None, run: RunRow | None, going: Spent, now: int) -> list[Fact]:
    """What a session has cost, what its turn costs, and what an hour like the last minutes would."""
    shown = [Fact("cost", units.money(cost.micros if cost else 0))]
    if cost is not None and cost.estimated_micros:
        shown.append(Fact("of it estimated", f"~{units.money(cost.estimated_micros)}", "warn"))
    if run is not None and run.state in IN_FLIGHT:
        shown.append(
            Fact("this turn", f"{'~' if run.estimated else ''}{units.money(run.micros)}, not booked")
        )
    shown += [
        Fact("per minute", spent.minute(going, now).text),
        Fact("per hour", spent.hour(going, now).text),
        Fact("last 10 min", spent.trend(going, now).text, "accent"),
    ]
    if cost is not None:
        cached = f", {units.count(cost.cached_tokens)} cached" if cost.cached_tokens else ""
        shown.append(Fact("tokens in", f"{units.count(cost.input_tokens)}{cached}"))
        shown.append(Fact("tokens out", units.count(cost.output_tokens)))
    return shown


def _context(line: SessionLine) -> Cell:
    if line.context is None:
        return Cell("–", "dim")
    tone: Tone = "bad" if line.context >= _FULL else "warn" if line.context >= _NEARLY_FULL else ""
    return Cell(f"{line.context}%", tone)


def _facts(line: SessionLine, now: int) -> list[Fact]:
    session = line.session
    turn, dirty, context = _turn(line), _dirty(line), _context(line)
    return [
        Fact("session", session.session_key, "strong"),
        Fact("turn", turn.text, turn.tone),
        *doing_fact(line.latest),
        *([] if line.context is None else [Fact("context", f"{context.text} full", context.tone)]),
        Fact("run", session.run_id or "–"),
        *([Fact("reserved for", session.maintenance, "accent")] if session.maintenance else []),
        Fact("dirty", dirty.text, dirty.tone),
        Fact("generation", str(session.generation)),
        Fact("project", session.project or "–"),
        Fact("channel", session.channel or "–"),
        Fact("kind", session.kind),
        Fact("built", f"{units.age(now - moment(session.created_at))} ago"),
        Fact("last used", f"{units.age(_used(line, now))} ago"),
        Fact("", ""),
        *(pins.facts(line.pin) if line.pin is not None else [Fact("model", "–")]),
        Fact("", ""),
        *cost_facts(line.cost, line.run, line.spent, now),
    ]


def _search(line: SessionLine) -> str:
    session = line.session
    pin = pins.words(line.pin) if line.pin is not None else ""
    busy = "busy" if session.run_id is not None else "idle"
    if session.maintenance is not None:
        busy = f"reserved {session.maintenance}"
    dirty = f"dirty {session.dirty}" if session.dirty is not None else ""
    at = "" if line.latest is None else doing(line.latest).text
    about = f"{session.session_key} {session.project or ''} {session.channel} {session.kind}"
    return f"{about} {pin} {busy} {at} {dirty}"


def _target(state: ConsoleState, line: SessionLine) -> Target:
    shown = line.session
    target = session_target(state, shown.session_key, run_id=shown.run_id)
    # what was looked at is what is hit: the generation is the drawn row's, not the latest
    return replace(
        target,
        generation=shown.generation,
        run_id=shown.run_id,
        project=shown.project,
        dirty=shown.dirty is not None,
    )


SESSIONS: Pane[SessionLine, ConsoleState] = Pane(
    id="sessions",
    title="sessions",
    columns=(
        Column(
            "turn",
            "TURN",
            12,
            lambda line, now: _marked(line),
            lambda line: line.session.run_id is None,
            raw=lambda line, now: {"run_id": line.session.run_id, "maintenance": line.session.maintenance},
            also=("state",),
        ),
        Column(
            "session",
            "SESSION",
            20,
            lambda line, now: Cell(line.session.session_key),
            lambda line: line.session.session_key,
            grow=3,
            ideal=28,
            raw=lambda line, now: {"session_key": line.session.session_key},
        ),
        Column(
            "model",
            "MODEL",
            10,
            lambda line, now: Cell(line.pin.model) if line.pin else Cell("–", "dim"),
            lambda line: line.pin.model if line.pin else "",
            priority=2,
            grow=1,
            ideal=14,
            raw=lambda line, now: {"model": line.pin.model if line.pin else None},
        ),
        Column(
            "tier",
            "TIER",
            9,
            lambda line, now: Cell(line.pin.tier if line.pin else "–", "dim"),
            lambda line: line.pin.tier if line.pin else "",
            priority=3,
            raw=lambda line, now: {"tier": line.pin.tier if line.pin else None},
        ),
        Column(
            "strikes",
            "STRIKES",
            7,
            lambda line, now: _strikes(line),
            _nearness,
            raw=lambda line, now: {"strikes": line.pin.strikes if line.pin else None},
        ),
        Column(
            "cost",
            "COST",
            9,
            lambda line, now: Cell(f"{'~' if line.unbooked else ''}{units.money(_micros(line))}"),
            _micros,
            "right",
            raw=lambda line, now: {"micros": _booked(line), "unbooked_micros": line.unbooked},
        ),
        Column(
            "rate",
            "COST/MIN",
            9,
            lambda line, now: spent.minute(line.spent, now),
            lambda line: (line.spent.lately, _micros(line), line.session.created_at),
            "right",
            priority=1,
            raw=lambda line, now: {"micros_per_hour": line.spent.per_hour(now)},
        ),
        Column(
            "context",
            "CTX",
            4,
            lambda line, now: _context(line),
            lambda line: -1 if line.context is None else line.context,
            "right",
            priority=2,
            raw=lambda line, now: {"context_percent": line.context},
        ),
        Column(
            "doing",
            "DOING",
            12,
            lambda line, now: doing(line.latest),
            lambda line: doing(line.latest).text,
            priority=4,
            raw=lambda line, now: {
                "tool": line.latest.tool if line.latest else None,
                "approval": line.latest.approval if line.latest else None,
            },
        ),
        Column(
            "idle",
            "IDLE",
            7,
            _idle,
            lambda line: (line.session.run_id is None, line.session.last_used_at),
            "right",
            priority=4,
            raw=lambda line, now: {"last_used_at": line.session.last_used_at},
        ),
        Column(
            "project",
            "PROJECT",
            12,
            lambda line, now: Cell(line.session.project or "–", "" if line.session.project else "dim"),
            lambda line: line.session.project or "",
            priority=5,
            raw=lambda line, now: {"project": line.session.project},
        ),
        Column(
            "dirty",
            "DIRTY",
            9,
            lambda line, now: _dirty(line),
            lambda line: line.session.dirty or "",
            priority=6,
            raw=lambda line, now: {"dirty": line.session.dirty},
        ),
        Column(
            "built",
            "BUILT",
            7,
            lambda line, now: Cell(units.age(now - moment(line.session.created_at)), "dim"),
            lambda line: line.session.created_at,
            "right",
            priority=7,
            raw=lambda line, now: {"created_at": line.session.created_at},
        ),
        Column(
            "generation",
            "GEN",
            4,
            lambda line, now: Cell(str(line.session.generation), "dim"),
            lambda line: line.session.generation,
            "right",
            priority=8,
            raw=lambda line, now: {"generation": line.session.generation},
        ),
        Column(
            "kind",
            "KIND",
            9,
            lambda line, now: Cell(line.session.kind, "dim"),
            lambda line: line.session.kind,
            priority=9,
            raw=lambda line, now: {"kind": line.session.kind},
        ),
    ),
    sort="rate",
    descending=True,
    keys=lambda state: state.rows.sessions,
    row=_row,
    changed=_changed,
    search=_search,
    facts=_facts,
    target=_target,
    empty=(
        "No live sessions: one is built at its first turn, and evicted when idle.",
        "Send a turn (y copies the lines):",
        "{curl}",
    ),
)
