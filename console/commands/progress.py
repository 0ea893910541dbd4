"""How far long work is: one line on standard error that is written over, where somebody looks at it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click


class Progress:
    """Counts up to a whole; silent where standard error is no terminal: it would only fill a log."""

    def __init__(self, doing: str, unit: str) -> None:
        """`doing` is what is done, such as "sending"; `unit` what is counted."""
        self._doing = doing
        self._unit = unit
        self._shown = -1
        self._width = 0
        self._seen = sys.stderr is not None and sys.stderr.isatty()

    def tell(self, done: int, of: int) -> None:
        """So much is done. Written when another hundredth of it is."""
        part = 100 * done // of if of else 100
        if not self._seen or part == self._shown:
            return
        self._shown = part
        line = f"{self._doing} {part:3} %  {done:,} of {of:,} {self._unit}"
        click.echo(f"\r{line.ljust(self._width)}", err=True, nl=False)
        self._width = len(line)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *ended: object) -> None:
        """Take the line back: what follows tells how it ended."""
        if self._width:
            click.echo(f"\r{' ' * self._width}\r", err=True, nl=False)


@contextmanager
def interruptible(left: str) -> Iterator[None]:
    """Work that ctrl+c ends: then `left` tells what is left of it."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo(f"maitred: interrupted; {left}", err=True)
        raise
