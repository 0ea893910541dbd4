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
_INSIDE = re.compile(r"([1-9][\d,]*) in flight · ([\d,]+) waiting · ([\d,]+) seated")


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
    began = console.until(_INSIDE.search, "people inside")
    time.sleep(seconds)
    last = console.spent()
    inside = _INSIDE.search(console.text())
    if inside is None:
        raise TimeoutError(f"nobody is inside after {last.wall:.0f} s:\n{console.text()}")
    share = (last.cpu - began.cpu) / (last.wall - began.wall) * 100
    table = Table(
        f"maitred sandbox --users {users:,} --speed {_SPEED:g}, {seconds:.0f} s", "figure", "value", "aim"
    )
    table.row("inside at the end: in flight, waiting, seated", ", ".join(inside.groups()), "")
    table.row("resident memory, most", f"{last.peak:.1f} MB", "90 MB")
    table.row("resident memory, at the end", f"{last.memory:.1f} MB", "")
    table.row("CPU meanwhile", f"{share:.0f} %", "")
    return table


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(prog="python -m tests.bench.sandbox", description=__doc__)
    arguments.add_argument("--users", type=int, default=_USERS)
    arguments.add_argument("--seconds", type=float, default=30.0, help="how long, once somebody is inside")
    chosen = arguments.parse_args()
    main(users=chosen.users, seconds=chosen.seconds)
