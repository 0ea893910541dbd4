"""Pane 3: the live sessions, the newest first, each with its pin and its cost."""

from __future__ import annotations

from typing import NamedTuple

from console import units
from console.actions import Target
from console.panes.pane import Cell, Column, Fact, Pane, session_target
from console.panes.runs import run_state
from console.state import Changed, ConsoleState, CostKey, Key
from console.times import moment
from core.protocol import CostRow, PinRow, RunRow, SessionRow


class SessionLine(NamedTuple):
    """What is known of a live session in one line."""

    session: SessionRow
    pin: PinRow | None
    cost: CostRow | None
    run: RunRow | None


def _row(state: ConsoleState, key: str) -> SessionLine | None:
    session = state.rows.sessions.get(key)
    if session is None:
        return None
    run = state.rows.runs.get(session.run_id) if session.run_id is not None else None
    return SessionLine(session, state.rows.pins.get(key), state.rows.costs.get(CostKey("session", key)), run)


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


def _dirty(line: SessionLine) -> Cell:
    return Cell("–", "dim") if line.session.dirty is None else Cell(f"◆ {line.session.dirty}", "warn")


def _micros(line: SessionLine) -> int:
    return line.cost.micros if line.cost is not None else 0


def _strikes(line: SessionLine) -> Cell:
    if line.pin is None:
        return Cell("–", "dim")
    if line.pin.escalated:
        return Cell(f"{line.pin.strikes}▲", "warn")
    return Cell(str(line.pin.strikes), "" if line.pin.strikes else "dim")


def _facts(line: SessionLine, now: int) -> list[Fact]:
    session, pin, cost = line.session, line.pin, line.cost
    turn, dirty = _turn(line), _dirty(line)
    return [
        Fact("session", session.session_key, "strong"),
        Fact("turn", turn.text, turn.tone),
        Fact("run", session.run_id or "–"),
        *([Fact("reserved for", session.maintenance, "accent")] if session.maintenance else []),
        Fact("dirty", dirty.text, dirty.tone),
        Fact("generation", str(session.generation)),
        Fact("project", session.project or "–"),
        Fact("channel", session.channel or "–"),
        Fact("kind", session.kind),
        Fact("built", f"{units.age(now - moment(session.created_at))} ago"),
        Fact("last used", f"{units.age(now - moment(session.last_used_at))} ago"),
        Fact("", ""),
        Fact("model", pin.model if pin else "–"),
        Fact("tier", pin.tier if pin else "–"),
        Fact("strikes", _strikes(line).text, _strikes(line).tone),
        Fact("", ""),
        Fact("cost", units.money(_micros(line))),
        Fact("estimated", units.money(cost.estimated_micros) if cost else "–"),
        Fact("tokens in", units.count(cost.input_tokens) if cost else "–"),
        Fact("tokens out", units.count(cost.output_tokens) if cost else "–"),
    ]


def _search(line: SessionLine) -> str:
    session = line.session
    model = line.pin.model if line.pin is not None else ""
    busy = "busy" if session.run_id is not None else "idle"
    if session.maintenance is not None:
        busy = f"reserved {session.maintenance}"
    dirty = f"dirty {session.dirty}" if session.dirty is not None else ""
    return f"{session.session_key} {session.project or ''} {session.channel} {session.kind} {model} {busy} {dirty}"


def _target(state: ConsoleState, line: SessionLine) -> Target:
    shown = line.session
    target = session_target(state, shown.session_key, run_id=shown.run_id)
    # what was looked at is what is hit: the generation is the drawn row's, not the latest
    return Target(
        label=target.label,
        session_key=target.session_key,
        generation=shown.generation,
        run_id=shown.run_id,
        run_ended=target.run_ended,
        project=shown.project,
        dirty=shown.dirty is not None,
        user_id=target.user_id,
        explains=target.explains,
    )


SESSIONS: Pane[SessionLine] = Pane(
    id="sessions",
    title="sessions",
    columns=(
        Column("turn", "TURN", 11, lambda line, now: _turn(line), lambda line: line.session.run_id is None),
        Column(
            "session",
            "SESSION",
            20,
            lambda line, now: Cell(line.session.session_key),
            lambda line: line.session.session_key,
            grow=3,
            ideal=32,
        ),
        Column(
            "model",
            "MODEL",
            14,
            lambda line, now: Cell(line.pin.model) if line.pin else Cell("–", "dim"),
            lambda line: line.pin.model if line.pin else "",
            priority=2,
            grow=1,
        ),
        Column(
            "project",
            "PROJECT",
            12,
            lambda line, now: Cell(line.session.project or "–", "" if line.session.project else "dim"),
            lambda line: line.session.project or "",
            priority=4,
        ),
        Column(
            "dirty",
            "DIRTY",
            9,
            lambda line, now: _dirty(line),
            lambda line: line.session.dirty or "",
            priority=1,
        ),
        Column(
            "strikes",
            "STRIKES",
            7,
            lambda line, now: _strikes(line),
            lambda line: line.pin.strikes if line.pin else -1,
            "right",
            priority=5,
        ),
        Column(
            "used",
            "USED",
            7,
            lambda line, now: Cell(units.age(now - moment(line.session.last_used_at))),
            lambda line: line.session.last_used_at,
            "right",
        ),
        Column("cost", "COST", 9, lambda line, now: Cell(units.money(_micros(line))), _micros, "right"),
        Column(
            "built",
            "BUILT",
            7,
            lambda line, now: Cell(units.age(now - moment(line.session.created_at)), "dim"),
            lambda line: line.session.created_at,
            "right",
            priority=6,
        ),
        Column(
            "generation",
            "GEN",
            4,
            lambda line, now: Cell(str(line.session.generation), "dim"),
            lambda line: line.session.generation,
            "right",
            priority=7,
        ),
        Column(
            "kind",
            "KIND",
            9,
            lambda line, now: Cell(line.session.kind, "dim"),
            lambda line: line.session.kind,
            priority=8,
        ),
    ),
    sort="built",
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
