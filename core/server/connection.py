"""One connection: how much a request may bring along, and how long it, its sender and its reader may take.

uvicorn by itself takes headers without end, waits for ever for the rest of a request, and as long for a reader who
does not read. Here each of these has a bound, so that a slow or stuck client holds up nobody but itself.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httptools
import msgspec
import uvicorn
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from core.errors import (
    HeadersTooLarge,
    InvalidArgument,
    MaitredError,
    RequestTimedOut,
    TooManyConnections,
)
from core.server.metering import Metering
from core.server.responses import refusal

_LINGER_SECONDS = 2.0
"""After a refusal what still comes is thrown away for so long; to hang up at once could cost the client its answer."""
_SURPLUS_SECONDS = 5.0
"""Who is one too many has so long to ask, and to be told so."""
_SURPLUS = 256
"""And so many are told; further ones are hung up on."""
_LEAST_READ = 16 * 1024
"""A reader who takes less of what waits for it, each `send_seconds`, is stuck."""
_IN_A_ROW = 16
"""More requests than these do not wait in one connection behind another."""
_RETRY_MS = 1000


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one connection may take, and how many of them there may be; see ``[server]`` of the settings."""

    connections: int
    header_bytes: int
    receive_seconds: float
    send_seconds: float
    keep_alive_seconds: float


class Connection(HttpToolsProtocol):
    """uvicorn's protocol within bounds; what it refuses, it refuses in the shape of our errors."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: Limits,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits = limits
        self._most = limits.header_bytes
        self.timeout_keep_alive = limits.keep_alive_seconds  # type: ignore[assignment]  # parts of a second, too
        self.url = b""
        self._begun = 0
        """How many requests have begun to come."""
        self._half = False
        """The last of them is not all here."""
        self._in_head = False
        self._head = 0
        """Bytes of its request line and headers, each whole."""
        self._arrived = 0
        """Bytes that came since, while no header ended."""
        self._over = False
        """Nothing more is taken; what comes is thrown away."""
        self._running: RequestResponseCycle | None = None
        """The request that is being answered, or was last."""
        self._refusal: MaitredError | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._reader: asyncio.TimerHandle | None = None
        self._unread = 0

    # ----------------------------------------------------------------------------------- the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]  # it is that of a stream
        seconds = self._limits.receive_seconds
        surplus = len(self.connections) - self._limits.connections
        if surplus > _SURPLUS:
            self._over = True
            self.transport.abort()
            return
        if surplus > 0:
            self.app = _no_room
            seconds = min(seconds, _SURPLUS_SECONDS)
        self._arm(seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        self._forget_reader()
        super().connection_lost(exc)
        if self._running is not None and not self._running.response_complete:
            # uvicorn tells the last request alone, which may only wait behind the one that is being answered
            self._running.disconnected = True
            self._running.message_event.set()

    def data_received(self, data: bytes) -> None:
        if self._over:
            return
        before = self._begun, self._head
        try:
            self.parser.feed_data(data)
            if self._in_head and before == (self._begun, self._head):
                self._arrived += len(data)
                self._check_head()
            if self._half and self._deadline is None:
                self._arm(self._limits.receive_seconds)
        except httptools.HttpParserUpgrade:
            pass  # no other protocol is spoken here: the request is answered as it stands
        except (httptools.HttpParserError, HeadersTooLarge):
            self._refuse(self._refusal or InvalidArgument("this is no request in HTTP/1.1; send one"))

    # -------------------------------------------------------------------------------------- the request

    def on_message_begin(self) -> None:
        self._begun += 1
        self._half = self._in_head = True
        self._head = self._arrived = 0
        self._unset_keepalive_if_required()
        if self._begun == 1 and self.app is not _no_room:
            self._disarm()  # that was the time to begin; the request has its own
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._head += len(url)
        self._check_head()
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head += len(name) + len(value) + 4
        self._arrived = 0
        if self._head > self._most:
            self._check_head()
        # what follows a body in chunks was seen by nobody who judged the request, so it is no part of it
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()
        if 0 < len(self.pipeline) <= _IN_A_ROW:
            # uvicorn stops reading where a request waits behind another, and so would not see its client leave
            self.flow.resume_reading()

    def on_message_complete(self) -> None:
        self._half = False
        self._disarm()
        super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _check_head(self) -> None:
        if self._head + self._arrived > self._most:
            self._refusal = HeadersTooLarge(
                f"the request line and headers are over {self._most} bytes; send less"
            )
            raise self._refusal

    # --------------------------------------------------------------------------------------- the answer

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._arm(self._limits.send_seconds)  # who does not read the rest does not keep the connection
        elif self._half and self._in_head:
            self._unset_keepalive_if_required()  # the next request is on its way
        elif self._half and self.cycle.response_complete:
            # it was answered before it was all here: the rest is not waited for
            self._over = True
            self._unset_keepalive_if_required()
            self._arm(_LINGER_SECONDS)

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._arm(self._limits.send_seconds)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._forget_reader()

    def _watch_reader(self) -> None:
        self._forget_reader()
        self._unread = self.transport.get_write_buffer_size()
        self._reader = self.loop.call_later(self._limits.send_seconds, self._look_at_reader)

    def _look_at_reader(self) -> None:
        if self._unread - self.transport.get_write_buffer_size() < _LEAST_READ:
            self.transport.abort()
        else:
            self._watch_reader()

    def _forget_reader(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            self._reader = None

    # ------------------------------------------------------------------------------------------- the end

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._deadline = self.loop.call_later(seconds, self._late)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            self.transport.abort()
        elif self._over:
            self.transport.close()
            self._arm(self._limits.send_seconds)
        elif self.flow.read_paused:
            self._arm(self._limits.receive_seconds)  # it is us who do not take more at the moment
        elif self._half:
            self._refuse(
                RequestTimedOut(
                    f"the request was not all here within {self._limits.receive_seconds:g} s; send it faster"
                )
            )
        elif not self._answering:
            self.transport.close()

    @property
    def _answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _refuse(self, error: MaitredError) -> None:
        """Answer the request that is coming in, if no other answer is on its way, and take nothing more."""
        if isinstance(self.app, Metering):
            self.app.refusals[error.code] += 1
        self._over = True
        self._disarm()
        if self._answering and (self._in_head or not self._half):
            self.cycle.keep_alive = False  # an earlier request is still being answered: that comes first
            return
        if self._answering and (self.cycle.response_started or self.pipeline):
            self.transport.abort()
            return
        self.transport.write(_encoded(refusal(self.url.decode("latin-1"), error)))
        if self._answering:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._arm(_LINGER_SECONDS)


def _encoded(response: Response) -> bytes:
    """A whole answer as it goes over the wire, after which the connection ends."""
    headers = b"".join([b"%b: %b\r\n" % header for header in response.raw_headers])
    return b"%b%bconnection: close\r\n\r\n%b" % (
        STATUS_LINE[response.status_code],
        headers,
        bytes(response.body),
    )


async def _no_room(scope: Scope, receive: Receive, send: Send) -> None:
    """The application of who is one too many."""
    error = TooManyConnections(
        "this server has no room for another connection; try again shortly", retry_after_ms=_RETRY_MS
    )
    response = refusal(scope["path"], error)
    response.headers["connection"] = "close"
    await response(scope, receive, send)
