"""The rows of a pane as text for other programs: CSV as it is shown, or JSON Lines with the values behind it. Pure.

CSV is for people with a spreadsheet: what is in a cell is text and stays text, also where it begins as a formula
does. JSON Lines is for programs: numbers are numbers, money is in micro-USD, and times are those of the wire. Its
texts are exact, for what could be dangerous in them is escaped by JSON itself.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from console.panes.pane import Column
from console.text import neutral

Format = Literal["csv", "jsonl"]

ROWS_AT_ONCE = 100
"""So many rows make a chunk: no longer than a frame may wait."""

_LONGEST = 32_000
"""A spreadsheet's cell holds no more characters."""

_FORMULAS = frozenset("=+-@\t\r\uff1d\uff0b\uff0d\uff20")
"""With these a spreadsheet takes a text for a formula; the last four are the wide forms of the first four."""

Columns = Sequence[Column[Any]]


def chunks(how: Format, columns: Columns, rows: Sequence[Any], now: Callable[[], int]) -> Iterator[str]:
    """The file's text, piece by piece; each is made when it is asked for."""
    lines = _csv_lines if how == "csv" else _json_lines
    if how == "csv":
        yield _csv_text([[cell_text(column.title) for column in columns]])
    for start in range(0, len(rows), ROWS_AT_ONCE):
        yield lines(columns, rows[start : start + ROWS_AT_ONCE], now())


def cell_text(text: str) -> str:
    """A cell that a spreadsheet shows as it is, whatever it begins with."""
    safe = neutral(text, _LONGEST - 1)
    return f"'{safe}" if _begins_formula(text) or _begins_formula(safe) else safe


def _begins_formula(text: str) -> bool:
    return text[:1] in _FORMULAS or text.lstrip()[:1] in _FORMULAS


def _csv_lines(columns: Columns, rows: Sequence[Any], now: int) -> str:
    return _csv_text([[cell_text(column.cell(row, now).text) for column in columns] for row in rows])


def _csv_text(cells: list[list[str]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(cells)
    return text.getvalue()


def _json_lines(columns: Columns, rows: Sequence[Any], now: int) -> str:
    lines: list[str] = []
    for row in rows:
        values: dict[str, object] = {}
        for column in columns:
            values.update(column.values(row, now))
        lines.append(json.dumps(values) + "\n")
    return "".join(lines)
