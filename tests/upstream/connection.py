"""One client connection: HTTP/1.1 in, completions out, and the moment the client goes."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs

import httptools
import msgspec

from tests.upstream.behaviours import Answer, Plan, Refusal, Silence, UnknownModel, error_body, names, plan
from tests.upstream.frames import Frames, whole
from tests.upstream.record import Record, Seen

_JSON = "application/json"
_REASONS = {200: b"OK", 302: b"Found", 400: b"Bad Request", 404: b"Not Found", 429: b"Too Many Requests"}


class Connection(asyncio.Protocol):
    """Answers requests one after another; when the client leaves, notes it at once and stops answering."""

    def __init__(self, record: Record, open_connections: set[Connection]) -> None:
        self._record = record
        self._open = open_connections
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._task: asyncio.Task[None] | None = None
        self._seen: Seen | None = None
        self._gone = False
        self._cutting = False
        self._may_write = asyncio.Event()
        self._may_write.set()

    # what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._open.add(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()

    def connection_lost(self, error: Exception | None) -> None:
        self._gone = True
        self._open.discard(self)
        seen = self._seen
        if seen is not None and seen.phase != "answered" and not self._cutting:
            seen.left_at = time.monotonic()
            self._record.changed()
        if self._task is not None:
            self._task.cancel()

    def close(self) -> None:
        """Cut the connection from this side."""
        self._cutting = True
        self._transport.abort()

    # what the parser calls

    def on_message_begin(self) -> None:
        self._path = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []

    def on_url(self, url: bytes) -> None:
        self._path += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        method = self._parser.get_method().decode()
        path, _, query = self._path.decode("latin-1").partition("?")
        if path == "/_seen":
            self._show(int(parse_qs(query).get("last", ["0"])[0]))
            return
        seen = self._record.begin(
            method=method, path=path, headers=self._headers, body=_decode(self._body), at=time.monotonic()
        )
        self._seen = seen
        made = _plan(method, path, seen.body)
        match made:
            case Silence():
                pass
            case Refusal(status=status, body=body, headers=headers):
                self._write_whole(status, body, headers)
            case Answer():
                self._task = asyncio.get_running_loop().create_task(self._answer(made, seen))

    # how it answers

    def _show(self, last: int) -> None:
        """The record over HTTP: ``/_seen``, or only the ``?last=N`` requests."""
        body = msgspec.json.encode(self._record.all()[-last:])
        headers = {"content-type": _JSON, "content-length": str(len(body))}
        self._transport.write(_head(200, headers) + body)

    async def _answer(self, answer: Answer, seen: Seen) -> None:
        if seen.body.get("stream"):
            await self._stream(answer, seen)
        else:
            await self._complete(answer, seen)

    async def _complete(self, answer: Answer, seen: Seen) -> None:
        answer.deltas = list(answer.deltas)
        wait = answer.first_s + answer.between_s * (len(answer.deltas) - 1)
        if wait > 0:
            await asyncio.sleep(wait)
        if answer.insert:
            # the mishap of a stream, as it looks in one piece: an error object, or JSON that breaks off
            (frame,) = answer.insert.values()
            body = frame.removeprefix(b"data: ").strip()
        else:
            body = whole(seen.id, seen.body, answer)
        if answer.cut_after is None:
            self._write_whole(200, body, {})
        else:
            self._begin(200, {"content-type": _JSON, "content-length": str(len(body))})
            self._transport.write(body[: len(body) // 2])
            self._cut(reset=answer.reset)

    async def _stream(self, answer: Answer, seen: Seen) -> None:
        frames = Frames(seen.id, seen.body, answer.form)
        headers = {"content-type": "text/event-stream; charset=utf-8", "transfer-encoding": "chunked"}
        if answer.headers_first:
            self._begin(200, headers)
        if answer.first_s > 0:
            await asyncio.sleep(answer.first_s)
        if not answer.headers_first:
            self._begin(200, headers)
        due: float | None = None
        events = frames.all(answer)
        waiting = [next(events)]
        while True:
            if answer.between_s > 0 and seen.chunks > 0:
                # by the schedule that the first event set, so that a late one does not delay all that follow
                due = (due or time.monotonic()) + answer.between_s
                await asyncio.sleep(due - time.monotonic())
            frame = next(events, None)
            if frame is None:
                break
            waiting.append(frame)
            seen.chunks += 1
            if len(waiting) >= answer.join:
                await self._send(frames.pieces(b"".join(waiting)))
                waiting.clear()
                self._record.changed()
        if answer.cut_after is not None:
            await self._send(frames.pieces(b"".join(waiting)))
            self._cut(reset=answer.reset)
        else:
            self._end()
            await self._send(frames.pieces(b"".join(waiting)), after=b"0\r\n\r\n")

    async def _send(self, pieces: Iterable[bytes], after: bytes = b"") -> None:
        *before, last = pieces
        for piece in before:
            self._transport.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            # long enough for it to travel in a packet of its own
            await asyncio.sleep(0.002)
        self._transport.write((b"%x\r\n%b\r\n" % (len(last), last) if last else b"") + after)
        if not self._may_write.is_set():
            await self._may_write.wait()
        else:
            # a stream without pauses must not hold the loop that others share
            await asyncio.sleep(0)

    def _begin(self, status: int, headers: dict[str, str]) -> None:
        assert self._seen is not None
        self._seen.status = status
        self._seen.phase = "answering"
        self._transport.write(_head(status, {**headers, "x-request-id": f"req_{self._seen.id}"}))
        self._record.changed()

    def _end(self) -> None:
        """Called before the last write, for the client may have read it before we get any further."""
        assert self._seen is not None
        self._seen.phase = "answered"
        self._record.changed()

    def _write_whole(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._begin(status, {"content-type": _JSON, "content-length": str(len(body)), **headers})
        self._end()
        self._transport.write(body)

    def _cut(self, *, reset: bool) -> None:
        self._cutting = True
        if reset:
            # with no time to linger the kernel drops what is unsent and says RST
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()
        else:
            self._transport.close()


def _head(status: int, headers: dict[str, str]) -> bytes:
    reason = _REASONS.get(status, b"Status")
    lines = b"".join(b"%b: %b\r\n" % (name.encode(), value.encode()) for name, value in headers.items())
    return b"HTTP/1.1 %d %b\r\n%b\r\n" % (status, reason, lines)


def _decode(parts: list[bytes]) -> Any:
    if not parts:
        return None
    body = b"".join(parts)
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return body.decode("utf-8", "replace")


def _plan(method: str, path: str, body: Any) -> Plan:
    """What a request gets, by where it goes."""
    if (method, path) == ("GET", "/v1/models"):
        models = [{"id": name, "object": "model", "created": 0, "owned_by": "upstream"} for name in names()]
        return Refusal(status=200, body=msgspec.json.encode({"object": "list", "data": models}))
    if path.startswith("/elsewhere/"):
        return Refusal(status=200, body=b'{"elsewhere":true}')
    if (method, path) != ("POST", "/v1/chat/completions"):
        return Refusal(
            status=404, body=error_body(f"Unknown request URL: {method} {path}", "invalid_request_error")
        )
    if not isinstance(body, dict) or not isinstance(body.get("messages"), list):
        return Refusal(
            status=400, body=error_body("'messages' is missing", "invalid_request_error", param="messages")
        )
    try:
        return plan(body)
    except UnknownModel as error:
        message = f"The model `{error}` does not exist"
        return Refusal(status=404, body=error_body(message, "invalid_request_error", "model_not_found"))
