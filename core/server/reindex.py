"""``/v1/reindex``: the search index made anew while others write, told as it comes; who leaves interrupts it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
from starlette.responses import StreamingResponse

from core.errors import MaitredError, ReindexRunning
from core.protocol import Reindexed, ReindexFailed, ReindexPart, ReindexProgress
from core.server.routes import Call
from core.session_core import SessionCore
from core.store import audit
from core.store.search import Search

_encode = msgspec.json.Encoder().encode


class ReindexDoor:
    """The handler; one rebuilding at a time."""

    def __init__(self, core: SessionCore) -> None:
        self._core = core
        self._search = Search(core.database)
        self._running: asyncio.Task[int] | None = None

    async def rebuild(self, call: Call) -> StreamingResponse:
        """Index every stored message anew, and tell the progress as JSON lines.

        Searching and writing go on meanwhile. A caller who hangs up interrupts it: what was rebuilt stays, and it can
        begin again.
        """
        if self._running is not None and not self._running.done():
            raise ReindexRunning("the search index is being rebuilt already; wait for its end, and ask again")
        progress = _Progress()
        # taken before anything is awaited, so that nobody else gets in
        running = self._running = asyncio.create_task(
            self._rebuild(call.principal.name, progress), name="reindex"
        )
        # looked at even when nobody is left to be told of it
        running.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        return StreamingResponse(_told(running, progress), media_type="application/x-ndjson")

    async def _rebuild(self, actor: str, progress: _Progress) -> int:
        try:
            entry = audit.NewEntry(
                at=self._core.clock.now(), action="reindex", target="*", actor=actor, of_session=False
            )
            await self._core.database.write(lambda connection: audit.record(connection, entry))
            return await self._search.reindex(progress.tell)
        finally:
            progress.moved.set()


class _Progress:
    """The latest of a rebuilding; a slow reader misses what was before."""

    def __init__(self) -> None:
        self.latest: ReindexProgress | None = None
        self.moved = asyncio.Event()

    def tell(self, done: int, of: int) -> None:
        self.latest = ReindexProgress(done=done, of=of)
        self.moved.set()


async def _told(running: asyncio.Task[int], progress: _Progress) -> AsyncIterator[bytes]:
    try:
        while not running.done():
            await progress.moved.wait()
            progress.moved.clear()
            if progress.latest is not None:
                yield _encode(progress.latest) + b"\n"
                progress.latest = None
        yield _encode(_end(running)) + b"\n"
    finally:
        running.cancel()


def _end(ended: asyncio.Task[int]) -> ReindexPart:
    try:
        return Reindexed(messages=ended.result())
    except MaitredError as error:
        return ReindexFailed(code=error.code, message=f"{error.message}; then begin again")
