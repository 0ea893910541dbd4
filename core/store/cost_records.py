"""The costs table: functions of a connection, for the units of `core.store.costs`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from core.clock import day_of, timestamp
from core.errors import InvalidArgument
from core.protocol import CostRow, CostScope
from core.store import driver
from core.store.prices import LARGEST
from core.store.tables import costs

_SUMS = ("micros", "estimated_micros", "input_tokens", "output_tokens", "cached_tokens")
_COLUMNS = ("scope", "key", *_SUMS, "updated_at")
_LOADED_AT_ONCE = 1000


class Amounts(msgspec.Struct, frozen=True, kw_only=True):
    """What one booking adds; `updated_at` is milliseconds since 1970."""

    micros: int
    estimated_micros: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    updated_at: int


def _statement(targets: int) -> str:
    """One statement that adds the same amounts to so many totals and answers the new ones."""
    values = ", ".join(f"({', '.join('?' for _ in _COLUMNS)})" for _ in range(targets))
    sums = ", ".join(f"{name} = costs.{name} + excluded.{name}" for name in _SUMS)
    return (
        f"INSERT INTO costs ({', '.join(_COLUMNS)}) VALUES {values} "
        f"ON CONFLICT (scope, key) DO UPDATE SET {sums}, updated_at = excluded.updated_at "
        f"RETURNING {', '.join(_COLUMNS)}"
    )


_ADD = tuple(_statement(targets) for targets in range(6))
_ALL = select(*(costs.c[name] for name in _COLUMNS))


def targets_of(
    session_key: str, *, user_id: str | None, project: str | None, model: str | None, now: int
) -> list[tuple[CostScope, str]]:
    """Whatever a booking at `now` (ms) counts for: the session, the day, and what is known of the rest.

    They come in the same order of scopes everywhere, so that two instances never wait for each other in a ring.
    """
    others: tuple[tuple[CostScope, str | None], ...] = (
        ("user", user_id),
        ("project", project),
        ("model", model),
    )
    return [
        ("session", session_key),
        *((scope, key) for scope, key in others if key),
        ("day", day_of(now)),
    ]


def add(connection: Connection, targets: Sequence[tuple[CostScope, str]], amounts: Amounts) -> list[CostRow]:
    """Add the amounts to the totals of what `targets_of` answers; answers the new totals.

    Raises InvalidArgument when a total would grow past what the database keeps.
    """
    values = msgspec.structs.astuple(amounts)
    parameters = tuple(value for target in targets for value in (*target, *values))
    try:
        totals = driver.rows(connection, _ADD[len(targets)], parameters)
    except Exception as error:
        if driver.is_out_of_range(error):
            raise InvalidArgument(f"a total would pass {LARGEST}; nothing was booked") from error
        raise
    for total in totals:
        # past 64 bits SQLite goes on in floating point, silently; raising takes the whole unit back
        if not all(type(amount) is int and amount <= LARGEST for amount in total[2:7]):
            raise InvalidArgument(
                f"the total of {total[0]} {total[1]!r:.60} would pass {LARGEST}; nothing was booked"
            )
    return [_row(total) for total in totals]


def load(connection: Connection) -> Iterator[CostRow]:
    """All totals."""
    result = connection.execute(_ALL)
    while page := result.fetchmany(_LOADED_AT_ONCE):
        yield from map(_row, page)


def _row(row: Sequence[Any]) -> CostRow:
    scope, key, micros, estimated, read, written, cached, updated_at = row
    return CostRow(
        scope=scope,
        key=key,
        micros=micros,
        estimated_micros=estimated,
        input_tokens=read,
        output_tokens=written,
        cached_tokens=cached,
        updated_at=timestamp(updated_at),
    )
