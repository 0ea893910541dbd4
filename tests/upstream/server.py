"""The server around the connections: in a thread of its own for tests, or as the main thing of a process."""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType

from tests.upstream.connection import Connection
from tests.upstream.record import Record, Seen


class Upstream:
    """A running server on a free port of 127.0.0.1, on a loop of its own in its own thread.

    >>> with Upstream() as upstream:
    ...     client = openai.OpenAI(base_url=upstream.base_url, api_key="any")
    """

    def __init__(self) -> None:
        self.record = Record()
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="upstream", daemon=True)

    @property
    def base_url(self) -> str:
        """What a client's ``base_url`` must be."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def requests(self) -> list[Seen]:
        """Every request so far, oldest first."""
        return self.record.all()

    async def until_left(self, model: str, seconds: float = 5.0) -> Seen:
        """The latest request for that model, once its client has left early; raises TimeoutError."""

        def left(seen: list[Seen]) -> bool:
            return any(one.model == model and one.left_at is not None for one in seen)

        found = await self.record.until(left, seconds)
        return next(one for one in reversed(found) if one.model == model and one.left_at is not None)

    async def until_arrived(self, model: str, count: int = 1, seconds: float = 5.0) -> list[Seen]:
        """The requests for that model, once there are so many; raises TimeoutError."""
        found = await self.record.until(
            lambda seen: sum(one.model == model for one in seen) >= count, seconds
        )
        return [one for one in found if one.model == model]

    def start(self) -> None:
        """Listen; returns when the port is known."""
        self._thread.start()
        self._ready.wait()

    def close(self) -> None:
        """Cut every connection and stop listening."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def __enter__(self) -> Upstream:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        connections: set[Connection] = set()
        server = await listen(self.record, connections, 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for connection in list(connections):
            connection.close()
        # the transports close in the loop's next turn
        await asyncio.sleep(0)


async def listen(record: Record, connections: set[Connection], port: int) -> asyncio.Server:
    """Listen on a port of 127.0.0.1, 0 for a free one."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: Connection(record, connections), "127.0.0.1", port, backlog=1024)
