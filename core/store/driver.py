"""Constant statements on the driver's own connection, for the writes of every message.

SQLAlchemy's way costs about 12 µs a statement, the driver's 1 µs; an append is three of them. The statements are
portable SQL with ``?`` for every parameter, and for nothing else; they run inside the transaction that the writer has
begun (`core.store.committer`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection


def rows(connection: Connection, statement: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """Run a statement and fetch everything that it returns, so that nothing stays open."""
    fetched: list[tuple[Any, ...]] = (
        _raw(connection).execute(_own(connection, statement), parameters).fetchall()
    )
    return fetched


def held(connection: Connection, statement: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """Like `rows`, for a SELECT whose rows nobody else may change until the unit is over."""
    return rows(connection, f"{statement} FOR UPDATE" if is_shared(connection) else statement, parameters)


def each(connection: Connection, statement: str, parameters: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """Like `rows`, one by one as they are asked for."""
    return iter(_raw(connection).execute(_own(connection, statement), parameters))


def is_shared(connection: Connection) -> bool:
    """Whether other processes may write to this database, too: PostgreSQL."""
    return connection.dialect.name == "postgresql"


def changed(connection: Connection, statement: str, parameters: tuple[Any, ...]) -> int:
    """Run a statement and say how many rows it inserted, changed or deleted."""
    count: int = _raw(connection).execute(_own(connection, statement), parameters).rowcount
    return count


def many(connection: Connection, statement: str, calls: Sequence[tuple[Any, ...]]) -> None:
    """Run a statement once for each of the calls' parameters."""
    _raw(connection).cursor().executemany(_own(connection, statement), calls)


def is_out_of_range(error: Exception) -> bool:
    """Whether PostgreSQL refused a statement because a number came out too large for its column."""
    return getattr(error, "sqlstate", None) == "22003"


def _raw(connection: Connection) -> Any:
    return connection.connection.dbapi_connection


def _own(connection: Connection, statement: str) -> str:
    return statement if connection.dialect.paramstyle == "qmark" else _with_percents(statement)


@cache
def _with_percents(statement: str) -> str:
    """A statement with the placeholders that PostgreSQL's driver knows; each is translated once."""
    return statement.replace("%", "%%").replace("?", "%s")
