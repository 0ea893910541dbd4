"""How many places of each model are taken: a counter for each model, and the lock on the model's admissions.

The counter moves with every seat that becomes active or goes, so the ceiling costs no counting of seats. Where several
processes share the database, whoever changes anything in a model's queue or among its seats holds that model first:
the row of its name, so no two models share a lock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection

from core.store import counters, driver

_ACTIVE = "active_seats:"
_STALE = "SELECT model FROM seats WHERE expires_at <= ?"


def hold(connection: Connection, models: Iterable[str]) -> None:
    """Let nobody else admit to these models, or change their queues, until the unit is over."""
    if driver.is_shared(connection):
        for model in sorted(set(models)):
            counters.held(connection, _ACTIVE + model)


def move(connection: Connection, model: str, by: int) -> None:
    """So many more seats of the model are stored as active."""
    counters.add(connection, _ACTIVE + model, by)


def occupied(connection: Connection, model: str, over: int) -> int:
    """How many seats of the model occupy a place: stored as active, and not expired at `over` (ms) or earlier.

    Holds the model.
    """
    stored = counters.held(connection, _ACTIVE + model)
    if not stored:
        return 0
    stale = driver.rows(connection, _STALE, (over,))
    return stored - sum(1 for (each,) in stale if each == model)


def recount(connection: Connection, active: Mapping[str, int]) -> None:
    """Set the counters to how many seats are stored as active; everything must be locked (`counters.lock_all`)."""
    counters.clear(connection, _ACTIVE)
    for model, count in sorted(active.items()):
        move(connection, model, count)
