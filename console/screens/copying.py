"""What the menu offers to copy of a row: each of its cells in full, or all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from console.panes.export import cell_text
from console.panes.pane import Column
from console.screens.choosing import LETTERS
from console.screens.menu import Choice, Menu
from console.text import neutral

_LONGEST = 32_000
"""More of one text is not copied: a terminal that gets more at once may drop all of it."""

_ROW = "row"
_CELL = "cell-"
"""Begins the id of a cell's line; what follows is the id of its column."""


class Copied(NamedTuple):
    """What goes to the clipboard, and what it is called."""

    text: str
    name: str


def cell_menu(columns: Sequence[Column[Any]], row: Any, now: int, label: str) -> Menu:
    """The cells of a row by their columns, and the whole row."""
    choices = [Choice(_ROW, "0", "the whole row, with tabs between", safe=True)]
    widest = max(len(column.title) for column in columns)
    for column, letter in zip(columns, LETTERS, strict=False):
        text = column.cell(row, now).text
        choices.append(Choice(f"{_CELL}{column.id}", letter, f"{column.title:<{widest}}  {text}", safe=True))
    return Menu(f"Copy of {label}:", [], choices)


def copied(columns: Sequence[Column[Any]], row: Any, now: int, choice: str) -> Copied:
    """What was chosen: one cell as it is, or a row as a spreadsheet takes it."""
    if choice == _ROW:
        cells = (cell_text(column.cell(row, now).text) for column in columns)
        return Copied("\t".join(cells)[:_LONGEST], "the row")
    (column,) = (each for each in columns if f"{_CELL}{each.id}" == choice)
    return Copied(neutral(column.cell(row, now).text, _LONGEST), column.title.lower())
