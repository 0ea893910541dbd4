"""The server of a core: bind, serve, drain, leave."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from core.server.auth import Authentication, check_exposure, is_loopback, local_token
from core.server.connection import Connection, Limits
from core.server.listener import room_for, url_of
from core.server.metering import Metering
from core.server.metrics import Metrics
from core.server.routes import application
from core.server.security import SecurityFloor, allowed_hosts
from core.server.table import routes
from core.server.tls import server_context
from core.session_core import SessionCore
from core.settings import Server as ServerSettings

_HANDSHAKE_SECONDS = 10.0
"""For the two sides of a connection to agree on its encryption, and to end it."""


def asgi(core: SessionCore, state_folder: Path) -> ASGIApp:
    """The core's HTTP face; raises StartRefused for a foreign address without a token."""
    settings = core.settings
    host = settings.server.host
    check_exposure(host, settings.tokens)
    loopback = is_loopback(host)
    authentication = Authentication(
        settings.tokens,
        local_token(state_folder),
        loopback=loopback,
        clock=core.clock,
        requests_per_second=settings.server.requests_per_second,
    )
    metrics = Metrics(core)
    floor = SecurityFloor(
        application(routes(core, metrics), authentication),
        hosts=allowed_hosts(host, settings.server.hosts),
        any_address=not loopback,
        largest_body=settings.server.max_body_bytes,
    )
    metrics.metering = Metering(floor, core.clock)
    return metrics.metering


def limits_of(settings: ServerSettings) -> Limits:
    """What the settings allow a connection, and how many there may be where this process may open so many."""
    return Limits(
        connections=room_for(settings.max_connections),
        header_bytes=settings.max_header_bytes,
        receive_seconds=settings.receive_seconds,
        send_seconds=settings.send_seconds,
        keep_alive_seconds=settings.keep_alive_seconds,
    )


class _Uvicorn(uvicorn.Server):
    """Uvicorn without signal handlers: whoever runs the server decides when it ends. Its connections are ours."""

    def __init__(self, config: uvicorn.Config, limits: Limits, tls: ssl.SSLContext | None) -> None:
        super().__init__(config)
        self._limits = limits
        self._tls = tls

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take connections on `sockets`; uvicorn's own would wait a minute for a handshake."""
        made = functools.partial(
            Connection, self.config, self.server_state, self.lifespan.state, limits=self._limits
        )
        patience = _HANDSHAKE_SECONDS if self._tls is not None else None
        loop = asyncio.get_running_loop()
        self.servers = [
            await loop.create_server(
                made,
                sock=each,
                ssl=self._tls,
                ssl_handshake_timeout=patience,
                ssl_shutdown_timeout=patience,
                backlog=self.config.backlog,
            )
            for each in sockets or ()
        ]
        self.started = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Server:
    """Serves one core on one socket until it is told to leave."""

    def __init__(self, core: SessionCore, listener: socket.socket, app: ASGIApp) -> None:
        """Raises StartRefused for a certificate that cannot be used."""
        settings = core.settings.server
        self._core = core
        self._listener = listener
        self._certificate = settings.tls_certificate or None
        self._uvicorn = _Uvicorn(
            uvicorn.Config(
                app,
                http=Connection,
                ws="none",
                lifespan="off",
                loop="none",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=1,
            ),
            limits_of(settings),
            server_context(settings),
        )
        self._serving: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return url_of(self._listener, tls=self._certificate is not None)

    async def start(self) -> None:
        """Begin to serve; answers when requests are taken."""
        self._serving = asyncio.create_task(self._uvicorn.serve(sockets=[self._listener]), name="http server")
        while not self._uvicorn.started and not self._serving.done():  # noqa: ASYNC110 - uvicorn only has a flag
            await asyncio.sleep(0.001)
        if self._core.lock is not None:
            self._core.lock.tell(self.url, self._certificate)

    async def leave(self, drain_seconds: float) -> None:
        """No new turns, let the running ones end, cut off the rest, close the core, then the socket."""
        await self._core.drain(drain_seconds)
        await self._core.aclose()
        self._uvicorn.should_exit = True
        if self._serving is not None:
            await self._serving
