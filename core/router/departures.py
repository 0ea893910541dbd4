"""How sessions leave: dropped when idle, evicted, closed, or all at once (behaviours/router.md, 7, 8, 12, 16).

While a session leaves, its key is held: whoever asks for a session waits, so that there are never two for a key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine
from functools import partial
from typing import Any, Generic

from core.clock import Clock
from core.router.build import Builder
from core.router.deadline import Deadline
from core.router.maintenance import Reservation, Reservations
from core.router.reports import Reports
from core.router.session import EvictionReason, Live, LiveSession, S
from core.router.shelf import Shelf
from core.router.slot import Slots, Turn


class Leaving:
    """A key whose session is on its way out. `guarded`: no turn may begin meanwhile."""

    __slots__ = ("guarded", "task")

    def __init__(self, task: asyncio.Task[None], *, guarded: bool) -> None:
        self.task = task
        self.guarded = guarded


class Departures(Generic[S]):
    """The sessions on their way out. Each wait for somebody else's code is bounded by `seconds`."""

    def __init__(
        self,
        clock: Clock,
        seconds: float,
        shelf: Shelf[S],
        slots: Slots,
        reservations: Reservations[S],
        reports: Reports[S],
    ) -> None:
        self._clock = clock
        self._seconds = seconds
        self._shelf = shelf
        self._slots = slots
        self._reservations = reservations
        self._reports = reports
        self._leaving: dict[str, Leaving] = {}
        self._apart: set[asyncio.Task[None]] = set()
        self._disposing: dict[int, S] = {}
        """By identity: a session need not be hashable."""

    def of(self, session_key: str) -> asyncio.Task[None] | None:
        """What to wait for before the key is free."""
        leaving = self._leaving.get(session_key)
        return None if leaving is None else leaving.task

    def guards(self, session_key: str) -> bool:
        """Whether no turn may begin for the key just now."""
        leaving = self._leaving.get(session_key)
        return leaving is not None and leaving.guarded

    def is_disposing(self, session: S) -> bool:
        """Whether a session is about to give back what it holds."""
        return id(session) in self._disposing

    def drop(self, live: Live[S], reason: EvictionReason) -> None:
        """Take an idle session off the shelf now, and dispose it in the background."""
        snapshot = self._reports.row(live)
        self._shelf.remove(live)
        self._disposing[id(live.session)] = live.session
        _ = self._begin(live.key, partial(self.dispose, live.key, live.session), guarded=False)
        self._reports.evicted(snapshot, reason)

    def dispose_apart(self, session_key: str, session: S) -> None:
        """Dispose a session that was replaced; its key goes on."""
        self._disposing[id(session)] = session
        task = asyncio.create_task(self.dispose(session_key, session), name=f"dispose {session_key}")
        self._apart.add(task)
        task.add_done_callback(self._apart.discard)

    def evict(self, live: Live[S]) -> asyncio.Task[None]:
        """Dispose a session that has no turn, then tell of it."""
        self._shelf.hold(live)
        return self._begin(live.key, partial(self._retire, live, "operator"), guarded=True)

    def close(self, session_key: str, builder: Builder[S]) -> asyncio.Task[None]:
        """Abort, wait until the turn has unwound or the maintenance is over, dispose, tell, free the slot.

        What there is to close is taken in this very step: nothing can be published or begin after it.
        """
        build = builder.of(session_key)
        builds = [] if build is None else [builder.catch(build)]
        live, turn = self._shelf.get(session_key), self._slots.get(session_key)
        reserved = self._reservations.get(session_key)
        if live is not None:
            self._shelf.hold(live)
        return self._begin(session_key, partial(self._close, live, turn, reserved, builds), guarded=True)

    def close_all(self, builder: Builder[S]) -> asyncio.Task[None]:
        """Abort and drain every turn, dispose every session, and tell of each in created order.

        As with `close`, nothing can be published after this very step.
        """
        builds = [builder.catch(build) for build in builder.all()]
        return asyncio.create_task(self._close_all(builds), name="router shutdown")

    async def _close_all(self, builds: list[asyncio.Task[None]]) -> None:
        deadline = Deadline(self._clock, self._seconds)
        leaving = [entry.task for entry in self._leaving.values()]
        turns = [turn for turn in self._slots.all() if not self.guards(turn.session_key)]
        reserved = [each for each in self._reservations.all() if not self.guards(each.session_key)]
        await self._unwind(turns, reserved, "shutdown", deadline)
        await self._finish(builds, deadline)
        # a close that is under way has a deadline of its own
        await self._settled(leaving)
        staying = list(self._shelf.all())
        await asyncio.gather(*(self.dispose(live.key, live.session) for live in staying))
        for live in staying:
            self._retired(live, "shutdown")
        for turn in self._slots.all():
            self._slots.free(turn)
        for reservation in self._reservations.all():
            self._reservations.free(reservation)
        await self._settled(self._apart)

    async def abort(self, turn: Turn, reason: str, deadline: Deadline | None = None) -> None:
        """Tell a turn to stop, and its session if it has one by now; each is told once, and none that has unwound.

        A session that takes longer than `seconds`, or until the deadline, is reported and not waited for any more; its
        turn stays in the slot until it unwinds, as after any abort.
        """
        key = turn.session_key
        if not turn.stopping and self._holds(turn):
            turn.stopping = True
            try:
                if turn.stop is not None:
                    turn.stop(reason)
            except Exception as error:
                self._reports.failed(
                    "abort_failed", f"the turn of {key!r} could not be told to stop: {error!r}"
                )
        deadline = deadline or Deadline(self._clock, self._seconds)
        problem = await self._tried(self._tell_session(turn, reason), deadline)
        if problem is not None:
            self._reports.failed("abort_failed", f"session {key!r} could not be told to stop: {problem}")

    async def _tell_session(self, turn: Turn, reason: str) -> None:
        live = self._shelf.get(turn.session_key)
        if live is None or turn.told is live.session or not self._holds(turn):
            return
        turn.told = live.session
        await live.session.abort(reason)

    async def dispose(self, session_key: str, session: S) -> None:
        """Let a session give back what it holds; one that fails, or takes too long, is reported."""
        self._disposing[id(session)] = session
        try:
            problem = await self._tried(_dispose(session), Deadline(self._clock, self._seconds))
        finally:
            del self._disposing[id(session)]
        if problem is not None:
            self._reports.failed(
                "dispose_failed", f"session {session_key!r} could not be disposed: {problem}"
            )

    async def _tried(self, work: Coroutine[Any, Any, None], deadline: Deadline) -> str | None:
        """What is wrong with how a session did its work, if anything: it raised, or was not done by the deadline."""
        task = asyncio.create_task(work)
        try:
            done = await deadline.wait([task])
        except asyncio.CancelledError:
            task.cancel()
            raise
        if not done:
            task.cancel()
            return f"took more than {self._seconds:g} s"
        if task.cancelled() or task.exception() is None:
            return None
        return repr(task.exception())

    async def _close(
        self,
        live: Live[S] | None,
        turn: Turn | None,
        reserved: Reservation[S] | None,
        builds: list[asyncio.Task[None]],
    ) -> None:
        deadline = Deadline(self._clock, self._seconds)
        await self._unwind(
            [] if turn is None else [turn], [] if reserved is None else [reserved], "closed", deadline
        )
        await self._finish(builds, deadline)
        if live is not None:
            await self._retire(live, "closed")
        if turn is not None and self._holds(turn):
            self._slots.free(turn)
        if reserved is not None:
            self._reservations.free(reserved)

    async def _unwind(
        self, turns: list[Turn], reserved: list[Reservation[S]], reason: str, deadline: Deadline
    ) -> None:
        """Stop turns and wait until they have unwound and maintenance is over, or the deadline."""
        loop = asyncio.get_running_loop()
        ends: list[asyncio.Future[None]] = []
        # what has ended since it was looked up will not say so again
        turns = [turn for turn in turns if self._holds(turn)]
        held_by: list[Turn | Reservation[S]] = [
            *turns,
            *(each for each in reserved if self._reservations.get(each.session_key) is each),
        ]
        for held in held_by:
            end = loop.create_future()
            held.on_end.append(partial(_wake, end))
            ends.append(end)
        await asyncio.gather(*(self.abort(turn, reason, deadline) for turn in turns))
        await deadline.wait(ends)

    async def _finish(self, tasks: list[asyncio.Task[None]], deadline: Deadline) -> None:
        """Wait for tasks until the deadline, then cancel what is left."""
        if not await deadline.wait(tasks):
            for task in tasks:
                task.cancel()

    async def _settled(self, tasks: Collection[asyncio.Task[None]]) -> None:
        if tasks:
            await asyncio.wait(list(tasks))

    async def _retire(self, live: Live[S], reason: EvictionReason) -> None:
        await self.dispose(live.key, live.session)
        self._retired(live, reason)

    def _retired(self, live: Live[S], reason: EvictionReason) -> None:
        snapshot = self._reports.row(live)
        self._shelf.remove(live)
        self._reports.evicted(snapshot, reason)

    def _holds(self, turn: Turn) -> bool:
        """Whether the turn is still in its slot."""
        return self._slots.get(turn.session_key) is turn

    def _begin(
        self, session_key: str, work: Callable[[], Awaitable[None]], *, guarded: bool
    ) -> asyncio.Task[None]:
        async def leave() -> None:
            try:
                await work()
            finally:
                del self._leaving[session_key]

        task = asyncio.create_task(leave(), name=f"leave {session_key}")
        self._leaving[session_key] = Leaving(task, guarded=guarded)
        return task


async def _dispose(session: LiveSession) -> None:
    """Whatever it raises, and when, is the task's."""
    await session.dispose()


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
