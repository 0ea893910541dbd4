"""Named numbers in the database, moved by any of its processes. Each belongs to the unit of work until that is over.

Where nobody else writes, a transaction reads a number once and writes it once, however many units move it.
"""

from __future__ import annotations

from sqlalchemy import Connection

from core.store import driver, pending

_ADD = """
INSERT INTO counters (name, value) VALUES (?, ?)
ON CONFLICT (name) DO UPDATE SET value = counters.value + excluded.value
RETURNING value
"""
_READ = "SELECT value FROM counters WHERE name = ?"
_CLEAR = "UPDATE counters SET value = 0 WHERE substr(name, 1, ?) = ?"


def add(connection: Connection, name: str, by: int) -> int:
    """Move a number, which is 0 before it was ever moved; answers what it is then."""
    if driver.is_shared(connection):
        return int(driver.rows(connection, _ADD, (name, by))[0][0])
    waiting = pending.of(connection)
    value = waiting.number(connection, name) + by
    if by:
        waiting.set_number(name, value)
    return value


def held(connection: Connection, name: str) -> int:
    """What a number is; nobody else moves or holds it until the unit is over."""
    if not driver.is_shared(connection):
        return pending.of(connection).number(connection, name)
    stored = driver.held(connection, _READ, (name,))
    # there must be a row to hold
    return int(stored[0][0]) if stored else add(connection, name, 0)


def clear(connection: Connection, prefix: str) -> None:
    """Set every number whose name begins so to 0."""
    driver.changed(connection, _CLEAR, (len(prefix), prefix))
    pending.of(connection).reset_numbers(prefix)


def lock_all(connection: Connection) -> None:
    """Wait until nobody holds any number, and let nobody hold one until the unit is over."""
    if driver.is_shared(connection):
        driver.changed(connection, "LOCK TABLE counters IN EXCLUSIVE MODE", ())
