"""Which columns fit, and how wide each is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from console.panes.pane import Column

_ROOMY = 110
"""From this width on two cells stand between columns, below it one."""

_NARROWEST = 4
_LUXURY = 3
"""Columns from this priority on come in only when the growing ones have their ideal width."""


class Place(NamedTuple):
    """A column on the screen: its width in cells, and the empty cells after it."""

    column: Column[Any]
    width: int
    gap: int


def arrange(columns: Sequence[Column[Any]], cells: int, *, keep: str = "") -> tuple[Place, ...]:
    """The columns that fit into that many cells, in their own order.

    The most important come in first, and `keep`, the one that the rows are ordered by, with them. What is left over
    goes to those that grow: first as far as they should have, then by their shares. Where not even the important
    ones fit, the growing ones shrink, and then the last ones go.
    """
    gap = 2 if cells >= _ROOMY else 1
    chosen: list[Column[Any]] = []
    taken = -gap
    for column in sorted(columns, key=lambda column: 0 if column.id == keep else column.priority):
        wished = 0
        if column.priority >= _LUXURY:
            wished = sum(max(0, other.ideal - other.width) for other in chosen)
        if column.priority == 0 or column.id == keep or taken + wished + column.width + gap <= cells:
            chosen.append(column)
            taken += column.width + gap
    shown = [column for column in columns if column in chosen]
    widths = {column.id: column.width for column in shown}
    spare = cells - taken
    if spare < 0:
        for column in shown:
            if column.grow:
                given = min(-spare, max(0, widths[column.id] - _NARROWEST))
                widths[column.id] -= given
                spare += given
    while spare < 0 and len(shown) > 1:
        spare += widths[shown.pop().id] + gap
    for column in shown:
        more = max(0, min(spare, column.ideal - widths[column.id]))
        widths[column.id] += more
        spare -= more
    shares = sum(column.grow for column in shown)
    if spare > 0 and shares:
        left = spare
        growing = [column for column in shown if column.grow]
        for column in growing:
            more = left if column is growing[-1] else spare * column.grow // shares
            widths[column.id] += more
            left -= more
    last = shown[-1] if shown else None
    return tuple(
        Place(column, max(1, min(widths[column.id], cells)), 0 if column is last else gap) for column in shown
    )
