"""Upstreams that answer in ways the protocol does not foresee."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator

import httpx
import pytest

from core.agents.upstream import Upstream
from core.settings import Upstream as UpstreamSettings
from core.store.conversation import reconcile
from core.store.sessions import Stamp
from tests.end_to_end.conftest import House
from tests.end_to_end.test_chat import HELLO, finished, messages

JSON = b"application/json"
EVENTS = b"text/event-stream"


class Answering:
    """A server that answers every request with the same bytes, and remembers what was asked."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.asked: list[bytes] = []
        self.port = 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            self.asked.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(self.answer)
            await writer.drain()
        writer.close()

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Answering]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()


async def asked(
    house: House,
    body: bytes,
    *,
    stream: bool,
    kind: bytes = b"",
    status: bytes = b"200 OK",
    more: bytes = b"",
    path: str = "/v1",
) -> tuple[httpx.Response, Answering]:
    kind = kind or (EVENTS if stream else JSON)
    answer = b"HTTP/1.1 %b\r\nContent-Type: %b\r\n%bConnection: close\r\n\r\n%b" % (status, kind, more, body)
    async with Answering(answer).serving() as server:
        agent = Upstream(UpstreamSettings(name="odd", base_url=f"http://127.0.0.1:{server.port}{path}"), None)
        house.core.directory._for_the_rest = ("odd", agent)
        async with house.http() as http:
            response = await http.post(
                "/v1/chat/completions",
                json={"model": "m", "messages": HELLO, "stream": stream},
                headers={"x-session-id": "s"},
            )
        await agent.aclose()
    return response, server


def chunk(content: str, more: str = "") -> bytes:
    return f'data: {{"choices":[{{"index":0,"delta":{{"content":"{content}"}}}}]{more}}}\n\n'.encode()


DONE = b"data: [DONE]\n\n"


@pytest.mark.parametrize("path", ["", "/", "/v1", "/a/b/"])
async def test_a_base_url_may_have_a_path_and_a_slash(house: House, path: str) -> None:
    _, server = await asked(house, chunk("a") + DONE, stream=True, path=path)
    assert server.asked[0].startswith(b"POST %b/chat/completions HTTP/1.1" % path.rstrip("/").encode())


@pytest.mark.parametrize(
    "bad",
    [
        b'data: {"error":"\xff"}\n\n',
        b'data: {"error":' + b"[" * 9000 + b"]" * 9000 + b"}\n\n",
        b"data: \xff\n\n",
        b"data: {\n\n",
    ],
    ids=range(4),
)
async def test_what_came_before_a_bad_chunk_is_delivered(house: House, bad: bytes) -> None:
    response, _ = await asked(house, chunk("before") + bad + DONE, stream=True)
    assert "before" in response.text
    assert "[DONE]" not in response.text
    (run,) = await finished(house)
    assert (run.state, run.exit_code) == ("failed", 1)
    assert (await messages(house, run.session_key))[-1] == ("assistant", "before", True)
    assert "upstream_failed" in response.text


async def test_an_event_of_several_lines_goes_on_in_one(house: House) -> None:
    body = b'data: {"choices":[{"index":0,\ndata: "delta":{"content":"a"}}]}\n\n' + DONE
    response, _ = await asked(house, body, stream=True)
    for line in response.text.splitlines():
        assert not line or line.startswith("data:"), response.text
    assert "[DONE]" in response.text


@pytest.mark.parametrize("end", [b"data: [DONE]", b"data: [DONE]\n", b"data:[DONE]\r\n\r\n"])
async def test_a_terminator_is_one_without_the_empty_line_too(house: House, end: bytes) -> None:
    response, _ = await asked(house, chunk("a") + end, stream=True)
    assert "data: [DONE]" in response.text


async def test_an_answer_of_another_form_passes_unharmed(house: House) -> None:
    body = b'{"choices":[{"index":0,"message":{"role":"assistant","content":[{"type":"text","text":"x"}]}}]}'
    response, _ = await asked(house, body, stream=False)
    assert (response.status_code, response.content) == (200, body)


@pytest.mark.parametrize(
    "body", [b"[]", b"5", b"<html>", b"", b'{"choices":', b'"\xff"', b"[" * 9000 + b"]" * 9000], ids=range(7)
)
async def test_what_is_no_completion_is_refused(house: House, body: bytes) -> None:
    response, _ = await asked(house, body, stream=False)
    assert response.status_code == 502
    assert response.json()["error"]["code"] == "upstream_failed"


async def test_an_error_with_a_good_status_is_one(house: House) -> None:
    response, _ = await asked(house, b'{"error":{"message":"no credit","code":402}}', stream=False)
    assert response.status_code == 502
    assert "no credit" in response.text


@pytest.mark.parametrize("stream", [False, True])
async def test_a_packed_answer_is_refused_by_name(house: House, stream: bool) -> None:
    body = chunk("a") + DONE if stream else b'{"choices":[{"message":{"content":"x"}}]}'
    response, _ = await asked(house, gzip.compress(body), stream=stream, more=b"Content-Encoding: gzip\r\n")
    assert response.status_code == 502
    assert "gzip" in response.text


async def test_a_refusal_passes_as_what_it_is(house: House) -> None:
    response, _ = await asked(
        house,
        b"<html>",
        stream=True,
        status=b"503 Busy",
        kind=b"text/html",
        more="Retry-After: sö\r\n".encode(),
    )
    assert (response.status_code, response.text) == (503, "<html>")
    assert response.headers["content-type"].startswith("text/html")


async def test_a_page_is_no_stream(house: House) -> None:
    response, _ = await asked(house, b"<html>", stream=True, kind=b"text/html")
    assert response.status_code == 502


async def test_a_stream_is_no_whole_answer(house: House) -> None:
    response, _ = await asked(house, chunk("a") + DONE, stream=False, kind=EVENTS)
    assert response.status_code == 502


async def test_usage_beside_choices_passes_and_the_last_one_counts(house: House) -> None:
    usage = ',"usage":{"prompt_tokens":%d,"completion_tokens":4}'
    body = chunk("a", usage % 1) + chunk("b", usage % 3) + DONE
    response, _ = await asked(house, body, stream=True)
    assert response.text.count('"usage"') == 2
    (run,) = await finished(house)
    assert (run.input_tokens, run.output_tokens) == (3, 4)


EARLY = ',"usage":{"prompt_tokens":1000,"completion_tokens":1}'
FINISHED = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'


async def test_what_was_reported_early_counts_for_what_was_read(house: House) -> None:
    """An answer that breaks off has written more than its first report knew of."""
    await asked(house, chunk("x" * 40, EARLY), stream=True)
    (run,) = await finished(house)
    assert (run.input_tokens, run.output_tokens, run.estimated) == (1000, 10, True)


async def test_what_was_reported_counts_as_it_is_for_a_whole_answer(house: House) -> None:
    await asked(house, chunk("x" * 40, EARLY) + FINISHED + DONE, stream=True)
    (run,) = await finished(house)
    assert (run.input_tokens, run.output_tokens, run.estimated) == (1000, 1, False)


async def test_thoughts_that_break_off_are_estimated(house: House) -> None:
    body = b'data: {"choices":[{"index":0,"delta":{"reasoning_content":"long thoughts"}}]}\n\n'
    await asked(house, body, stream=True)
    (run,) = await finished(house)
    assert run.exit_code == 1
    assert run.output_tokens > 0


async def test_tool_calls_are_told_apart_by_their_index(house: House) -> None:
    call = '{"index":%d,"id":"c%d","function":{"name":"f%d","arguments":"{}"}}'
    calls = ",".join(call % (n, n, n) for n in (1, 0))
    body = b'data: {"choices":[{"index":0,"delta":{"tool_calls":[%b]}}]}\n\n' % calls.encode() + DONE
    await asked(house, body, stream=True)
    (run,) = await finished(house)
    page = await house.core.history(run.session_key)
    assert page.messages[-1].extra is not None
    told = [(each["id"], each["function"]["name"]) for each in page.messages[-1].extra["tool_calls"]]
    assert sorted(told) == [("c0", "f0"), ("c1", "f1")]


async def test_a_refusal_that_comes_back_is_the_one_stored(house: House) -> None:
    body = b'{"choices":[{"index":0,"message":{"role":"assistant","content":null,"refusal":"I will not"}}]}'
    await asked(house, body, stream=False)
    said = {"role": "assistant", "content": None, "refusal": "I will not"}
    (run,) = await finished(house)
    conversation = [*HELLO, said, {"role": "user", "content": "please"}]
    stamp = Stamp(now=house.core.clock.now(), epoch="e")
    done = await house.core.database.write(lambda c: reconcile(c, run.session_key, conversation, stamp))
    assert (done.appended, done.dropped) == (1, 0)
