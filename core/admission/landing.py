"""From the writer back to memory: a unit's changes land on the floor in commit order.

The landing happens in the loop's callback, not in the caller's coroutine: what is durable is followed even when
nobody waits for it any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy import Connection

from core.admission.changes import Change
from core.admission.herald import Herald
from core.store.database import Database

T = TypeVar("T")
U = TypeVar("U")


class Landing:
    """Runs units of work, and has the herald follow what they changed."""

    def __init__(self, database: Database, herald: Herald) -> None:
        self._database = database
        self._herald = herald

    def write(self, unit: Callable[[Connection], tuple[list[Change], T]], now: int) -> Awaitable[T]:
        """Run a unit that gives its changes and a result; answers the result when the floor has followed."""
        return self.answer(unit, lambda result: result, now)

    def answer(
        self, unit: Callable[[Connection], tuple[list[Change], U]], answer: Callable[[U], T], now: int
    ) -> Awaitable[T]:
        """Like `write`, but `answer` looks at the floor at the very point of the unit's commit.

        Raises what the unit raised, or StorageFailed; then nothing has changed.
        """
        landed: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def land(written: asyncio.Future[tuple[list[Change], U]]) -> None:
            try:
                changes, result = written.result()
                self._herald.follow(changes, now)
                landed.set_result(answer(result))
            except asyncio.CancelledError:
                landed.cancel()
            except Exception as error:
                landed.set_exception(error)

        self._database.submit(unit).add_done_callback(land)
        return asyncio.shield(landed)
