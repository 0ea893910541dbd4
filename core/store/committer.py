"""Group commit: many units in one transaction, none of which takes its neighbours along.

While one transaction waits for the disk the next units gather, and the next transaction takes all of them. A unit
that fails is undone by itself. Most have written nothing by then, and there is nothing to undo; for the others a mark
is set before each unit. Marks are a third of what a small unit costs, so where the database can do without them a
group runs without, and once more with them when one of its units has written and then failed.

A unit that another writer is in the way of lets those before it be committed and goes first in the next transaction,
so that it waits without holding anything: that is why two houses' writers never wait for each other for long.

On a full disk every unit is still tried, each alone, as a small one may have room; that all is well again is believed
only when something was written for trial.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from sqlalchemy import Connection

from core.clock import Clock
from core.errors import StorageFailed
from core.store import driver, pending
from core.store.backend import Backend, Link, failure

_MOST_TRIES = 5
_FIRST_PAUSES = (0.0, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds before each attempt to connect again, while a group waits for it."""
_LONGEST_PAUSE = 5.0
_TRIAL_PAUSE = 1.0
_TRIAL: tuple[tuple[str, tuple[Any, ...]], ...] = (
    # more than what may be left over in the pages that are there
    ("INSERT INTO facts (name, value) VALUES ('trial', ?) ON CONFLICT DO NOTHING", ("0" * 65_536,)),
    ("DELETE FROM facts WHERE name = 'trial'", ()),
)
"""Each in a transaction of its own."""


class Write(msgspec.Struct):
    """A unit on its way, and what became of it: `result` or `error`."""

    unit: Callable[[Connection], Any]
    settle: Callable[[Any, BaseException | None], None]
    loop: asyncio.AbstractEventLoop
    result: Any = None
    error: BaseException | None = None
    tries: int = 0
    sent_at: float = 0.0
    """On the monotonic clock."""


class _NoMark(Exception):
    """A unit that has written failed, and there is no mark to go back to."""


class _InTheWay(Exception):
    """Another writer is in the way of a unit, which was undone and may run again."""


class Committer:
    """Carries out groups of units on the writing connection of a back end, and connects again when it is lost.

    Belongs to the writer's thread; `trouble` may be read, and `leave` called, from any.
    """

    def __init__(
        self, backend: Backend, link: Link, clock: Clock, settle: Callable[[list[Write]], None]
    ) -> None:
        """`settle` gets units that have their result or their error, in order, as soon as they do."""
        self._backend = backend
        self._link: Link | None = link
        self._later = pending.of(link.connection)
        """What the transaction has yet to write. Held, because a connection that broke cannot be asked for it."""
        self._clock = clock
        self._settle = settle
        self._leaving = threading.Event()
        self._marks = True
        self._pause = 0.0
        self._next_attempt = 0.0
        self.trouble: str | None = None
        """Why nothing can be written at the moment, in one line; None while all is well."""

    @property
    def beat(self) -> float | None:
        """After how many idle seconds `look` should be called; None: never."""
        return self._backend.beat if self.trouble is None else self._pause

    def commit(self, writes: Iterable[Write]) -> None:
        """Carry out all units in their order; each is settled when this returns."""
        waiting = deque(writes)
        alone = 0
        if self._link is not None and self.trouble is not None and self._is_due:
            self._try(self._link)
        self._marks = self._backend.needs_marks
        while waiting:
            link = self._link or self._join_again()
            if link is None:
                self._fail(waiting, f"{self.trouble}; nothing was written")
                return
            again = self._transaction(link, waiting, several=not alone and len(waiting) > 1)
            alone = max(alone - 1, again)

    def look(self) -> None:
        """See whether the connection is still there, and try to get it back; for when there is nothing to write."""
        if self._link is None:
            self._attempt()
            return
        if self.trouble is not None:
            self._try(self._link)
            return
        try:
            self._link.begin(marked=False)
            self._link.commit()
        except Exception:
            self._lose(self._link)
            self._attempt()

    def leave(self) -> None:
        """Wait for no connection any more."""
        self._leaving.set()

    def close(self) -> None:
        """Let the connection go."""
        if self._link is not None:
            self._link.close()

    # -------------------------------------------------------------------------------------- one transaction

    def _transaction(self, link: Link, waiting: deque[Write], *, several: bool) -> int:
        """Commit as many of the waiting as it takes, one or `several`; how many of the next should go alone."""
        done: list[Write] = []
        sent = False
        try:
            link.begin(marked=several and self._marks)
            self._run_units(link, waiting, done, several=several)
            self._later.write(link.connection)
            sent = True
            link.commit()
        except _NoMark:
            self._marks = True
            self._start_over(link, done, waiting)
            return 0
        except Exception as error:  # whatever it is, the writer goes on: everybody else's writes depend on it
            return self._broken(link, error, done, waiting, several=several, sent=sent)
        self._settle(done)
        return 0

    def _run_units(self, link: Link, waiting: deque[Write], done: list[Write], *, several: bool) -> None:
        while True:
            try:
                self._run(link, waiting[0], several=several)
            except _InTheWay:
                if not done:
                    raise
                return
            done.append(waiting.popleft())
            if not several or not waiting:
                return
            if self._marks:
                link.mark()

    def _run(self, link: Link, write: Write, *, several: bool) -> None:
        later = self._later
        mark = later.mark() if self._marks else None
        before = later.changes + link.changes
        try:
            write.result = write.unit(link.connection)
            link.check()
        except Exception as error:
            meaning = self._backend.meaning(error)
            if meaning in ("lost", "stuck") or not several:
                raise
            if mark is not None:
                link.back()
                later.back(mark)
            elif not link.is_whole or later.changes + link.changes != before:
                raise _NoMark from error
            if meaning == "contended" and write.tries < _MOST_TRIES:
                raise _InTheWay from error
            write.error = self._failure(error)

    def _start_over(self, link: Link, done: list[Write], waiting: deque[Write]) -> None:
        """Undo everything that the transaction did, and let the same units run again."""
        self._later.clear()
        self._undo(link)
        for write in done:
            write.error = None
        waiting.extendleft(reversed(done))

    def _broken(
        self,
        link: Link,
        error: Exception,
        done: list[Write],
        waiting: deque[Write],
        *,
        several: bool,
        sent: bool,
    ) -> int:
        """After a transaction that was not committed: who runs again, and who has failed."""
        cause = error.__cause__ if isinstance(error, _InTheWay) and error.__cause__ else error
        meaning = self._backend.meaning(cause)
        self._later.clear()
        if meaning == "lost":
            self._lose(link)
        else:
            self._undo(link)
        if meaning == "stuck":
            self._stick(cause)
        if sent and meaning == "lost":
            self._fail(
                done,
                f"{self._backend.place}: the connection was lost in the middle of a commit ({self._said(cause)}); "
                "it is not known whether this was written: look, before it is done again",
            )
            return 0
        if meaning in ("lost", "contended") or (meaning == "stuck" and several):
            return self._again(cause, done, waiting)
        if not several and not done:
            # the one unit of this transaction has failed by itself
            failed = waiting.popleft()
            failed.error = self._failure(cause)
            self._settle([failed])
        else:
            self._fail([*done, *(waiting if several else ())], self._unwritten(cause))
            if several:
                waiting.clear()
        return 0

    def _again(self, cause: BaseException, done: list[Write], waiting: deque[Write]) -> int:
        """Let those who were in the transaction run again, each in one of its own, unless they have tried enough."""
        waiting.extendleft(reversed(done))
        begun = [waiting.popleft() for _ in range(min(len(done) + 1, len(waiting)))]
        for write in begun:
            write.tries += 1
            write.error = None
        waiting.extendleft(write for write in reversed(begun) if write.tries <= _MOST_TRIES)
        self._fail([write for write in begun if write.tries > _MOST_TRIES], self._unwritten(cause))
        return len(begun)

    def _undo(self, link: Link) -> None:
        try:
            link.rollback()
        except Exception:
            self._lose(link)

    def _fail(self, writes: Iterable[Write], message: str) -> None:
        failed = list(writes)
        for write in failed:
            write.error = write.error or StorageFailed(message)
        self._settle(failed)

    def _failure(self, error: BaseException) -> BaseException:
        return failure(self._backend, error, "; nothing was written")

    def _unwritten(self, error: BaseException) -> str:
        return f"{self._backend.place}: {self._said(error)}; nothing was written"

    def _said(self, error: BaseException) -> str:
        return self._backend.reason(error) or str(error) or type(error).__name__

    # --------------------------------------------------------------------------------------------- trouble

    def _stick(self, error: BaseException) -> None:
        self.trouble = f"{self._backend.place}: {self._said(error)}"
        self._pause = _TRIAL_PAUSE
        self._next_attempt = self._clock.monotonic() + _TRIAL_PAUSE

    def _try(self, link: Link) -> None:
        """See whether the database takes something again."""
        try:
            for statement, parameters in _TRIAL:
                link.begin(marked=False)
                driver.changed(link.connection, statement, parameters)
                link.commit()
        except Exception as error:
            if self._backend.meaning(error) == "lost":
                self._lose(link)
                self._attempt()
            else:
                self._undo(link)
                self._stick(error)
            return
        self.trouble, self._pause = None, 0.0

    @property
    def _is_due(self) -> bool:
        return self._clock.monotonic() >= self._next_attempt

    # ------------------------------------------------------------------------------------------- connection

    def _lose(self, link: Link) -> None:
        link.close()
        self._link = None

    def _join_again(self) -> Link | None:
        """Connect again for a group that waits: with some patience the first time, later only when it is due."""
        if self.trouble is not None:
            return self._attempt() if self._is_due else None
        for pause in _FIRST_PAUSES:
            if self._leaving.wait(pause):
                break
            if self._attempt() is not None:
                return self._link
        return None

    def _attempt(self) -> Link | None:
        try:
            self._link = link = self._backend.link()
            self._later = pending.of(link.connection)
        except Exception as error:
            self.trouble = f"{self._backend.place}: the database cannot be reached ({self._said(error)})"
            self._pause = min(_LONGEST_PAUSE, 2 * self._pause or 0.1)
            self._next_attempt = self._clock.monotonic() + self._pause
            return None
        self.trouble, self._pause = None, 0.0
        return self._link
