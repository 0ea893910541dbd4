"""A client cheap enough not to be what is measured: raw asyncio, the C parser, and marks counted in bytes.

Every event of the upstream's `chunks` begins its text with ``@<19 digits>@``, the nanoseconds at which it was sent.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import httptools

_MARK = b'"@'
_DIGITS = 19


class Answered:
    """What came back for one request; times are perf_counter (CLOCK_MONOTONIC) seconds."""

    __slots__ = ("body", "events", "finished", "first", "lags", "started", "status")

    def __init__(self) -> None:
        self.started = 0.0
        self.first = 0.0
        self.finished = 0.0
        self.status = 0
        self.events = 0
        self.body = b""
        self.lags: list[tuple[float, float]] = []
        """With `timed`: for each event the moment it came and how long ago it was sent, in seconds."""


class Caller(asyncio.Protocol):
    """One kept connection; one request at a time."""

    def __init__(self, *, timed: bool = False) -> None:
        self._timed = timed
        self._answered = Answered()
        self._tail = b""
        self._done: asyncio.Future[Answered] | None = None
        self._first: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport

    async def ask(self, port: int, path: str, body: dict[str, Any] | None = None) -> Answered:
        """Send a request and read the whole answer. Raises ConnectionError when the connection ends before that."""
        self.send(port, path, body)
        assert self._done is not None
        return await self._done

    async def first_event(self) -> None:
        """Wait for the first event of the answer to what was sent."""
        assert self._first is not None
        await self._first

    def send(self, port: int, path: str, body: dict[str, Any] | None = None) -> None:
        """Send a request without waiting for anything."""
        content = json.dumps(body).encode() if body is not None else b""
        method = "POST" if body is not None else "GET"
        head = f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n"
        if body is not None:
            head += f"content-type: application/json\r\ncontent-length: {len(content)}\r\n"
        loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._answered = Answered()
        self._tail = b""
        self._done, self._first = loop.create_future(), loop.create_future()
        self._answered.started = time.perf_counter()
        self._transport.write(head.encode() + b"\r\n" + content)

    def leave(self) -> float:
        """Close the connection as a client that is gone; gives the moment."""
        self._done = None
        moment = time.monotonic()
        self._transport.abort()
        return moment

    # what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, error: Exception | None) -> None:
        for future in (self._done, self._first):
            if future is not None and not future.done():
                future.set_exception(ConnectionError("the connection ended before the answer did"))
                # whoever does not wait for it is not told twice
                future.exception()

    # what the parser calls

    def on_body(self, body: bytes) -> None:
        answered = self._answered
        if not self._timed and answered.events == 0 and len(answered.body) < 65_536:
            answered.body += body
        text = self._tail + body
        end = text.rfind(b"\n\n") + 2
        self._tail = text[end:] if end > 1 else text
        if end > 1:
            self._count(text, end)

    def on_message_complete(self) -> None:
        self._answered.finished = time.perf_counter()
        self._answered.status = self._parser.get_status_code()
        if self._done is not None and not self._done.done():
            self._done.set_result(self._answered)

    def _count(self, text: bytes, end: int) -> None:
        answered = self._answered
        if self._timed:
            now = time.monotonic_ns()
            at = text.find(_MARK, 0, end)
            while at >= 0:
                sent = int(text[at + len(_MARK) : at + len(_MARK) + _DIGITS])
                answered.lags.append((now / 1e9, (now - sent) / 1e9))
                answered.events += 1
                at = text.find(_MARK, at + 1, end)
        else:
            answered.events += text.count(_MARK, 0, end)
        if answered.events and not answered.first:
            answered.first = time.perf_counter()
            if self._first is not None and not self._first.done():
                self._first.set_result(None)


async def connect(port: int, *, timed: bool = False) -> Caller:
    """A connection to 127.0.0.1."""
    loop = asyncio.get_running_loop()
    _, caller = await loop.create_connection(lambda: Caller(timed=timed), "127.0.0.1", port)
    return caller
