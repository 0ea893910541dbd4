"""What the lines above and below a pane's table tell: the house in figures, the panes, the kinds of rows, the place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from console import units
from console.actions import BY_ID
from console.desk import Desk
from console.instances import INSTANCES
from console.panes.catalog import PANES
from console.panes.findings import FINDINGS
from console.panes.model import PaneModel
from console.panes.pane import Pane
from console.state import Table
from console.trends import spark
from console.widgets.line import Part

_FEW = 7
"""With never more turns than this the trend is drawn low."""

_TABLES: dict[str, Table] = {
    "queues": "queues",
    "runs": "runs",
    "sessions": "sessions",
    "strikes": "pins",
    "cost": "costs",
    "journal": "journal",
    "findings": "findings",
}
"""Pane → the rows that it shows."""

ALL = "all"
"""How all kinds of rows together are called."""


def totals(desk: Desk, *, wide: bool) -> list[Part]:
    """The whole house: turns, people, money; with its trends where there is room."""
    cores, look = desk.cores, desk.looks.current
    if not cores.known:
        return []
    text, figures = look.style("text"), cores.totals()
    parts = [Part(f"{figures.in_flight:,} in flight", text)]
    if wide:
        turns = cores.in_flight()
        trend = spark(turns, max(_FEW, *(figure or 0 for figure in turns)))
        parts.append(Part(f" {trend}", look.style("accent")))
    people = f" · {figures.waiting:,} waiting · {figures.seated:,} seated · {units.cents(figures.micros)}"
    parts.append(Part(people, text))
    if wide:
        rate = cores.micros_per_hour()
        parts.append(Part(f", {units.cents(rate)}/h" if rate else "", text))
    return [*parts, Part(" ", text)]


def tabs(desk: Desk, stack: Sequence[PaneModel], cells: int) -> list[Part]:
    """The panes with what they hold; the shown one is marked, and what lies behind it named. A click shows another."""
    look, cores = desk.looks.current, desk.cores
    counts = {pane_id: cores.count(table) for pane_id, table in _TABLES.items()}
    root = stack[0].pane.id
    shown: list[tuple[int, Pane[Any, Any]]] = [*enumerate(PANES, 1)]
    if cores.several:
        shown.insert(0, (0, INSTANCES))
        counts[INSTANCES.id] = len(cores)
    names: list[str] = []
    for n, pane in shown:
        crumb = f" › {stack[-1].pane.title}" if pane.id == root and len(stack) > 1 else ""
        names.append(f"{'▸' if pane.id == root else ' '}{n} {pane.title}{crumb} ")
    figures = [f"{units.short(counts[pane.id])} " if counts[pane.id] else "" for _, pane in shown]
    if sum(map(len, names)) >= cells:
        names, figures = [name.rstrip() for name in names], [""] * len(names)
    # where the line is too short for all of them the last ones go first
    left = cells - 1 - sum(map(len, names))
    texts: list[str] = []
    for name, figure in zip(names, figures, strict=True):
        left -= len(figure)
        texts.append(name + figure if left >= 0 else name)
    styles = [look.style("tab_shown" if pane.id == root else "tab") for _, pane in shown]
    if counts[FINDINGS.id] and root != FINDINGS.id:
        styles[-1] = look.style("warn")
    return [Part(" ", look.style("tab")), *map(Part, texts, styles, [pane.id for _, pane in shown])]


def scopes(desk: Desk, model: PaneModel) -> list[Part]:
    """The kinds of rows, where there are several; what is shown is marked as the panes are. A click shows another."""
    look = desk.looks.current
    parts = [Part(f"  {desk.keys.shown(BY_ID['scope'])} ", look.style("key"), ALL)]
    for scope in ("", *model.pane.scopes):
        shown = scope == model.scope
        name = f"{'▸' if shown else ' '}{scope or ALL} "
        parts.append(Part(name, look.style("tab_shown" if shown else "tab"), scope or ALL))
    return parts


def how_shown(desk: Desk, model: PaneModel, *, frozen_at: int) -> list[Part]:
    """What is not as it would be by itself: frozen, filtered, marked, being acted on."""
    look, parts = desk.looks.current, list[Part]()
    if model.frozen:
        since = units.age(desk.cores.now() - frozen_at)
        parts.append(Part(f"‖ frozen {since}, {model.held_back:,} changed  ", look.style("warn")))
    if model.filter:
        parts.append(Part(f"/{model.filter}  ", look.style("accent")))
    if model.marks:
        hidden = f", {model.marked_hidden:,} hidden" if model.marked_hidden else ""
        parts.append(Part(f"▪ {len(model.marks):,} marked{hidden}  ", look.style("accent")))
    for work, tone in ((desk.bulk, "warn"), (desk.exporting, "accent")):
        if work is not None:
            stops = "stopping" if work.stopped else "esc stops it"
            parts.append(Part(f"◐ {work.text()} {stops}  ", look.style(tone)))
    return parts


def place(desk: Desk, model: PaneModel) -> list[Part]:
    """The order, and where in it the cursor is."""
    at = model.position
    where = "–" if at is None else f"{at + 1:,}"
    if model.progress is not None:
        where = f"{model.progress.doing} {model.progress.percent} %  {where}"
    of = f"{len(model):,}" if len(model) == model.known else f"{len(model):,} shown of {model.known:,}"
    order = model.pane.column(model.sort).title.lower()
    arrow = "▾" if model.descending else "▴"
    return [Part(f"by {order}{arrow}  {where}/{of} ", desk.looks.current.style("dim"))]
