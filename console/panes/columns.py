"""Which columns of a pane are shown, in which order and how wide, as the operator has chosen. Pure.

A choice outlives the console that it was made in. So it may name columns that there no longer are, which do not
count, and not know others, which then stand where the pane has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec

from console.panes.pane import Column

NARROWEST, WIDEST = 3, 120

Columns = Sequence[Column[Any]]


class Arrangement(msgspec.Struct, frozen=True):
    """What an operator has chosen of a pane's columns, by their ids; nothing chosen is the pane's own way."""

    order: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    widths: dict[str, int] = {}


def in_order(columns: Columns, arrangement: Arrangement) -> list[Column[Any]]:
    """All columns, also the hidden ones; a new one comes behind the one that the pane has before it."""
    by_id = {column.id: column for column in columns}
    ids = [column_id for column_id in dict.fromkeys(arrangement.order) if column_id in by_id]
    before = ""
    for column_id in by_id:
        if column_id not in ids:
            ids.insert(ids.index(before) + 1 if before else 0, column_id)
        before = column_id
    return [by_id[column_id] for column_id in ids]


def shown(columns: Columns, arrangement: Arrangement) -> tuple[Column[Any], ...]:
    """The columns that are to be shown, as far as there is room; always at least one.

    In an order of the operator's own what stands further left matters more, and a width of their own is kept.
    """
    ordered = in_order(columns, arrangement)
    visible = [column for column in ordered if column.id not in arrangement.hidden] or ordered[:1]
    if [column.id for column in ordered] != [column.id for column in columns]:
        visible = [replace(column, priority=min(place, 1)) for place, column in enumerate(visible)]
    return tuple(
        replace(column, width=_bounded(arrangement.widths[column.id]), grow=0, ideal=0)
        if column.id in arrangement.widths
        else column
        for column in visible
    )


def toggled(columns: Columns, arrangement: Arrangement, column_id: str) -> Arrangement:
    """Show a column, or hide it; the last one stays."""
    visible = [column.id for column in shown(columns, arrangement)]
    hidden = {column.id for column in columns}.difference(visible)
    if column_id in hidden:
        hidden.discard(column_id)
    elif len(visible) > 1:
        hidden.add(column_id)
    elsewhere = set(arrangement.hidden).difference(column.id for column in columns)
    return msgspec.structs.replace(arrangement, hidden=tuple(sorted(hidden | elsewhere)))


def moved(columns: Columns, arrangement: Arrangement, column_id: str, by: int) -> Arrangement:
    """Move a column so many places to the right."""
    ids = [column.id for column in in_order(columns, arrangement)]
    at = ids.index(column_id)
    ids.insert(max(0, min(at + by, len(ids) - 1)), ids.pop(at))
    own = tuple(ids) if ids != [column.id for column in columns] else ()
    return msgspec.structs.replace(arrangement, order=own)


def resized(arrangement: Arrangement, column_id: str, width: int | None) -> Arrangement:
    """Give a column a width of its own, or with None the pane's again."""
    widths = {key: cells for key, cells in arrangement.widths.items() if key != column_id}
    if width is not None:
        widths[column_id] = _bounded(width)
    return msgspec.structs.replace(arrangement, widths=widths)


def _bounded(width: int) -> int:
    return max(NARROWEST, min(width, WIDEST))
