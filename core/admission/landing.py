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
        self._moved: set[str] = set()

    def write(self, unit: Callable[[Connection], tuple[list[Change], T]], now: int) -> Awaitable[T]:
        """Run a unit that gives its changes and a result; answers the result when the floor has followed."""
        return self.answer(unit, lambda result: result, now)

    def answer(
        self, unit: Callable[[Connection], tuple[list[Change], U]], answer: Callable[[U], T], now: int
    ) -> Awaitable[T]:
        """Like `write`, but `answer` looks at the floor at the very point of the unit's commit.

        Raises what the unit raised, or StorageFailed; then nothing has changed.
        """
        loop = asyncio.get_running_loop()
        landed: asyncio.Future[T] = loop.create_future()

        def land(written: asyncio.Future[tuple[list[Change], U]]) -> None:
            try:
                changes, result = written.result()
                self._follow(changes, now, loop)
                answered = answer(result)
            except asyncio.CancelledError:
                landed.cancel()
            except Exception as error:
                if not landed.done():
                    landed.set_exception(error)
            else:
                # a caller who waits no more has cancelled it
                if not landed.done():
                    landed.set_result(answered)

        self._database.submit(unit).add_done_callback(land)
        return landed

    def _follow(self, changes: list[Change], now: int, loop: asyncio.AbstractEventLoop) -> None:
        """Follow a unit's changes. The queues are told once for all units of a commit, before any caller goes on."""
        moved = self._herald.follow(changes, now)
        if moved and not self._moved:
            loop.call_soon(self._tell_queues, now)
        self._moved |= moved

    def _tell_queues(self, now: int) -> None:
        moved, self._moved = self._moved, set()
        self._herald.tell_queues(sorted(moved), now)  # in an order that no hash decides
