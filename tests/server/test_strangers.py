"""What strangers send: malformed, foreign, ambiguous, absurd; and what they may not see."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from core.server.auth import hash_of
from core.settings import Admission, Model, Token
from tests.end_to_end.conftest import House, Opening
from tests.end_to_end.test_chat import HELLO, finished, messages
from tests.upstream.server import Upstream

JSON = {"content-type": "application/json"}


async def raw(house: House, data: bytes) -> bytes:
    host, port = house.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(data)
    try:
        async with asyncio.timeout(5):
            return await reader.read(65536)
    finally:
        writer.close()


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"echo","messages":[{"role":"user","content":"\xff"}]}',
        b'{"model":"echo","messages":[{"role":"user","content":' + b"[" * 9000 + b"]" * 9000 + b"}]}",
        b'{"model":"echo","x":'
        + b"[" * 90000
        + b"]" * 90000
        + b',"messages":[{"role":"user","content":"x"}]}',
        b'{"model":"echo","messages":[{"role":"","content":"x"}]}',
        b'{"model":"echo","messages":[{"role":"user","content":[' + b"[" * 200 + b"]" * 200 + b"]}]}",
        b'{"model":"echo","messages":[{"role":"user","content":"x"}],"user":"a\\u0000b"}',
        b'{"model":"echo","messages":[{"role":"user","content":"x"}],"user":"a\\ud800b"}',
        b'{"model":"echo\\ud800b","messages":[{"role":"user","content":"x"}]}',
        b'{"model":"echo\\u0000b","messages":[{"role":"user","content":"x"}]}',
        b'{"model":"' + b"m" * 5000 + b'","messages":[{"role":"user","content":"x"}]}',
        b"[1]",
        b"",
        b"null",
    ],
    ids=range(13),
)
async def test_a_bad_body_is_named_and_goes_no_further(house: House, upstream: Upstream, body: bytes) -> None:
    async with house.http() as http:
        answer = await http.post("/v1/chat/completions", content=body, headers=JSON)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert upstream.requests == []


async def test_a_user_is_the_same_in_a_header_and_in_a_body(house: House) -> None:
    async with house.http() as http:
        named: list[tuple[dict[bytes, bytes], str | None]] = [
            ({b"x-user-id": "jürgen".encode()}, None),
            ({}, "jürgen"),
        ]
        for headers, user in named:
            await http.post(
                "/v1/chat/completions",
                json={"model": "echo", "messages": HELLO, "user": user},
                headers={b"x-session-id": b"s", **headers},
            )
    rows = await finished(house, runs=2)
    assert {row.user_id for row in rows} == {"jürgen"}


async def test_only_what_could_be_mistaken_in_a_user_s_key_is_encoded(house: House) -> None:
    async with house.http() as http:
        for user in ("a/b", "a%2Fb", "ann@example.org"):
            await http.post(
                "/v1/chat/completions",
                json={"model": "echo", "messages": HELLO, "user": user},
                headers={"x-session-id": "s"},
            )
    rows = await finished(house, runs=3)
    assert [row.session_key for row in rows] == ["api:a%2Fb/s", "api:a%252Fb/s", "api:ann@example.org/s"]


@pytest.mark.parametrize("wait", ["nan", "inf", "-inf", "-1", "1e400"])
async def test_a_wait_that_no_clock_knows_is_refused(house: House, wait: str) -> None:
    await house.openai().chat.completions.create(model="echo", messages=HELLO)
    (row,) = await finished(house)
    async with house.http() as http:
        for path in ("/v1/events?after=", f"/v1/runs/{row.run_id}/events?after=0"):
            answer = await http.get(path, params={"wait": wait, "after": 0})
            assert answer.status_code == (200 if wait == "-1" else 400), (path, answer.text)


async def test_a_cursor_of_nobody_s_is_a_gap(house: House) -> None:
    async with house.http() as http:
        epoch = house.core.journal.epoch
        for after in (f"{epoch}." + "9" * 5000, f"{epoch}.٣", "x", f"{epoch}.-1", "nan"):
            answer = await http.get("/v1/events", params={"after": after, "wait": 0})
            assert answer.status_code == 200
            assert answer.json()["gap"] is True


@pytest.mark.parametrize(
    "host",
    [
        b"Host: evil.example\r\n",
        b"Host: evil.example@127.0.0.1\r\n",
        b"Host: 127.0.0.1/evil\r\n",
        b"Host: 127.0.0.1#evil\r\n",
        b"Host: evil.example\r\nHost: 127.0.0.1\r\n",
        b"Host: 127.0.0.1\r\nHost: evil.example\r\n",
        b"Host: 127.0.0.1.\r\n",
        b"Host: \r\n",
        b"",
    ],
)
async def test_foreign_and_malformed_hosts_are_refused(house: House, host: bytes) -> None:
    for path in (b"/healthz", b"/v1/models", b"/nowhere"):
        answer = await raw(house, b"GET " + path + b" HTTP/1.1\r\n" + host + b"Connection: close\r\n\r\n")
        assert answer.split()[1] in (b"400", b"403"), answer


@pytest.mark.parametrize("host", [b"localhost", b"LOCALHOST:1", b"[::1]:8484", b"127.0.0.1:8484"])
async def test_our_own_hosts_are_not(house: House, host: bytes) -> None:
    answer = await raw(house, b"GET /healthz HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n")
    assert answer.split()[1] == b"200"


async def test_requests_with_two_readings_are_refused(house: House) -> None:
    body = b'{"model":"echo","messages":[{"role":"user","content":"x"}]}'
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    for more in (
        b"Content-Type: application/json\r\nContent-Length: 5\r\nContent-Length: %d\r\n\r\n" % len(body),
        b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n"
        % len(body),
        b"Content-Type: text/plain\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        % len(body),
        b"Content-Type: application/json\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n"
        % len(body),
        b"Content-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(body),
    ):
        answer = await raw(house, head + more + body)
        assert answer.split()[1][:1] == b"4", (more, answer)


async def test_methods_are_answered_in_our_shape(house: House) -> None:
    async with house.http() as http:
        assert (await http.options("/v1/chat/completions")).status_code == 405
        assert (await http.put("/v1/chat/completions")).status_code == 405
        head = await http.head("/healthz")
        assert (head.status_code, head.content) == (200, b"")
        assert (await http.head("/v1/models")).status_code == 200


async def test_auto_without_any_model_is_refused_here(house: House, upstream: Upstream) -> None:
    async with house.http() as http:
        answer = await http.post("/v1/chat/completions", json={"model": "auto", "messages": HELLO})
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found"
    assert upstream.requests == []


@pytest.mark.parametrize("stream", [False, True, None])
async def test_options_that_are_null_are_not_there(
    house: House, upstream: Upstream, stream: bool | None
) -> None:
    async with house.http() as http:
        answer = await http.post(
            "/v1/chat/completions",
            json={"model": "echo", "messages": HELLO, "stream": stream, "stream_options": None, "n": 2},
        )
    assert answer.status_code == 200
    assert ("[DONE]" in answer.text) is bool(stream)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("reported", ["prompt=99999999999999999999999", "prompt=-5", "prompt=0&completion=0"])
async def test_absurd_usage_is_estimated(open_house: Opening, stream: bool, reported: str) -> None:
    model = f"echo?{reported}"
    priced = Model(id=model, input_usd_per_million=1e9)
    async with open_house(admission=Admission(models=[priced])) as house:
        async with house.http() as http:
            answer = await http.post(
                "/v1/chat/completions", json={"model": model, "messages": HELLO, "stream": stream}
            )
        assert answer.status_code == 200
        assert "error" not in answer.text
        (row,) = await finished(house)
        assert row.exit_code == 0
        assert len(await messages(house, row.session_key)) == 2
        total = house.core.costs.total("model", model)
        assert total is not None
        assert total.micros == total.estimated_micros > 0


async def test_a_status_that_http_does_not_know_is_a_bad_gateway(house: House) -> None:
    async with house.http() as http:
        answer = await http.post("/v1/chat/completions", json={"model": "status-777", "messages": HELLO})
    assert answer.status_code == 502


async def test_what_belongs_to_another_user_does_not_exist(open_house: Opening) -> None:
    tokens = [
        Token(name="ann", role="user", user="ann", sha256=hash_of("ann")),
        Token(name="bob", role="user", user="bob", sha256=hash_of("bob")),
        Token(name="svc", role="service", sha256=hash_of("svc")),
    ]
    async with open_house(tokens=tokens) as house:

        async def ask(token: str, **headers: str) -> Any:
            async with house.http() as http:
                return await http.post(
                    "/v1/chat/completions",
                    json={"model": "echo", "messages": HELLO, "user": "eve"},
                    headers={"authorization": f"Bearer {token}", **headers},
                )

        answer = await ask("ann", **{"x-session-id": "secret-name", "x-user-id": "bob", "x-session-key": "k"})
        assert answer.status_code == 200
        run = answer.headers["x-maitred-run"]
        (row,) = await finished(house)
        assert (row.user_id, row.session_key) == ("ann", "api:ann/secret-name")
        async with house.http() as http:
            told = []
            for run_id in (run, "nonsense"):
                seen = await http.get(
                    f"/v1/runs/{run_id}/events", headers={"authorization": "Bearer bob"}, params={"wait": 0}
                )
                assert seen.status_code == 404
                told.append(seen.json()["error"])
            assert "secret-name" not in json.dumps(told[0])
            assert told[0]["code"] == told[1]["code"]
            mine = await http.get(f"/v1/runs/{run}/events", headers={"authorization": "Bearer ann"})
            assert mine.status_code == 200
            for token, status in (("ann", 200), ("bob", 404), ("svc", 200)):
                page = await http.get(
                    "/v1/sessions/api%3Aann%2Fsecret-name/messages",
                    headers={"authorization": f"Bearer {token}"},
                )
                assert page.status_code == status, token

        # a service cannot put somebody else into ann's session, old or new
        for key in ("api:ann/secret-name", "api:ann/new"):
            answer = await ask("svc", **{"x-session-key": key, "x-user-id": "bob"})
            assert answer.status_code == 404, key
        answer = await ask("svc", **{"x-session-key": "cron:any", "x-user-id": "bob"})
        assert answer.status_code == 200
        answer = await ask("svc", **{"x-session-key": "cron:any", "x-user-id": "ann"})
        assert answer.status_code == 404
        answer = await ask("ann", **{"x-session-id": "new"})
        assert answer.status_code == 200


async def test_command_ids_that_cannot_be_kept(house: House) -> None:
    async with house.http() as http:
        for command_id in ("", "a\0b", "x" * 100_000):
            answer = await http.post(
                "/v1/commands", json={"action": "pause", "commandId": command_id, "model": "echo"}
            )
            assert answer.status_code == 400, command_id[:10]
        assert not house.core.waiting_room._floor.pauses


async def test_refusals_say_whether_to_try_again(house: House) -> None:
    house.core.turns._leaving = True
    async with house.http() as http:
        answer = await http.post("/v1/chat/completions", json={"model": "echo", "messages": HELLO})
    assert answer.status_code == 503
    assert "x-should-retry" in answer.headers or "retry-after-ms" in answer.headers
