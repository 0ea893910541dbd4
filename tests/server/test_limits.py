"""What a slow, stuck, greedy or broken client costs: its own connection, and nobody else's time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from core.server import connection
from core.server.auth import hash_of
from core.settings import Runs, Server, Token
from tests.end_to_end.conftest import House, Opening
from tests.end_to_end.test_chat import HELLO, finished
from tests.upstream.server import Upstream

PATIENCE = 8.0
HEAD = b"Host: localhost\r\nContent-Type: application/json\r\n"
CHAT = b"POST /v1/chat/completions HTTP/1.1\r\n" + HEAD
ALIVE = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
BODY = msgspec.json.encode({"model": "echo", "messages": HELLO})


class Client:
    """A connection to a house, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, *parts: bytes, pause: float = 0.0) -> None:
        """Send all of it, or as much as the other side takes."""
        with contextlib.suppress(ConnectionError):
            for part in parts:
                self._writer.write(part)
                await self._writer.drain()
                await asyncio.sleep(pause)

    async def rest(self) -> bytes:
        """All that comes until the other side hangs up."""
        data = b""
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionError):
                while more := await self._reader.read(65536):
                    data += more
        return data

    async def answer(self) -> tuple[int, dict[str, str], Any]:
        """One answer: its status, headers and JSON."""
        async with asyncio.timeout(PATIENCE):
            head = await self._reader.readuntil(b"\r\n\r\n")
            first, *lines = head.decode().splitlines()
            headers = dict(line.split(": ", 1) for line in lines if line)
            body = await self._reader.readexactly(int(headers["content-length"]))
        return int(first.split()[1]), headers, msgspec.json.decode(body)


@contextlib.asynccontextmanager
async def client(house: House) -> AsyncIterator[Client]:
    host, port = house.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()


def connections(house: House) -> set[Any]:
    return house.server._uvicorn.server_state.connections


async def gone(house: House) -> None:
    """Waits until the house has no connection, and works for none."""
    async with asyncio.timeout(PATIENCE):
        while connections(house) or house.server._uvicorn.server_state.tasks:
            await asyncio.sleep(0.01)


# --------------------------------------------------------------------------------------------- the head

MANY = [b"x-%d: %b\r\n" % (number, b"y" * 100) for number in range(3000)]
ENDLESS = {
    "many headers": (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n", *MANY),
    "one header": (b"GET /healthz HTTP/1.1\r\nx-long: ", *[b"y" * 1000] * 1000),
    "one name": (b"GET /healthz HTTP/1.1\r\n", *[b"y" * 1000] * 1000),
    "the address": (b"GET /", *[b"y" * 1000] * 1000),
    "what follows a body": (CHAT + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", *MANY),
}


@pytest.mark.parametrize("case", ENDLESS)
@pytest.mark.parametrize("pause", [0.0, 0.0001], ids=["at once", "in pieces"])
async def test_headers_without_end(open_house: Opening, case: str, pause: float) -> None:
    async with open_house(server=Server(max_header_bytes=8192)) as house, client(house) as each:
        sending = asyncio.create_task(each.send(*ENDLESS[case], pause=pause))
        try:
            status, headers, told = await each.answer()
        finally:
            sending.cancel()
        assert (status, told["error"]["code"]) == (431, "headers_too_large")
        assert headers["connection"] == "close"
        assert headers["x-maitred-error"] == "headers_too_large"
        assert "8192" in told["error"]["message"]


@pytest.mark.parametrize("pieces", [1, 7, 200])
async def test_headers_up_to_the_limit(open_house: Opening, pieces: int) -> None:
    """However they arrive, they count once."""
    head = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
    for filler, expected in ((8000, 200), (8300, 431)):
        lines = b"".join(b"x: %b\r\n" % (b"y" * 95) for _ in range(filler // 100))
        whole = head + lines + b"\r\n"
        size = -(-len(whole) // pieces)
        parts = [whole[at : at + size] for at in range(0, len(whole), size)]
        async with open_house(server=Server(max_header_bytes=8192)) as house, client(house) as each:
            await each.send(*parts, pause=0.001)
            assert (await each.answer())[0] == expected


async def test_what_follows_a_body_is_no_header(house: House, upstream: Upstream) -> None:
    chunked = b"%x\r\n%b\r\n0\r\nx-user-id: mallory\r\nhost: evil.example\r\n\r\n" % (len(BODY), BODY)
    async with client(house) as each:
        await each.send(CHAT + b"x-session-id: s\r\nTransfer-Encoding: chunked\r\n\r\n", chunked)
        assert (await each.answer())[0] == 200
    (row,) = await finished(house)
    assert row.session_key == "api:local/s"


# ----------------------------------------------------------------------------------------- what is slow


@pytest.mark.parametrize(
    "drips",
    [
        [b"G"],
        [b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n", *[b"x: y\r\n"] * 200],
        [b"GET /healthz HTTP/1.1\r\nx: ", *[b"y"] * 200],
        [CHAT + b"Content-Length: 1000\r\n\r\n", *[b" "] * 200],
        [CHAT + b"Transfer-Encoding: chunked\r\n\r\n", *[b"1\r\n \r\n"] * 200],
        [CHAT + b"Transfer-Encoding: chunked\r\n\r\n", *[b"1;x\r\n \r\n"] * 200],
        [CHAT + b"Content-Length: 1000\r\n\r\n"],
    ],
    ids=["one byte", "headers", "a header", "a body", "chunks", "extensions", "nothing of a body"],
)
async def test_a_request_that_comes_too_slowly(
    open_house: Opening, upstream: Upstream, caplog: pytest.LogCaptureFixture, drips: list[bytes]
) -> None:
    async with open_house(server=Server(receive_seconds=0.4)) as house, client(house) as each:
        sending = asyncio.create_task(each.send(*drips, pause=0.01))
        try:
            status, headers, told = await each.answer()
        finally:
            sending.cancel()
        assert (status, told["error"]["code"]) == (408, "request_timeout")
        assert headers["connection"] == "close"
        assert ("type" in told["error"]) == drips[0].startswith(b"POST"), (
            "OpenAI's clients read their own shape"
        )
        assert not list(house.core.runs.rows())
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert upstream.requests == []


@pytest.mark.parametrize(
    "said", [[], [b"\r\n"] * 300, [ALIVE]], ids=["nothing", "empty lines", "one request"]
)
async def test_a_connection_without_a_request(open_house: Opening, said: list[bytes]) -> None:
    server = Server(receive_seconds=0.3, keep_alive_seconds=0.3)
    async with open_house(server=server) as house, client(house) as each:
        sending = asyncio.create_task(each.send(*said, pause=0.01))
        data = await each.rest()
        sending.cancel()
        assert data.startswith(b"HTTP/1.1 200") if said == [ALIVE] else data == b""


async def test_a_connection_that_is_used_stays(open_house: Opening) -> None:
    async with open_house(server=Server(receive_seconds=0.3, keep_alive_seconds=0.3)) as house:
        async with client(house) as each:
            for _ in range(8):
                await each.send(ALIVE[:20], ALIVE[20:], pause=0.05)
                assert (await each.answer())[0] == 200
        # and an answer may take as long as it takes
        async with client(house) as each:
            body = BODY.replace(b'"echo"', b'"slow-first?s=1"')
            await each.send(CHAT + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
            assert (await each.answer())[0] == 200


async def test_a_body_that_nobody_reads_is_not_waited_for(
    open_house: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_LINGER_SECONDS", 0.2)
    async with open_house() as house, client(house) as each:
        await each.send(b"GET /healthz HTTP/1.1\r\n" + HEAD + b"Content-Length: 1000000\r\n\r\n{")
        assert (await each.answer())[0] == 200
        sending = asyncio.create_task(each.send(*[b" "] * 1000, pause=0.01))
        assert await each.rest() == b""
        sending.cancel()


async def test_who_is_slow_holds_nobody_up(open_house: Opening) -> None:
    async with open_house(server=Server(receive_seconds=5)) as house, contextlib.AsyncExitStack() as stack:
        for number in range(200):
            slow = await stack.enter_async_context(client(house))
            await slow.send(b"GET /healthz" if number % 2 else CHAT + b"Content-Length: 9\r\n\r\n{")
        loop = asyncio.get_running_loop()
        began = loop.time()
        answer = await house.openai().chat.completions.create(model="echo", messages=HELLO)
        assert answer.choices[0].message.content
        assert loop.time() - began < 2


# --------------------------------------------------------------------------------- what is no request


@pytest.mark.parametrize(
    "noise", [b"\x16\x03\x01\x02\x00\x01\x00", b"nonsense\r\n\r\n", b"GET / HTTP/9\r\n\r\n"]
)
async def test_noise_is_refused_in_our_words_and_not_logged(
    house: House, caplog: pytest.LogCaptureFixture, noise: bytes
) -> None:
    async with client(house) as each:
        await each.send(noise)
        status, headers, told = await each.answer()
        assert (status, told["error"]["code"], headers["connection"]) == (400, "invalid_argument", "close")
    # whoever reaches the port must not be able to fill the disk
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("noise", [b"\x00\x01\r\n\r\n", b"GET / HTTP/1.1\r\nno header\r\n\r\n"])
async def test_an_answer_under_way_comes_first(house: House, noise: bytes) -> None:
    body = BODY.replace(b'"echo"', b'"slow-first?s=1"')
    async with client(house) as each:
        await each.send(CHAT + b"Content-Length: %d\r\n\r\n%b" % (len(body), body), noise, pause=0.1)
        status, _, told = await each.answer()
        assert status == 200
        assert told["choices"][0]["message"]["content"]
        assert await each.rest() == b"", "and then it ends"


async def test_requests_in_a_row_are_answered_in_a_row(house: House) -> None:
    async with client(house) as each:
        await each.send(ALIVE * 50)
        for _ in range(50):
            assert (await each.answer())[0] == 200


async def test_a_request_that_begins_while_another_is_answered(open_house: Opening) -> None:
    """Half of it is here when that answer ends: it is waited for, as long as for any other."""
    server = Server(keep_alive_seconds=0.3, receive_seconds=3)
    body = BODY.replace(b'"echo"', b'"slow-first?s=0.3"')
    half = len(ALIVE) // 2
    for late in (ALIVE[:half], CHAT + b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY[:5])):
        rest = ALIVE[half:] if late == ALIVE[:half] else BODY[5:]
        async with open_house(server=server) as house, client(house) as each:
            await each.send(CHAT + b"Content-Length: %d\r\n\r\n%b" % (len(body), body), late, pause=0.05)
            assert (await each.answer())[0] == 200
            await asyncio.sleep(0.6)
            await each.send(rest)
            assert (await each.answer())[0] == 200


async def test_what_a_connection_refuses_is_counted(house: House) -> None:
    for _ in range(2):
        async with client(house) as each:
            await each.send(b"nonsense\r\n\r\n")
            await each.answer()
    async with house.http() as http:
        assert 'code="invalid_argument"} 2' in (await http.get("/metrics")).text


async def test_who_leaves_while_another_request_waits_is_missed_all_the_same(house: House) -> None:
    asked = {"model": "slow-between?s=60", "messages": HELLO, "stream": True}
    body = msgspec.json.encode(asked)
    async with client(house) as each:
        await each.send(CHAT + b"Content-Length: %d\r\n\r\n%b" % (len(body), body), ALIVE, pause=0.2)
        assert [row.state for row in house.core.runs.rows()] == ["running"]
    (row,) = await finished(house)
    assert row.state == "aborted"


@pytest.mark.parametrize("protocol", [b"websocket", b"h2c"])
async def test_another_protocol_is_not_spoken(
    house: House, caplog: pytest.LogCaptureFixture, protocol: bytes
) -> None:
    async with client(house) as each:
        upgrade = b"Connection: Upgrade\r\nUpgrade: %b\r\n\r\n" % protocol
        await each.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + upgrade)
        assert (await each.answer())[0] == 200
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


# ------------------------------------------------------------------------------- how many, and how often


async def test_one_connection_too_many(open_house: Opening) -> None:
    async with open_house(server=Server(max_connections=3)) as house:
        async with client(house) as one, client(house) as two, client(house) as three, client(house) as more:
            for each in (one, two, three):
                await each.send(ALIVE)
                assert (await each.answer())[0] == 200
            await more.send(ALIVE)
            status, headers, told = await more.answer()
            assert (status, told["error"]["code"]) == (503, "too_many_connections")
            assert told["error"]["retryAfterMs"] == int(headers["retry-after-ms"]) > 0
            assert await more.rest() == b""
            await one.send(ALIVE)
            assert (await one.answer())[0] == 200, "who is in stays in"
        await gone(house)
        async with client(house) as late:
            await late.send(ALIVE)
            assert (await late.answer())[0] == 200


async def test_far_too_many_are_hung_up_on(open_house: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_SURPLUS", 2)
    monkeypatch.setattr(connection, "_SURPLUS_SECONDS", 0.3)
    async with open_house(server=Server(max_connections=1)) as house, contextlib.AsyncExitStack() as stack:
        four = [await stack.enter_async_context(client(house)) for _ in range(4)]
        for each in four[:1]:
            await each.send(ALIVE)
            await each.answer()
        assert await four[3].rest() == b""
        assert await four[2].rest() == b"", "and who is told has not long to ask"
        assert len(connections(house)) == 1


async def test_requests_of_one_token(open_house: Opening) -> None:
    tokens = [
        Token(name=role, role=role, user="ann" if role == "user" else "", sha256=hash_of(role))
        for role in ("viewer", "operator", "user", "service")
    ]
    async with open_house(server=Server(requests_per_second=5), tokens=tokens) as house, house.http() as http:

        async def ask(token: str, path: str = "/v1/sessions") -> Any:
            return await http.get(path, headers={"authorization": f"Bearer {token}"})

        for token in ("viewer", "operator", "user"):
            assert {(await ask(token)).status_code for _ in range(10)} == {200}, token
            refused = await ask(token)
            assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limited")
            wait = int(refused.headers["retry-after-ms"])
            assert 0 < wait <= 200
            assert refused.json()["error"]["retryAfterMs"] == wait
            assert token in refused.json()["error"]["message"]
            await asyncio.sleep(wait / 1000)
            assert (await ask(token)).status_code == 200
        refused = await ask("user", "/v1/models")
        assert (refused.status_code, refused.json()["error"]["type"]) == (429, "rate_limit_error")
        for token in ("service", house.token):
            assert {(await ask(token)).status_code for _ in range(50)} == {200}
        assert (await http.get("/healthz")).status_code == 200


async def test_without_a_limit(open_house: Opening) -> None:
    tokens = [Token(name="v", role="viewer", sha256=hash_of("v"))]
    async with open_house(server=Server(requests_per_second=0), tokens=tokens) as house, house.http() as http:
        headers = {"authorization": "Bearer v"}
        assert {(await http.get("/v1/sessions", headers=headers)).status_code for _ in range(300)} == {200}


# ----------------------------------------------------------------------------------- who does not read

STREAM = b"Accept: text/event-stream\r\n"


@contextlib.asynccontextmanager
async def stuck(house: House, path: str, *more: bytes) -> AsyncIterator[socket.socket]:
    """A client that asks, and then reads only what it is told to."""
    host, port = house.url.removeprefix("http://").split(":")
    house.server._listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
    asking = socket.socket()
    asking.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
    asking.connect((host, int(port)))
    asking.setblocking(False)
    asking.sendall(
        b"GET %b HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %b\r\n%b\r\n"
        % (path.encode(), house.token.encode(), b"".join(more))
    )
    try:
        yield asking
    finally:
        asking.close()


def fill(house: House, rows: int) -> None:
    """Runs that have ended, with long names, so that a view is large: half a kilobyte for each."""
    for number in range(rows):
        run = house.core.runs.start(f"filled:{number}:{'x' * 200}", "test", user_id="u" * 200, recorded=False)
        house.core.runs.complete(run.id, exit_code=0)


def waiting(house: House) -> int:
    """The bytes that lie ready for the client that reads least."""
    return max((each.transport.get_write_buffer_size() for each in connections(house)), default=0)


async def others_are_served(house: House) -> None:
    async with house.http() as http:
        for _ in range(5):
            loop = asyncio.get_running_loop()
            began = loop.time()
            assert (await http.get("/healthz")).status_code == 200
            assert loop.time() - began < 1


@pytest.mark.parametrize("requests", [1, 200], ids=["one", "many in a row"])
async def test_a_view_that_nobody_reads(
    open_house: Opening, monkeypatch: pytest.MonkeyPatch, requests: int
) -> None:
    """It is not even made, but for what fits between here and there; and soon its connection is gone."""
    async with open_house(server=Server(send_seconds=0.5)) as house:
        fill(house, 8000)
        made = 0
        view = house.core.view

        async def counted() -> AsyncIterator[Any]:
            nonlocal made
            async for part in view():
                made += 1
                yield part

        async with house.http() as http:
            size = len((await http.get("/v1/view")).content)
        assert size > 3_000_000
        await gone(house)
        monkeypatch.setattr(house.core, "view", counted)
        async with stuck(house, "/v1/view") as asking:
            with contextlib.suppress(BlockingIOError):
                asking.sendall(
                    b"GET /v1/view HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %b\r\n\r\n"
                    % house.token.encode()
                    * (requests - 1)
                )
            while not waiting(house):
                await asyncio.sleep(0.01)
            await others_are_served(house)
            assert waiting(house) < 1_000_000
            await gone(house)
            assert made < 8, "a part has 500 rows"


async def test_a_run_whose_follower_does_not_read(open_house: Opening) -> None:
    runs = Runs(buffer_bytes=1_000_000)
    async with open_house(server=Server(send_seconds=0.5), runs=runs) as house:
        run = house.core.runs.start("k", "test")
        async with stuck(house, f"/v1/runs/{run.id}/events", STREAM):
            most = 0
            async with asyncio.timeout(PATIENCE):
                # it has begun to follow, and what the two sockets hold is full
                while not waiting(house):
                    await publish(house, run.id)
            for _ in range(3000):
                await publish(house, run.id)
                most = max(most, waiting(house))
            assert most < 3_000_000, "30 MB were produced"
            await others_are_served(house)
            await gone(house)
        house.core.runs.complete(run.id, exit_code=0)


async def publish(house: House, run_id: str) -> None:
    house.core.runs.publish(run_id, {"kind": "text", "content": "x" * 10_000})
    await asyncio.sleep(0)


async def test_a_slow_reader_who_reads_is_not_cut_off(open_house: Opening) -> None:
    async with open_house(server=Server(send_seconds=0.3)) as house:
        fill(house, 4000)
        async with house.http() as http:
            size = len((await http.get("/v1/view")).content)
        async with stuck(house, "/v1/view") as asking:
            loop = asyncio.get_running_loop()
            began, data = loop.time(), b""
            while b'"part":"tail"' not in data[-1000:]:
                more = await asyncio.wait_for(loop.sock_recv(asking, 65536), PATIENCE)
                assert more, f"cut off after {len(data)} bytes"
                data += more
                await asyncio.sleep(0.01)
            assert len(data) > size
            assert loop.time() - began > 0.6, "it took longer than anybody may be stuck"


async def test_an_answer_that_ends_the_connection_is_not_kept_for_ever(open_house: Opening) -> None:
    async with open_house(server=Server(send_seconds=0.4)) as house:
        fill(house, 400)
        async with stuck(house, "/v1/view", b"Connection: close\r\n"):
            while not waiting(house):
                await asyncio.sleep(0.01)
            await gone(house)
