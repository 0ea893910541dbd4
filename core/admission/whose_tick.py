"""Which of several processes on one database makes the next tick: whoever asks first when it is due.

By the database's clock, so that the processes' own play no part.
"""

from __future__ import annotations

from sqlalchemy import Connection

from core.store import driver

_NAME = "tick_due"
# The clock is read when the row is held, not before: of two who come at once the second sees what the first wrote.
# One that is due in more than a period was written by a clock that has been set back, or for a longer period.
_CLAIM = """
INSERT INTO counters (name, value) VALUES (?, (extract(epoch FROM clock_timestamp()) * 1000)::bigint + ?)
ON CONFLICT (name) DO UPDATE SET value = excluded.value
WHERE counters.value <= (extract(epoch FROM clock_timestamp()) * 1000)::bigint
OR counters.value > (extract(epoch FROM clock_timestamp()) * 1000)::bigint + ?
RETURNING value
"""
_DUE = "SELECT value - (extract(epoch FROM clock_timestamp()) * 1000)::bigint FROM counters WHERE name = ?"


def claim(connection: Connection, period: int) -> int:
    """In how many ms the next tick is due. 0: now, and it is the caller's; the next is due in `period` ms."""
    if driver.rows(connection, _CLAIM, (_NAME, period, period)):
        return 0
    return max(1, int(driver.rows(connection, _DUE, (_NAME,))[0][0]))
