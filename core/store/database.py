"""The database: one writer thread with group commit, and a few reader threads.

A *unit* is a function of a connection. `write` answers when the unit is on the disk. Units run in the order in which
they were submitted, each undone by itself when it fails (`core.store.committer`). A unit may have to run again, so
nothing but its connection and its result may know of it.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection

from core.clock import Clock, SystemClock
from core.errors import StorageFailed
from core.metrics import SECONDS, Histogram
from core.store.backend import Backend, failure
from core.store.committer import Committer, Write

T = TypeVar("T")
Unit = Callable[[Connection], T]

_READERS = 4


class Database:
    """A database with its threads. Open it before the loop's work begins, close it after."""

    def __init__(self, backend: Backend, clock: Clock | None = None) -> None:
        """Open (or make) the database and bring its schema up to date.

        `clock` times the attempts to come back to a database that is gone. Raises StartRefused of some kind.
        """
        self._backend = backend
        try:
            link = backend.open()
        except BaseException:
            backend.close()
            raise
        self._clock = clock or SystemClock()
        self.latency = Histogram(SECONDS)
        """Seconds from handing a unit of work over to its being durable, or failed."""
        self._committer = Committer(backend, link, self._clock, self._deliver)
        self._readers = ThreadPoolExecutor(_READERS, "maitred-reader")
        self._queue: queue.SimpleQueue[Write | None] = queue.SimpleQueue()
        self._closed = False
        self._writer = threading.Thread(target=self._work, name="maitred-writer", daemon=True)
        self._writer.start()

    @property
    def trouble(self) -> str | None:
        """Why nothing can be written at the moment, in one line; None while all is well."""
        return self._committer.trouble

    @property
    def is_shared(self) -> bool:
        """Whether other processes may write to the database, too."""
        return self._backend.is_shared

    def submit(self, unit: Unit[T]) -> asyncio.Future[T]:
        """Queue a unit of work; the future is done when it is durable, or failed with nothing of it kept."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.send(unit, partial(_resolve, future))
        return future

    def send(self, unit: Unit[T], settle: Callable[[T, BaseException | None], None]) -> None:
        """Queue a unit of work; `settle`, which must not raise, gets its result or its error in the loop.

        It is called in the order of the commits, in the step that also sets the futures of `submit`, so before any of
        their callbacks.
        """
        if self._closed:
            raise StorageFailed("the database is closed")
        self._queue.put(Write(unit, settle, asyncio.get_running_loop(), sent_at=self._clock.monotonic()))

    async def write(self, unit: Unit[T]) -> T:
        """Run a unit of work and wait until it is durable; raises what the unit raised, or StorageFailed.

        StorageFailed says whether nothing was written, or whether that is not known because the connection broke in
        the middle of the commit. Cancelling the wait does not take the unit back.
        """
        return await self.submit(unit)

    async def read(self, query: Unit[T]) -> T:
        """Run a query on a reader thread; it sees everything acknowledged so far."""
        if self._closed:
            raise StorageFailed("the database is closed")
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, query)

    async def aclose(self) -> None:
        """Finish what was submitted, then close; closing twice does nothing."""
        if self._closed:
            return
        self._closed = True
        self._committer.leave()
        self._queue.put(None)
        await asyncio.get_running_loop().run_in_executor(None, self._writer.join)
        self._readers.shutdown()
        self._committer.close()
        self._backend.close()

    def _read(self, query: Unit[T]) -> T:
        for again in (True, False):
            try:
                with self._backend.reader() as connection:
                    return query(connection)
            except Exception as error:
                # a connection may have been lost long ago: another one tells whether the database is there
                if again and self._backend.meaning(error) == "lost":
                    continue
                told = failure(self._backend, error)
                if told is error:
                    raise
                raise told from error
        raise AssertionError("unreachable")

    def _deliver(self, writes: Iterable[Write]) -> None:
        """Hand the results to their loops, one wake-up for each loop."""
        now = self._clock.monotonic()
        by_loop: dict[asyncio.AbstractEventLoop, list[Write]] = {}
        for write in writes:
            self.latency.note(now - write.sent_at)
            by_loop.setdefault(write.loop, []).append(write)
        for loop, theirs in by_loop.items():
            try:
                loop.call_soon_threadsafe(_settle, theirs)
            except RuntimeError:  # the loop is closed: nobody waits any more, and what was written is written
                continue

    def _work(self) -> None:
        leaving = False
        while not leaving:
            try:
                group = [self._queue.get(timeout=self._committer.beat)]
            except queue.Empty:
                self._committer.look()
                continue
            while len(group) < self._backend.largest_group:
                try:
                    group.append(self._queue.get_nowait())
                except queue.Empty:
                    break
            leaving = group[-1] is None
            self._committer.commit(write for write in group if write is not None)


def _settle(writes: list[Write]) -> None:
    for write in writes:
        write.settle(write.result, write.error)


def _resolve(future: asyncio.Future[T], result: T, error: BaseException | None) -> None:
    if future.done():  # the caller waits no more
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
