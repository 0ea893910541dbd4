"""What `maitred sandbox` costs while its people are inside, with its console drawing them.

A run that ends, or that lets nobody in, is told instead of a figure.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from pathlib import Path

from tests.bench.report import Table
from tests.bench.terminal import Watched, on_terminal

_USERS, _SPEED = 1_000, 10.0
_BUSY = re.compile(r"\b[1-9][\d,]* in flight\b")
_INSIDE = ("in flight", "waiting", "seated")


def main(*, quick: bool = False, users: int = _USERS, seconds: float | None = None) -> None:
    """Let its people in, watch it for so many seconds (30, or 8), and print what it took."""
    seconds = seconds or (8.0 if quick else 30.0)
    with tempfile.TemporaryDirectory(prefix="maitred-bench-", ignore_cleanup_errors=True) as home:
        try:
            with on_terminal(Path(home), "sandbox", "--users", str(users), "--speed", str(_SPEED)) as console:
                table = _watch(console, users, seconds)
        except (OSError, TimeoutError) as error:
            print(f"maitred sandbox was not measured: {error}")
            return
    table.print()


def _watch(console: Watched, users: int, seconds: float) -> Table:
    began = console.until(_BUSY.search, "people inside")
    time.sleep(seconds)
    last = console.spent()
    inside = _inside(console.text())
    share = (last.cpu - began.cpu) / (last.wall - began.wall) * 100
    table = Table(
        f"maitred sandbox --users {users:,} --speed {_SPEED:g}, {seconds:.0f} s", "figure", "value", "aim"
    )
    table.row(f"inside at the end: {' / '.join(_INSIDE)}", inside, "")
    table.row("resident memory, most", f"{last.peak:.1f} MB", "90 MB")
    table.row("resident memory, at the end", f"{last.memory:.1f} MB", "")
    table.row("CPU meanwhile", f"{share:.0f} %", "")
    return table


def _inside(text: str) -> str:
    """The figures of the header; raises TimeoutError when it does not tell them."""
    found = [re.search(rf"([\d,]+) {what}\b", text) for what in _INSIDE]
    if any(figure is None for figure in found):
        raise TimeoutError(f"the screen does not tell who is inside:\n{text}")
    return " / ".join(figure[1] for figure in found if figure)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(prog="python -m tests.bench.sandbox", description=__doc__)
    arguments.add_argument("--users", type=int, default=_USERS)
    arguments.add_argument("--seconds", type=float, default=30.0, help="how long, once somebody is inside")
    chosen = arguments.parse_args()
    main(users=chosen.users, seconds=chosen.seconds)
