"""Database first, memory follows: the one way in which a service's memory learns of what was written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from core.store.database import Database, Unit

T = TypeVar("T")


async def acknowledged(database: Database, unit: Unit[T], follow: Callable[[T], None]) -> T:
    """Run a unit; when it is durable call `follow` with its result, then answer it.

    `follow` is called on the loop, in the order of the commits, and also when whoever waits here is cancelled: so
    memory never falls behind the database or overtakes it. Raises what the unit raised, and then `follow` is not
    called.
    """
    future = database.submit(unit)

    def settled(done: asyncio.Future[T]) -> None:
        if not done.cancelled() and done.exception() is None:
            follow(done.result())

    future.add_done_callback(settled)
    return await asyncio.shield(future)
