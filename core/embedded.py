"""EmbeddedCore: a core and its server on a loop of their own, in a thread of their own.

Drawing never delays the gateway, and a busy gateway never delays a key press. Only immutable values cross.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from core.agents import Directory
from core.errors import ShuttingDown
from core.protocol import (
    AnyCommand,
    AuditPage,
    EventBatch,
    Explained,
    Explanation,
    HistoryPage,
    Outcome,
    Preview,
    RunBatch,
    SearchHit,
    SessionDetail,
    ViewPart,
)
from core.server.loop import loop_factory
from core.session_core import SessionCore
from core.settings import Folders, Loaded
from core.store.lock import FolderLock

if TYPE_CHECKING:
    from core.server.serve import Server

T = TypeVar("T")


class EmbeddedCore:
    """The `Core` protocol across a thread border. Start one with `EmbeddedCore.start`."""

    def __init__(
        self, build: Callable[[], Awaitable[tuple[SessionCore, Server | None]]], *, actor: str
    ) -> None:
        """`build` runs on the new loop and makes what lives there."""
        self._build = build
        self._actor = actor
        self._ready = threading.Event()
        self._over = False
        """The loop turns no more."""
        self._pending: set[Future[Any]] = set()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leave: asyncio.Event | None = None
        self._drain_seconds = 0.0
        self._core: SessionCore | None = None
        self._server: Server | None = None
        self._thread = threading.Thread(target=self._run, name="maitred-core", daemon=True)

    @classmethod
    async def start(
        cls,
        loaded: Loaded,
        folders: Folders,
        *,
        listener: socket.socket | None,
        lock: FolderLock | None = None,
        actor: str,
    ) -> EmbeddedCore:
        """Start a core with these settings, serving on `listener`; raises what kept it from starting."""

        async def build() -> tuple[SessionCore, Server | None]:
            settings = loaded.settings
            directory = Directory.of_upstreams(settings.upstreams, loaded.api_keys, offered=loaded.offered)
            core = await SessionCore.open(settings, folders.data, directory=directory, lock=lock)
            if listener is None:
                return core, None
            # not imported for a core that nobody can ask anything over a network: 3 MB
            from core.server.serve import Server, asgi

            try:
                server = Server(core, listener, asgi(core, folders.state))
                await server.start()
            except BaseException:
                await core.aclose()
                raise
            return core, server

        return await cls.over(build, actor=actor)

    @classmethod
    async def over(
        cls, build: Callable[[], Awaitable[tuple[SessionCore, Server | None]]], *, actor: str
    ) -> EmbeddedCore:
        """Start whatever core `build` makes; answers when it is there."""
        embedded = cls(build, actor=actor)
        embedded._thread.start()
        await asyncio.get_running_loop().run_in_executor(None, embedded._ready.wait)
        if embedded._failure is not None:
            embedded._thread.join()
            raise embedded._failure
        return embedded

    @property
    def url(self) -> str | None:
        """Where its server listens, if it has one."""
        return self._server.url if self._server is not None else None

    async def view(self) -> AsyncIterator[ViewPart]:
        core = self._living()
        parts = core.view()
        while (part := await self._cross(_next(parts))) is not None:
            yield part

    async def events(self, after: str, *, wait: float = 25.0, limit: int = 1000) -> EventBatch:
        return await self._cross(self._living().events(after, wait=wait, limit=limit))

    async def session(self, session_key: str) -> SessionDetail:
        return await self._cross(self._living().session(session_key))

    async def run_events(self, run_id: str, after: int = 0, *, wait: float = 25.0) -> RunBatch:
        core = self._living()

        async def read() -> RunBatch:
            run = core.runs.get(run_id)
            if run is not None:
                await core.readings.note(self._actor, "run", run.session_key)
            return await core.run_events(run_id, after, wait=wait)

        return await self._cross(read())

    async def history(
        self, session_key: str, *, before: int | None = None, after: int | None = None, limit: int = 100
    ) -> HistoryPage:
        core = self._living()

        async def read() -> HistoryPage:
            await core.readings.note(self._actor, "history", session_key)
            return await core.history(session_key, before=before, after=after, limit=limit)

        return await self._cross(read())

    async def search(self, query: str, *, limit: int = 20, session_key: str | None = None) -> list[SearchHit]:
        core = self._living()

        async def read() -> list[SearchHit]:
            await core.readings.note(self._actor, "search", session_key)
            return await core.search(query, limit=limit, session_key=session_key)

        return await self._cross(read())

    async def audit(
        self, *, before: int | None = None, limit: int = 100, target: str | None = None
    ) -> AuditPage:
        return await self._cross(self._living().audit(before=before, limit=limit, target=target))

    async def explain(self, kind: Explained, key: str) -> Explanation:
        return await self._cross(self._living().explain(kind, key))

    async def preview(self, command: AnyCommand) -> Preview:
        return await self._cross(self._living().preview(command))

    async def execute(self, command: AnyCommand) -> Outcome:
        return await self._cross(self._living().execute(command, actor=self._actor))

    async def aclose(self, drain_seconds: float = 0.0) -> None:
        """Drain for that long, cut off the rest, stop the thread. A second call with 0 cuts a drain short."""
        loop = self._loop
        if loop is not None and self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # the loop may close in this very moment
                loop.call_soon_threadsafe(self._tell_to_leave, drain_seconds)
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join)

    def _living(self) -> SessionCore:
        if self._core is None or not self._thread.is_alive():
            raise ShuttingDown("the embedded core has stopped")
        return self._core

    async def _cross(self, call: Coroutine[Any, Any, T]) -> T:
        """Run a call on the core's loop; what it raises is raised here, and a cancelled wait cancels it there."""
        assert self._loop is not None
        try:
            future = asyncio.run_coroutine_threadsafe(call, self._loop)
        except RuntimeError:
            call.close()
            raise ShuttingDown("the embedded core has stopped") from None
        self._pending.add(future)
        future.add_done_callback(self._pending.discard)
        if self._over:
            future.cancel()  # it was put into a loop that turns no more
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            if self._over:
                call.close()
            raise ShuttingDown("the embedded core has stopped") from None

    def _tell_to_leave(self, drain_seconds: float) -> None:
        assert self._leave is not None
        assert self._core is not None
        if not self._leave.is_set():
            self._drain_seconds = drain_seconds
            self._leave.set()
        elif not drain_seconds:
            self._core.turns.cut_all()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                runner.run(self._live())
        except BaseException as error:
            self._failure = error
        finally:
            self._over = True
            for future in list(self._pending):
                future.cancel()  # nobody is left to answer
            self._ready.set()

    async def _live(self) -> None:
        self._core, self._server = await self._build()
        self._loop = asyncio.get_running_loop()
        self._leave = asyncio.Event()
        self._ready.set()
        await self._leave.wait()
        if self._server is not None:
            await self._server.leave(self._drain_seconds)
        else:
            await self._core.drain(self._drain_seconds)
            await self._core.aclose()


async def _next(parts: AsyncIterator[ViewPart]) -> ViewPart | None:
    return await anext(parts, None)
