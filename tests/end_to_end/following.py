"""A follower of a run's server-sent events over a bare socket, which may break off after any byte."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit

import msgspec


class Frame(msgspec.Struct):
    """One event of the stream."""

    name: str
    id: str
    data: Any


class Follower:
    """What arrives on a connection, frame by frame; what was cut in the middle is not there."""

    def __init__(self, url: str, path: str) -> None:
        self.frames: list[Frame] = []
        self.status = 0
        self.ended = False
        """Whether the server ended the stream, rather than we."""
        self._address = urlsplit(url)
        self._path = path
        self._rest = b""

    async def follow(
        self, *, last_id: str = "", cut_after: int | None = None, token: str = ""
    ) -> list[Frame]:
        """Follow until the end, or so many bytes; the frames of this connection alone."""
        before = len(self.frames)
        self._rest, self.ended = b"", False
        reader, writer = await asyncio.open_connection(self._address.hostname, self._address.port)
        try:
            lines = [
                f"GET {self._path} HTTP/1.1",
                f"Host: {self._address.netloc}",
                "Accept: text/event-stream",
            ]
            lines += [f"Last-Event-ID: {last_id}"] if last_id else []
            lines += [f"Authorization: Bearer {token}"] if token else []
            writer.write("\r\n".join([*lines, "", ""]).encode())
            head = await reader.readuntil(b"\r\n\r\n")
            self.status = int(head.split()[1])
            if self.status == 200:
                await self._read(reader, cut_after)
        finally:
            writer.transport.abort()
        return self.frames[before:]

    async def _read(self, reader: asyncio.StreamReader, left: int | None) -> None:
        chunks = _Chunks()
        while left is None or left > 0:
            data = await reader.read(65536 if left is None else min(left, 65536))
            if not data:
                return
            left = None if left is None else left - len(data)
            self._parse(chunks.body(data))
            self.ended = chunks.ended
            if self.ended:
                return

    def _parse(self, data: bytes) -> None:
        *whole, self._rest = (self._rest + data).split(b"\n\n")
        for block in whole:
            fields: dict[str, str] = {}
            for line in block.decode().split("\n"):
                name, _, value = line.partition(": ")
                fields[name] = value
            if "data" in fields:
                self.frames.append(
                    Frame(fields.get("event", "message"), fields.get("id", ""), json.loads(fields["data"]))
                )


class _Chunks:
    """Takes the chunks of a transfer apart; of one that has begun it gives what is there, as any client does."""

    def __init__(self) -> None:
        self.ended = False
        self._raw = b""
        self._left = 0

    def body(self, data: bytes) -> bytes:
        """What these bytes add to the body."""
        self._raw += data
        body = b""
        while not self.ended:
            if not self._left:
                size, found, after = self._raw.partition(b"\r\n")
                if not found:
                    break
                # the length counts the line's end behind the chunk, which is no part of the body
                self._left, self._raw = int(size, 16) + 2, after
                self.ended = self._left == 2
                continue
            taken = self._raw[: self._left]
            body += taken[: max(0, self._left - 2)]
            self._raw, self._left = self._raw[len(taken) :], self._left - len(taken)
            if self._left:
                break
        return body
