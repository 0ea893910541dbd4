"""What plain `maitred` costs while nothing happens: an empty house, nothing configured, its console open."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from tests.bench.report import Table
from tests.bench.terminal import on_terminal

_SETTLING_SECONDS = 3.0


def main(*, quick: bool = False) -> None:
    """Let it settle, watch it for a while, and print its share of a core; what kept it from that is told."""
    seconds = 5.0 if quick else 20.0
    with tempfile.TemporaryDirectory(prefix="maitred-bench-", ignore_cleanup_errors=True) as home:
        try:
            with on_terminal(Path(home)) as console:
                console.until_live()
                time.sleep(_SETTLING_SECONDS)
                began = console.spent()
                time.sleep(seconds)
                ended = console.spent()
        except (OSError, TimeoutError) as error:
            print(f"maitred was not measured: {error}")
            return
    share = (ended.cpu - began.cpu) / (ended.wall - began.wall) * 100
    table = Table(f"maitred with nothing configured, idle for {seconds:.0f} s", "figure", "value", "aim")
    table.row("CPU", f"{share:.2f} %", "1 %")
    table.row("resident memory", f"{ended.memory:.1f} MB", "90 MB")
    table.print()


if __name__ == "__main__":
    main()
