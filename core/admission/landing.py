"""From the writer back to memory: a unit's changes land on the floor in commit order.

The landing happens in the loop's callback, not in the caller's coroutine: what is durable is followed even when
nobody waits for it any more. Where other processes share the database the unit leaves them a note of each change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from core.admission.changes import Change
from core.admission.herald import Herald
from core.admission.notes import note_of
from core.store import change_log
from core.store.database import Database

T = TypeVar("T")
U = TypeVar("U")


class Write(Protocol):
    """Runs a unit that gives its changes and a result; answers when the floor has followed the changes."""

    def __call__(self, unit: Callable[[Connection], tuple[list[Change], T]], now: int) -> Awaitable[T]: ...


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

        def noting(connection: Connection) -> tuple[list[Change], U]:
            changes, result = unit(connection)
            change_log.note(connection, map(note_of, changes))
            return changes, result

        def landed(written: tuple[list[Change], U]) -> tuple[list[Change], Callable[[], T]]:
            changes, result = written
            return changes, lambda: answer(result)

        return self._land(noting, landed, now)

    def adopt(
        self, look: Callable[[Connection], U], differences: Callable[[U], list[Change]], now: int
    ) -> Awaitable[U]:
        """Bring to the floor what others have changed: `look` reads it in a unit, and what is different follows."""
        return self._land(look, lambda seen: (differences(seen), lambda: seen), now)

    def _land(
        self,
        unit: Callable[[Connection], U],
        landed: Callable[[U], tuple[list[Change], Callable[[], T]]],
        now: int,
    ) -> Awaitable[T]:
        """Run a unit; `landed` says what follows on the floor, and how to answer after that."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def land(written: U, failed: BaseException | None) -> None:
            try:
                if failed is not None:
                    raise failed
                changes, answer = landed(written)
                self._follow(changes, now, loop)
                answered = answer()
            except Exception as error:
                if not done.done():
                    done.set_exception(error)
            else:
                # a caller who waits no more has cancelled it
                if not done.done():
                    done.set_result(answered)

        def settled(written: U, failed: BaseException | None) -> None:
            # later, as a future's callback is: what was written before is followed before, whoever wrote it
            loop.call_soon(land, written, failed)

        self._database.send(unit, settled)
        return done

    def _follow(self, changes: list[Change], now: int, loop: asyncio.AbstractEventLoop) -> None:
        """Follow a unit's changes. The queues are told once for all units of a commit, before any caller goes on."""
        moved = self._herald.follow(changes, now)
        if moved and not self._moved:
            loop.call_soon(self._tell_queues, now)
        self._moved |= moved

    def _tell_queues(self, now: int) -> None:
        moved, self._moved = self._moved, set()
        self._herald.tell_queues(sorted(moved), now)  # in an order that no hash decides
