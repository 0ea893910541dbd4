"""The pane of the cores themselves: of each whether it is there, how old its last word is, and what it holds."""

from __future__ import annotations

from typing import NamedTuple

from console import units
from console.actions import Target
from console.cores import Attached, Cores
from console.panes.pane import Cell, Column, Fact, Pane

OLD_MS = 4_000
"""From this age on data is told to be old: an idle core answers every two seconds at least."""


class Line(NamedTuple):
    """One core, and whether it speaks for its house."""

    core: Attached
    speaks: bool


def link(core: Attached) -> Cell:
    """Whether the core is there, and how old its data is if that is worth telling."""
    age = core.feed.age_ms()
    match core.feed.link:
        case "live":
            return Cell("● live" if age is None or age < OLD_MS else f"● live {units.age(age)}", "good")
        case "loading":
            done, total = core.state.view_progress() or (0, 0)
            return Cell(f"◐ {done:,} of {total:,}", "accent")
        case "connecting":
            return Cell("◌ connecting", "accent")
        case "lost":
            return Cell("✗ lost", "bad")


def _age(line: Line) -> Cell:
    age = line.core.feed.age_ms()
    if age is None:
        return Cell("never", "dim")
    return Cell(units.age(age), "dim" if age < OLD_MS else "bad")


def _version(line: Line) -> str:
    head = line.core.state.head
    return head.version if head is not None else "–"


def _trouble(line: Line) -> str:
    return f"{line.core.feed.trouble}; trying again" if line.core.feed.trouble else ""


def _facts(line: Line, now: int) -> list[Fact]:
    core, head, shown = line.core, line.core.state.head, link(line.core)
    facts = [
        Fact("instance", core.name, "strong"),
        Fact("link", shown.text, shown.tone),
        Fact("data", f"{_age(line).text} old" if core.feed.age_ms() is not None else "none yet"),
    ]
    if core.feed.trouble:
        facts.append(Fact("trouble", core.feed.trouble, "bad"))
    if head is None:
        return facts
    off = head.house if line.speaks else f"{head.house}: another instance tells what they share"
    return [
        *facts,
        Fact("", ""),
        Fact("house", off),
        Fact("epoch", head.epoch),
        Fact("version", head.version),
        Fact("cursor", core.state.cursor),
        Fact("its clock", f"{units.moment_time(core.now())} UTC"),
        Fact("", ""),
        Fact("sessions", units.count(core.state.count("sessions"))),
        Fact("runs", units.count(core.state.count("runs"))),
        Fact("seats", units.count(core.state.count("seats"))),
        Fact("findings", units.count(core.state.count("findings"))),
    ]


INSTANCES: Pane[Line, Cores] = Pane(
    id="instances",
    title="instances",
    columns=(
        Column(
            "instance",
            "INSTANCE",
            16,
            lambda line, now: Cell(line.core.name, "strong"),
            lambda line: line.core.number,
            grow=1,
            ideal=24,
        ),
        Column(
            "link",
            "LINK",
            13,
            lambda line, now: link(line.core),
            lambda line: line.core.feed.link,
            raw=lambda line, now: {"link": line.core.feed.link},
        ),
        Column(
            "age",
            "DATA",
            6,
            lambda line, now: _age(line),
            lambda line: line.core.feed.age_ms() or 0,
            "right",
            raw=lambda line, now: {"data_age_ms": line.core.feed.age_ms()},
        ),
        Column(
            "flight",
            "IN FLIGHT",
            9,
            lambda line, now: Cell(units.count(line.core.state.totals.in_flight)),
            lambda line: line.core.state.totals.in_flight,
            "right",
            raw=lambda line, now: {"in_flight": line.core.state.totals.in_flight},
        ),
        Column(
            "sessions",
            "SESSIONS",
            8,
            lambda line, now: Cell(units.count(line.core.state.count("sessions"))),
            lambda line: line.core.state.count("sessions"),
            "right",
            raw=lambda line, now: {"sessions": line.core.state.count("sessions")},
        ),
        Column(
            "findings",
            "FINDINGS",
            8,
            lambda line, now: Cell(
                units.count(line.core.state.count("findings")),
                "warn" if line.core.state.count("findings") else "dim",
            ),
            lambda line: line.core.state.count("findings"),
            "right",
            priority=2,
            raw=lambda line, now: {"findings": line.core.state.count("findings")},
        ),
        Column("version", "VERSION", 9, lambda line, now: Cell(_version(line), "dim"), _version, priority=3),
        Column(
            "trouble",
            "TROUBLE",
            20,
            lambda line, now: Cell(_trouble(line), "bad"),
            _trouble,
            priority=1,
            grow=2,
        ),
    ),
    sort="instance",
    descending=False,
    keys=lambda cores: range(len(cores)),
    row=lambda cores, number: Line(cores[number], number in cores.speakers),
    changed=lambda changed: {changed.core},
    search=lambda line: f"{line.core.name} {link(line.core).text} {_version(line)} {_trouble(line)}",
    facts=_facts,
    target=lambda cores, line: Target(label=line.core.name, core=line.core.number),
    empty=("There is always one.",),
    worth=(),
)
"""What key 0 shows of a console that is attached to several cores."""
