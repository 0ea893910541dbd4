"""A disk that refuses some rows, on any database: what only a broken one would do."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import Connection

Change = Literal["INSERT", "UPDATE", "DELETE"]


def refuse(
    connection: Connection, change: Change, table: str, when: str = "", says: str = "the disk refuses"
) -> None:
    """Refuse a change of the rows of a table, or of those for which `when` (of new. or old.) holds."""
    condition = f"WHEN ({when})" if when else ""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(
            f"CREATE TRIGGER refusing BEFORE {change} ON {table} {condition} BEGIN SELECT RAISE(ABORT, '{says}'); END"
        )
        return
    escaped = condition.replace("%", "%%")
    connection.exec_driver_sql(
        f"CREATE FUNCTION refusing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''{says}''; END'"
    )
    connection.exec_driver_sql(
        f"CREATE TRIGGER refusing BEFORE {change} ON {table} FOR EACH ROW {escaped} EXECUTE FUNCTION refusing()"
    )


def relent(connection: Connection, table: str) -> None:
    """Refuse nothing any more."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("DROP TRIGGER refusing")
    else:
        connection.exec_driver_sql(f"DROP TRIGGER refusing ON {table}")
        connection.exec_driver_sql("DROP FUNCTION refusing()")
