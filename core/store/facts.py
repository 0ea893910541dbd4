"""Single values of the house."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, insert, select

from core.store.tables import facts


def house_id(connection: Connection, new_id: Callable[[], str]) -> str:
    """The id that all instances on one database share; drawn when the first of them starts."""
    found = connection.execute(select(facts.c.value).where(facts.c.name == "house")).scalar_one_or_none()
    if found is None:
        found = new_id()[:12]
        connection.execute(insert(facts).values(name="house", value=found))
    return str(found)
