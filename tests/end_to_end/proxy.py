"""A proxy that does to connections what networks do: delays, cuts, truncates, freezes, swallows, reorders."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

_CHUNK = 4096


class Proxy:
    """Stands before a server; `url` is its own address. What it does is set in between, from one step to the next."""

    def __init__(self, target: str, dice: random.Random) -> None:
        self.lead_to(target)
        self._dice = dice
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""
        self.cut_every = 0
        """Each connection ends after about so many bytes of answers, in the middle of whatever it is; 0: never."""
        self.delay = 0.0
        """Each piece of an answer waits up to so many seconds: answers of several connections change places."""
        self.frozen = False
        """Connections stay, and nothing comes through them any more."""
        self.half_open = False
        """Connections are taken, and nobody answers them."""
        self.cuts = 0
        self.connections = 0

    def lead_to(self, target: str) -> None:
        """New connections go to this address."""
        self._target = urlsplit(target)

    def break_off(self) -> None:
        """End every connection there is."""
        for task in list(self._tasks):
            task.cancel()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Proxy]:
        """Listen on a free port of loopback."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            self._server.close()
            self.break_off()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.connections += 1
        try:
            await self._lead(reader, writer)
        except (asyncio.CancelledError, OSError):
            return  # broken off, or nobody is there: to the one who asks it is the same
        finally:
            writer.transport.abort()

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.half_open:
            await asyncio.Event().wait()
        there, back = await asyncio.open_connection(self._target.hostname, self._target.port)
        asking = asyncio.create_task(self._pass(reader, back, answers=False))
        try:
            await self._pass(there, writer, answers=True)
        finally:
            asking.cancel()
            back.transport.abort()

    async def _pass(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        passed, share = 0, 0.5 + self._dice.random()
        with contextlib.suppress(OSError):
            while data := await source.read(_CHUNK):
                while self.frozen:
                    await asyncio.sleep(0.01)
                if not answers:
                    target.write(data)
                    continue
                if self.delay:
                    await asyncio.sleep(self.delay * self._dice.random())
                left = round(self.cut_every * share) - passed if self.cut_every else len(data)
                passed += len(data)
                target.write(data[: max(0, left)])
                await target.drain()
                if left < len(data):
                    self.cuts += 1
                    return
