"""What the benches share for their reports: a table, percentiles, and the machine's speed."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence


class Table:
    """Rows under headings, printed in columns."""

    def __init__(self, title: str, *headings: str) -> None:
        self._title = title
        self._rows: list[tuple[str, ...]] = [headings]

    def row(self, *cells: str) -> None:
        """Add a row of as many cells as there are headings."""
        self._rows.append(cells)

    def print(self) -> None:
        """Print it; the first column is text, the others are figures."""
        widths = [max(len(row[column]) for row in self._rows) for column in range(len(self._rows[0]))]
        print(f"\n{self._title}")
        for number, row in enumerate(self._rows):
            first, *others = zip(row, widths, strict=True)
            cells = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
            print("  " + "  ".join(cells).rstrip())
            if number == 0:
                print("  " + "  ".join("-" * width for width in widths))


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def calibration() -> float:
    """CPU seconds of a fixed piece of Python, the best of three: what other figures can be set against."""
    return min(_loop() for _ in range(3))


def _loop() -> float:
    started = time.process_time()
    counts: dict[int, int] = {}
    for number in range(1_000_000):
        key = number * 2654435761 % 1021
        counts[key] = counts.get(key, 0) + (number & 7)
    return time.process_time() - started
