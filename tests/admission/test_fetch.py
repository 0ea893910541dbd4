"""Getting an address, from real servers of every kind."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from core.admission.fetch import LARGEST, HttpFetcher
from core.admission.prober import Answered, Unanswered

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture
async def fetcher() -> AsyncIterator[HttpFetcher]:
    fetcher = HttpFetcher(0.5)
    yield fetcher
    await fetcher.aclose()


@pytest.fixture
async def served() -> AsyncIterator[Callable[[Handler], Awaitable[str]]]:
    """Starts a server with one handler; answers its address."""
    servers: list[TestServer] = []

    async def start(handler: Handler) -> str:
        app = web.Application()
        app.router.add_get("/health", handler)
        server = TestServer(app)
        servers.append(server)
        await server.start_server()
        return str(server.make_url("/health"))

    yield start
    for server in servers:
        await server.close()


async def test_an_answer_and_what_was_asked(fetcher: HttpFetcher, served: Any) -> None:
    asked: list[web.Request] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(request)
        response = web.Response(text='{"status": "ok"}', status=len(asked) + 199)
        response.set_cookie("c", "1")
        return response

    url = await served(handler)
    assert await fetcher.get(url) == Answered(200, b'{"status": "ok"}')
    assert await fetcher.get(url) == Answered(201, b'{"status": "ok"}')
    for request in asked:
        assert {name.lower() for name in request.headers} == {
            "host",
            "accept",
            "accept-encoding",
            "user-agent",
            "connection",
        }


async def test_redirects_are_not_followed(fetcher: HttpFetcher, served: Any) -> None:
    async def handler(request: web.Request) -> web.Response:
        raise web.HTTPFound("/elsewhere")

    answer = await fetcher.get(await served(handler))
    assert isinstance(answer, Answered)
    assert answer.status == 302


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_has_its_bound(fetcher: HttpFetcher, served: Any, chunked: bool) -> None:
    size = LARGEST

    async def handler(request: web.Request) -> web.StreamResponse:
        if not chunked:
            return web.Response(body=b"#" * size)
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(0, size, 65536):
            await response.write(b"#" * 65536)
        await response.write(b"#" * (size % 65536))
        return response

    url = await served(handler)
    assert isinstance(await fetcher.get(url), Answered)
    size = LARGEST + 1
    answer = await fetcher.get(url)
    assert isinstance(answer, Unanswered)
    assert str(LARGEST) in answer.why


async def test_what_is_packed_is_not_unpacked(fetcher: HttpFetcher, served: Any) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=gzip.compress(b"ok"), headers={"Content-Encoding": "gzip"})

    answer = await fetcher.get(await served(handler))
    assert isinstance(answer, Unanswered)
    assert "compressed" in answer.why


@pytest.mark.parametrize("begun", [False, True])
async def test_patience_has_an_end(fetcher: HttpFetcher, served: Any, begun: bool) -> None:
    over = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        if begun:
            await response.prepare(request)
            await response.write(b"a 1\n")
        await over.wait()
        return response

    answer = await fetcher.get(await served(handler))
    over.set()
    assert answer == Unanswered("it did not answer within 0.5 s")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/health",
        "http://localhost.invalid/",
        "http://[::1]:1/",
        "http://a..b/",
        "http://127.0.0.1:99999/",
    ],
)
async def test_nobody_there(fetcher: HttpFetcher, url: str) -> None:
    assert isinstance(await fetcher.get(url), Unanswered)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000,
    ],
    ids=["nothing", "another protocol", "half a body", "endless headers"],
)
async def test_servers_that_break_off(fetcher: HttpFetcher, answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    try:
        assert isinstance(await fetcher.get(f"http://{host}:{port}/"), Unanswered)
    finally:
        server.close()
        await server.wait_closed()
