"""Counts what is asked of the server: by method, route and status, and how long the answers took.

Long polls and streams last as long as they wait; what a caller waited for the beginning of an answer is what counts,
so that the time is of that.
"""

from __future__ import annotations

from collections import Counter, defaultdict

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.clock import Clock
from core.metrics import SECONDS, Histogram
from core.server.responses import ERROR_HEADER

_REFUSED = ERROR_HEADER.encode()
_OTHER = "other"
_METHODS = frozenset({"GET", "HEAD", "POST", "DELETE", "PUT", "PATCH", "OPTIONS"})


class Metering:
    """Wraps the whole application."""

    def __init__(self, app: ASGIApp, clock: Clock) -> None:
        self._app = app
        self._clock = clock
        self.requests: Counter[tuple[str, str, int]] = Counter()
        """By method, route as the table writes it, and status."""
        self.seconds: defaultdict[tuple[str, str], Histogram] = defaultdict(lambda: Histogram(SECONDS))
        """By method and route, until the answer begins."""
        self.refusals: Counter[str] = Counter()
        """By the code of the error."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = self._clock.monotonic()

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._note(scope, message, self._clock.monotonic() - began)
            await send(message)

        await self._app(scope, receive, noting)

    def _note(self, scope: Scope, message: Message, seconds: float) -> None:
        # what strangers make up must not become a series of its own
        method = scope["method"] if scope["method"] in _METHODS else _OTHER
        route = getattr(scope.get("endpoint"), "path", _OTHER)
        self.requests[method, route, message["status"]] += 1
        self.seconds[method, route].note(seconds)
        for name, value in message.get("headers", ()):
            if name == _REFUSED:
                self.refusals[value.decode("latin-1")] += 1
