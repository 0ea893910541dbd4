"""A run as server-sent events, as ``curl -N``, a browser's EventSource and any HTTP client follow it.

Every frame of the run is one event whose ``id`` is its place, so that whoever comes back with ``Last-Event-ID`` gets
what followed, and nothing twice. What is pending goes out in one write. Two kinds of events have a name:
``subscribed``, the acknowledgement and always the first, and ``lagged``, the last for who read too slowly. They have
no id, unless all that a reader still had to get is gone: then the acknowledgement is the last that is told of it.
"""

from __future__ import annotations

import asyncio

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from core.protocol import Wire
from core.runs import Lagged, Subscription, frame

HEARTBEAT_SECONDS = 15.0
"""After so long without an event a comment says that the connection lives; real time, for the sake of sockets."""

STREAM = "text/event-stream"

_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]
_RETRY = b"retry: 1000\n\n"
_HEARTBEAT = b": still here\n\n"

_encode = msgspec.json.Encoder().encode


class ServerSentEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a stream: `data` is JSON (or ``[DONE]``), `id` what Last-Event-ID may say, `event` its name."""

    data: str
    event: str = "message"
    id: str | None = None


class Subscribed(Wire, frozen=True, kw_only=True):
    """The acknowledgement: what is followed, from where, and whether there is a gap in front."""

    run_id: str
    session_key: str
    after: int
    truncated: bool
    first_seq: int
    last_seq: int


class LaggedBehind(Wire, frozen=True, kw_only=True):
    """The follower was dropped; what is still there begins after `resume_after`."""

    run_id: str
    session_key: str
    after: int
    resume_after: int


class RunStream(Response):
    """Hands a subscription to one client, until the run has ended or the client has gone."""

    def __init__(self, subscription: Subscription, *, place: bytes = b"") -> None:
        """`place` stands before the number in each event's id."""
        super().__init__()
        self._subscription = subscription
        self._place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        subscription = self._subscription
        watch = asyncio.create_task(self._until_gone(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            if scope["method"] != "HEAD":
                await _write(send, _RETRY + self._acknowledgement())
                while data := await self._next():
                    await _write(send, data)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            subscription.close()
            watch.cancel()

    async def _until_gone(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._subscription.close()

    def _acknowledgement(self) -> bytes:
        followed = self._subscription
        told = Subscribed(
            run_id=followed.run.id,
            session_key=followed.run.session_key,
            after=followed.after,
            truncated=followed.truncated,
            first_seq=followed.first_seq,
            last_seq=followed.last_seq,
        )
        gone = followed.first_seq > followed.last_seq > followed.after
        place = b"id: %b%d\n" % (self._place, followed.last_seq) if gone else b""
        return place + _named("subscribed", told)

    async def _next(self) -> bytes:
        """What goes out next; empty when there is no more."""
        run = self._subscription.run
        try:
            async with asyncio.timeout(HEARTBEAT_SECONDS):
                events = await self._subscription.next()
        except TimeoutError:
            return _HEARTBEAT
        except Lagged as lag:
            # its subscription is closed, so that nothing comes after this
            behind = LaggedBehind(
                run_id=run.id, session_key=run.session_key, after=lag.after, resume_after=lag.resume_after
            )
            return _named("lagged", behind)
        return b"".join(
            [b"id: %b%d\ndata: %b\n\n" % (self._place, event.seq, frame(run, event)) for event in events]
        )


def _named(name: str, what: Wire) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), _encode(what))


async def _write(send: Send, data: bytes) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": True})
