"""Pane 7: what the reconciler found to contradict itself, the oldest first, with its evidence."""

from __future__ import annotations

from console import units
from console.actions import Target
from console.panes.pane import Cell, Column, Fact, Pane, session_target
from console.state import ConsoleState
from console.times import moment
from core.protocol import FindingRow

_NAMES = {
    "seat_without_instance": "seat, no instance",
    "slot_without_run": "slot, no run",
    "run_without_slot": "run, no slot",
    "agent_without_session": "agent, no session",
    "upstream_without_run": "request, no run",
}


def finding_name(finding: FindingRow) -> str:
    """What there is, and what should be there with it."""
    return _NAMES.get(finding.kind, finding.kind)


def finding_subject(finding: FindingRow) -> str:
    """Whose it is: a session, or a user."""
    return finding.session_key or finding.user_id or finding.key


def _verdict(finding: FindingRow) -> Cell:
    return Cell("✗ dead", "bad") if finding.proven else Cell("◐ unclear", "warn")


def _facts(finding: FindingRow, now: int) -> list[Fact]:
    verdict = _verdict(finding)
    told = "it is released by itself" if finding.proven else "it is only told; look, and act yourself"
    return [
        Fact("found", finding_name(finding), "strong"),
        Fact("verdict", verdict.text, verdict.tone),
        Fact("session", finding.session_key or "–"),
        Fact("user", finding.user_id or "–"),
        Fact("which", finding.key),
        Fact("since", f"{units.clock_time(finding.since)} UTC"),
        Fact("age", units.age(now - moment(finding.since))),
        Fact("", ""),
        Fact("evidence", finding.evidence),
        Fact("then", told, "dim"),
    ]


def _target(state: ConsoleState, finding: FindingRow) -> Target:
    if finding.session_key is not None:
        return session_target(state, finding.session_key)
    seat = state.rows.seats.get(finding.user_id or "")
    return Target(
        label=finding_subject(finding),
        user_id=finding.user_id,
        seat=seat.state if seat is not None else None,
        explains=("seat", finding.user_id) if finding.user_id is not None else None,
    )


FINDINGS: Pane[FindingRow, ConsoleState] = Pane(
    id="findings",
    title="findings",
    columns=(
        Column(
            "age",
            "AGE",
            7,
            lambda found, now: Cell(units.age(now - moment(found.since))),
            lambda found: found.since,
            "right",
            raw=lambda found, now: {"since": found.since},
        ),
        Column(
            "verdict",
            "VERDICT",
            10,
            lambda found, now: _verdict(found),
            lambda found: found.proven,
            raw=lambda found, now: {"proven": found.proven},
        ),
        Column(
            "what",
            "WHAT",
            17,
            lambda found, now: Cell(finding_name(found)),
            finding_name,
            raw=lambda found, now: {"kind": found.kind},
        ),
        Column(
            "of",
            "OF",
            18,
            lambda found, now: Cell(finding_subject(found)),
            finding_subject,
            grow=1,
            ideal=32,
            raw=lambda found, now: {
                "key": found.key,
                "session_key": found.session_key,
                "user_id": found.user_id,
            },
        ),
        Column(
            "evidence",
            "EVIDENCE",
            20,
            lambda found, now: Cell(found.evidence),
            lambda found: found.evidence,
            priority=1,
            grow=2,
            raw=lambda found, now: {"evidence": found.evidence},
        ),
    ),
    sort="age",
    descending=False,
    keys=lambda state: state.rows.findings,
    row=lambda state, key: state.rows.findings.get(key),
    changed=lambda changed: changed.of("findings"),
    search=lambda found: (
        f"{finding_name(found)} {'dead' if found.proven else 'unclear'} {finding_subject(found)} "
        f"{found.key} {found.evidence}"
    ),
    facts=_facts,
    target=_target,
    worth=("abort", "close", "evict"),
    empty=(
        "Nothing contradicts itself: every slot has its run, every run its turn.",
        "The core compares all of it every half minute. What is dead for certain",
        "it lets go by itself, and the audit says so; the rest stands here.",
    ),
)
