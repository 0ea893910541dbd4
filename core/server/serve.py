"""The server of a core: bind, serve, drain, leave."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from core.server.auth import Authentication, check_exposure, is_loopback, local_token
from core.server.metering import Metering
from core.server.metrics import Metrics
from core.server.routes import application
from core.server.security import SecurityFloor, allowed_hosts
from core.server.table import routes
from core.session_core import SessionCore


def asgi(core: SessionCore, state_folder: Path) -> ASGIApp:
    """The core's HTTP face; raises StartRefused for a foreign address without a token."""
    settings = core.settings
    host = settings.server.host
    check_exposure(host, settings.tokens)
    loopback = is_loopback(host)
    authentication = Authentication(settings.tokens, local_token(state_folder), loopback=loopback)
    metrics = Metrics(core)
    floor = SecurityFloor(
        application(routes(core, metrics), authentication),
        hosts=allowed_hosts(host, settings.server.hosts),
        any_address=not loopback,
    )
    metrics.metering = Metering(floor, core.clock)
    return metrics.metering


class _Uvicorn(uvicorn.Server):
    """Uvicorn without signal handlers: whoever runs the server decides when it ends."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Server:
    """Serves one core on one socket until it is told to leave."""

    def __init__(self, core: SessionCore, listener: socket.socket, app: ASGIApp) -> None:
        self._core = core
        self._listener = listener
        self._uvicorn = _Uvicorn(
            uvicorn.Config(
                app,
                http="httptools",
                ws="none",
                lifespan="off",
                loop="none",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=1,
            )
        )
        self._serving: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self._listener.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def start(self) -> None:
        """Begin to serve; answers when requests are taken."""
        self._serving = asyncio.create_task(self._uvicorn.serve(sockets=[self._listener]), name="http server")
        while not self._uvicorn.started and not self._serving.done():  # noqa: ASYNC110 - uvicorn only has a flag
            await asyncio.sleep(0.001)
        if self._core.lock is not None:
            self._core.lock.tell(self.url)

    async def leave(self, drain_seconds: float) -> None:
        """No new turns, let the running ones end, cut off the rest, close the core, then the socket."""
        await self._core.drain(drain_seconds)
        await self._core.aclose()
        self._uvicorn.should_exit = True
        if self._serving is not None:
            await self._serving
