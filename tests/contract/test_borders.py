"""Cores across a border: what answers wrongly, ends early, or leaves while it is asked."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from core.admission import WaitingRoom
from core.agents import Directory
from core.embedded import EmbeddedCore
from core.errors import CoreUnreachable, MaitredError, RateLimited, ShuttingDown, StorageFailed
from core.protocol import ViewHead
from core.remote import RemoteCore
from core.runs import RunRegistry
from core.session_core import SessionCore
from core.settings import Settings
from core.store.costs import Costs
from core.store.pins import Pins

HEAD = msgspec.json.encode(
    ViewHead(house="h", instance="i", epoch="e", version="0", now="2026-01-01T00:00:00Z", counts={})
)


@contextlib.asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[RemoteCore]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    remote = RemoteCore(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", "t")
    try:
        yield remote
    finally:
        await remote.aclose()
        server.close()


def http(body: bytes, more: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (more, len(body), body)


@pytest.mark.parametrize(
    "answer",
    [
        http(HEAD + b"\n"),
        http(HEAD),
        http(HEAD + b"\n{}\n"),
        http(b"<html>\n"),
        http(b"\xff\n"),
        http(b""),
        http(b"x", b"Content-Encoding: gzip\r\n"),
        http(HEAD)[:-5],
        b"nonsense\r\n\r\n",
        b"",
        b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\n[]",
        b'HTTP/1.1 500 No\r\nContent-Length: 20\r\n\r\n{"error":{"code":"\xff"',
    ],
    ids=range(13),
)
async def test_what_is_no_answer_of_a_core_is_unreachable(answer: bytes) -> None:
    async with answering(answer) as remote:
        with pytest.raises(CoreUnreachable):
            async for _ in remote.view():
                pass
        with pytest.raises(CoreUnreachable):
            await remote.events("")


async def test_who_waits_on_a_core_that_stops_is_told(tmp_path: Path) -> None:
    async def build() -> tuple[SessionCore, None]:
        return await SessionCore.open(Settings(), tmp_path, directory=Directory([])), None

    embedded = await EmbeddedCore.over(build, actor="me")
    inner = embedded._core
    assert inner is not None
    never = asyncio.Event()

    async def for_ever(*args: Any, **kwargs: Any) -> Any:
        await never.wait()

    inner.session = for_ever  # type: ignore[method-assign]
    asked = asyncio.create_task(embedded.session("x"))
    await asyncio.sleep(0.05)
    await embedded.aclose()
    with pytest.raises(MaitredError) as caught:
        await asyncio.wait_for(asked, 5)
    assert isinstance(caught.value, ShuttingDown)
    with pytest.raises(ShuttingDown):
        await embedded.session("x")
    await embedded.aclose()


async def test_a_call_that_comes_too_late_is_refused(tmp_path: Path) -> None:
    """The loop takes it, and never turns again."""

    async def build() -> tuple[SessionCore, None]:
        return await SessionCore.open(Settings(), tmp_path, directory=Directory([])), None

    embedded = await EmbeddedCore.over(build, actor="me")
    inner, loop = embedded._core, embedded._loop
    assert inner is not None
    assert loop is not None
    late: list[asyncio.Task[Any]] = []
    here = asyncio.get_running_loop()
    close = loop.close

    def closing() -> None:
        here.call_soon_threadsafe(lambda: late.append(here.create_task(embedded.session("x"))))
        time.sleep(0.1)
        close()

    loop.close = closing  # type: ignore[method-assign]
    await embedded.aclose()
    with pytest.raises(ShuttingDown):
        await asyncio.wait_for(late[0], 5)


async def test_a_wait_that_is_given_up_ends_on_the_other_side(tmp_path: Path) -> None:
    async def build() -> tuple[SessionCore, None]:
        return await SessionCore.open(Settings(), tmp_path, directory=Directory([])), None

    embedded = await EmbeddedCore.over(build, actor="me")
    cursor = (await embedded.events("", wait=0)).cursor
    waiting = asyncio.create_task(embedded.events(cursor, wait=60))
    await asyncio.sleep(0.05)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.sleep(0.05)
    assert embedded._core is not None
    assert not embedded._core.journal._waiting
    await embedded.aclose()


async def test_a_core_that_cannot_start_says_why(tmp_path: Path) -> None:
    async def build() -> tuple[SessionCore, None]:
        raise CoreUnreachable("no")

    with pytest.raises(CoreUnreachable):
        await EmbeddedCore.over(build, actor="me")


@pytest.mark.parametrize(("refused", "answered"), [(3, True), (100, False)])
async def test_who_is_told_to_wait_asks_again_and_not_for_ever(refused: int, answered: bool) -> None:
    asked = 0
    error = b'{"error":{"code":"rate_limited","message":"wait","retryAfterMs":5}}'
    batch = b'{"events":[],"cursor":"c","gap":false,"now":"2026-01-01T00:00:00Z"}'

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        return httpx.Response(429, content=error) if asked <= refused else httpx.Response(200, content=batch)

    remote = RemoteCore("http://127.0.0.1:1", "t")
    remote._client._transport = httpx.MockTransport(answer)
    try:
        if answered:
            assert (await remote.events("")).cursor == "c"
            assert asked == refused + 1
        else:
            with pytest.raises(RateLimited):
                await remote.events("")
            assert asked < 10
    finally:
        await remote.aclose()


@pytest.mark.parametrize("part", [RunRegistry, WaitingRoom, Pins, Costs])
async def test_a_start_that_fails_halfway_leaves_the_folder_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: type
) -> None:
    async def fail(*args: Any, **kwargs: Any) -> Any:
        raise StorageFailed("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(part, "open", fail)
        with pytest.raises(StorageFailed):
            await SessionCore.open(Settings(), tmp_path, directory=Directory([]))
    assert "maitred-writer" not in {thread.name for thread in threading.enumerate()}
    core = await SessionCore.open(Settings(), tmp_path, directory=Directory([]))
    await core.aclose()
