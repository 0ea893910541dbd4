"""What a transaction has yet to write, once all of its units are through: a group does it in one go.

The search index takes half the time when a group's rows come to it together; a number that every unit moves is
written once. No unit reads these back from the database: numbers are told from here.
"""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import Any

import msgspec
from sqlalchemy import Connection

from core.store import driver

_KEY = "maitred.pending"
_READ = "SELECT value FROM counters WHERE name = ?"
_SET = (
    "INSERT INTO counters (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)


class Mark(msgspec.Struct, frozen=True, gc=False):
    """How far it had come before a unit."""

    statements: int
    numbers: dict[str, int]


class Pending:
    """The statements put off to the end of one transaction, and the numbers as they are at this point of it."""

    def __init__(self) -> None:
        self.changes = 0
        """How often something was added; never less than before."""
        self._statements: list[tuple[str, tuple[Any, ...]]] = []
        self._stored: dict[str, int] = {}
        self._numbers: dict[str, int] = {}

    def defer(self, statement: str, parameters: tuple[Any, ...]) -> None:
        """Put a statement off; they run in the order of the calls."""
        self.changes += 1
        self._statements.append((statement, parameters))

    def number(self, connection: Connection, name: str) -> int:
        """What a counter is at this point of the transaction, where nobody else moves it."""
        known = self._numbers.get(name)
        if known is None:
            found = driver.rows(connection, _READ, (name,))
            known = self._numbers[name] = self._stored[name] = int(found[0][0]) if found else 0
        return known

    def set_number(self, name: str, value: int) -> None:
        """Move a counter that was read before."""
        self.changes += 1
        self._numbers[name] = value

    def reset_numbers(self, prefix: str) -> None:
        """Follow a statement that has set every counter whose name begins so to 0."""
        self.changes += 1
        self._numbers.update((name, 0) for name in self._numbers if name.startswith(prefix))

    def mark(self) -> Mark:
        """Where to come back to."""
        return Mark(len(self._statements), self._numbers.copy())

    def back(self, mark: Mark) -> None:
        """Forget what was added after the mark."""
        del self._statements[mark.statements :]
        self._numbers = mark.numbers.copy()

    def clear(self) -> None:
        """Forget all of it: the transaction is over."""
        self._statements.clear()
        self._numbers.clear()
        self._stored.clear()

    def write(self, connection: Connection) -> None:
        """Write everything; nothing is pending any more then."""
        for statement, calls in groupby(self._statements, key=itemgetter(0)):
            driver.many(connection, statement, [parameters for _, parameters in calls])
        moved = [each for each in self._numbers.items() if self._stored[each[0]] != each[1]]
        if moved:
            driver.many(connection, _SET, moved)
        self.clear()


def of(connection: Connection) -> Pending:
    """What is pending on a writer's connection."""
    found: Pending | None = connection.info.get(_KEY)
    if found is None:
        found = connection.info[_KEY] = Pending()
    return found


def defer(connection: Connection, statement: str, parameters: tuple[Any, ...]) -> None:
    """Run a statement (see `driver.rows`) at the end of the transaction, after all others."""
    of(connection).defer(statement, parameters)
