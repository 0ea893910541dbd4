"""The official client against the server itself, so that a failure end to end is never the fixture's fault."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator
from typing import Any, cast

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.upstream import Upstream
from tests.upstream.behaviours import names

SAY = "one two  three four\nfive"


@pytest.fixture
async def client(upstream: Upstream) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=upstream.base_url, api_key="sk-any", max_retries=0) as client:
        yield client


def ask(model: str, text: str = SAY, **options: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **options}


async def whole(client: openai.AsyncOpenAI, model: str, text: str = SAY, **options: Any) -> ChatCompletion:
    return cast("ChatCompletion", await client.chat.completions.create(**ask(model, text, **options)))


async def streamed(
    client: openai.AsyncOpenAI, model: str, text: str = SAY, **options: Any
) -> list[ChatCompletionChunk]:
    stream = await client.chat.completions.create(**ask(model, text, stream=True, **options))
    return [chunk async for chunk in stream]


def text_of(chunks: list[ChatCompletionChunk], index: int = 0) -> str:
    return "".join(
        choice.delta.content or "" for chunk in chunks for choice in chunk.choices if choice.index == index
    )


def finish_of(chunks: list[ChatCompletionChunk]) -> list[str]:
    return [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]


SPEAKS = [
    ("echo", SAY),
    ("count-12", "1 2 3 4 5 6 7 8 9 10 11 12"),
    ("comments", SAY),
    ("slow-first?s=0.01", SAY),
    ("slow-between?s=0.001", SAY),
    ("no-usage", SAY),
    ("unicode", "line\u2028para\u2029next\u0085line 👩‍👩‍👧‍👦 e\u0301 日本 \U0001f600"),
]


@pytest.mark.parametrize(("model", "text"), SPEAKS)
async def test_a_stream_and_a_whole_answer_say_the_same(
    client: openai.AsyncOpenAI, model: str, text: str
) -> None:
    chunks = await streamed(client, model)
    assert text_of(chunks) == text
    assert finish_of(chunks) == ["stop"]
    assert chunks[0].choices[0].delta.role == "assistant"
    answer = await whole(client, model)
    assert answer.choices[0].message.content == text
    assert answer.choices[0].finish_reason == "stop"


async def test_usage_comes_when_it_is_asked_for(client: openai.AsyncOpenAI) -> None:
    chunks = await streamed(client, "echo?prompt=1000&completion=30", stream_options={"include_usage": True})
    assert [chunk.usage is not None for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.total_tokens) == (1000, 1030)
    assert all(chunk.usage is None for chunk in await streamed(client, "echo"))
    asked = await streamed(client, "no-usage", stream_options={"include_usage": True})
    assert all(chunk.usage is None for chunk in asked)
    assert (await whole(client, "no-usage")).usage is None


async def test_usage_has_its_details(client: openai.AsyncOpenAI) -> None:
    usage = (await whole(client, "usage-cached")).usage
    assert usage is not None
    assert usage.prompt_tokens_details is not None
    assert usage.completion_tokens_details is not None
    assert usage.prompt_tokens_details.cached_tokens == 800
    assert usage.completion_tokens_details.reasoning_tokens == 40


async def test_several_choices(client: openai.AsyncOpenAI) -> None:
    answer = await whole(client, "echo", n=2)
    assert [choice.message.content for choice in answer.choices] == [SAY, SAY]
    chunks = await streamed(client, "echo", n=2)
    assert (text_of(chunks, 0), text_of(chunks, 1)) == (SAY, SAY)
    assert finish_of(chunks) == ["stop", "stop"]


WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {"name": "look_outside", "parameters": {"type": "object"}},
}


async def test_tool_calls(client: openai.AsyncOpenAI) -> None:
    answer = await whole(client, "tools?calls=2", tools=[WEATHER])
    calls = cast("list[Any]", answer.choices[0].message.tool_calls)
    assert [call.function.name for call in calls] == ["look_outside", "look_outside"]
    assert answer.choices[0].finish_reason == "tool_calls"
    arguments: dict[int, str] = {}
    chunks = await streamed(client, "tools?calls=2", tools=[WEATHER])
    for chunk in chunks:
        for call in chunk.choices[0].delta.tool_calls or []:
            assert call.function is not None
            arguments[call.index] = arguments.get(call.index, "") + (call.function.arguments or "")
    assert [json.loads(text)["city"] for text in arguments.values()] == ["Zürich 1", "Zürich 2"]
    assert [call.function.arguments for call in calls] == list(arguments.values())
    assert finish_of(chunks) == ["tool_calls"]


async def test_a_tools_result_is_answered_with_text(client: openai.AsyncOpenAI) -> None:
    messages: list[Any] = [
        {"role": "user", "content": "?"},
        {"role": "tool", "tool_call_id": "1", "content": "rain"},
    ]
    answer = await client.chat.completions.create(model="tools", messages=messages)
    assert answer.choices[0].message.content == "The tool said rain"


async def test_reasoning_comes_before_the_answer(client: openai.AsyncOpenAI) -> None:
    chunks = await streamed(client, "reasoning", stream_options={"include_usage": True})
    thought = [
        getattr(chunk.choices[0].delta, "reasoning_content", None) for chunk in chunks if chunk.choices
    ]
    assert "".join(part or "" for part in thought) == "Let me think."
    assert text_of(chunks) == SAY
    usage = chunks[-1].usage
    assert usage is not None
    assert usage.completion_tokens_details is not None
    assert usage.completion_tokens_details.reasoning_tokens == 4


async def test_chunks_of_a_size(client: openai.AsyncOpenAI) -> None:
    chunks = await streamed(client, "chunks?n=5&size=250&interval_ms=1")
    texts = [chunk.choices[0].delta.content or "" for chunk in chunks[1:-1]]
    assert [len(text) for text in texts] == [250] * 5
    assert len(set(texts)) == 5
    sent = [int(text.split("@")[1]) for text in texts]
    assert sent == sorted(sent)
    assert sent[-1] - sent[0] >= 3_000_000


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("model", "error", "code"),
    [
        ("status-429", openai.RateLimitError, "rate_limit_exceeded"),
        ("status-500", openai.InternalServerError, "server_error"),
        ("status-400", openai.BadRequestError, "invalid_value"),
        ("nonsense", openai.NotFoundError, "model_not_found"),
    ],
)
async def test_refusals(
    client: openai.AsyncOpenAI, model: str, error: type[openai.APIStatusError], code: str, stream: bool
) -> None:
    with pytest.raises(error) as caught:
        await client.chat.completions.create(**ask(model, stream=stream))
    assert caught.value.code == code
    if model == "status-429":
        assert caught.value.response.headers["retry-after"] == "7"
        assert caught.value.response.headers["retry-after-ms"] == "7000"


@pytest.mark.parametrize("model", ["broken-mid?after=2", "broken-mid?after=2&rst=1"])
async def test_a_cut_stream_gives_its_chunks_and_an_error(client: openai.AsyncOpenAI, model: str) -> None:
    chunks: list[ChatCompletionChunk] = []
    stream = await client.chat.completions.create(**ask(model, stream=True))

    async def read() -> None:
        async for chunk in stream:
            chunks.append(chunk)  # noqa: PERF401 - what came before the error counts

    with pytest.raises((httpx.TransportError, openai.APIConnectionError)):
        await read()
    assert text_of(chunks) == "one two"
    with pytest.raises(openai.APIConnectionError):
        await whole(client, model)


async def raw(upstream: Upstream, model: str, **options: Any) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.post(f"{upstream.base_url}/chat/completions", json=ask(model, **options))


async def test_mishaps_of_a_stream(upstream: Upstream, client: openai.AsyncOpenAI) -> None:
    assert not (await raw(upstream, "no-terminator", stream=True)).text.endswith("data: [DONE]\n\n")
    assert (await raw(upstream, "echo", stream=True)).text.endswith("data: [DONE]\n\n")
    frames = (await raw(upstream, "garbage?after=1", stream=True)).text.split("\n\n")
    assert frames[2] == 'data: {"id": "chatcmpl-1", "choi'
    assert frames[-2] == "data: [DONE]"
    with pytest.raises(openai.APIError, match="overloaded"):
        await streamed(client, "error-frame?after=2")
    frames = (await raw(upstream, "error-frame?after=99", stream=True)).text.split("\n\n")
    assert "overloaded" in frames[-3]
    assert (await raw(upstream, "error-frame")).json()["error"]["code"] == "overloaded"


async def test_a_redirect_leads_elsewhere(upstream: Upstream) -> None:
    answer = await raw(upstream, "redirect")
    assert (answer.status_code, answer.headers["location"]) == (302, "/elsewhere/v1/chat/completions")
    assert [seen.path for seen in upstream.requests] == ["/v1/chat/completions"]


async def test_a_finish_for_length(client: openai.AsyncOpenAI) -> None:
    assert (await whole(client, "finish-length")).choices[0].finish_reason == "length"
    assert finish_of(await streamed(client, "finish-length")) == ["length"]


async def test_megabytes(client: openai.AsyncOpenAI) -> None:
    chunks = await streamed(client, "large?mb=3")
    answer = await whole(client, "large?mb=3")
    assert len(text_of(chunks)) == 3 * 2**20
    assert answer.choices[0].message.content == text_of(chunks)


async def test_the_models(client: openai.AsyncOpenAI) -> None:
    listed = [model.id async for model in client.models.list()]
    assert listed == names()
    assert "echo" in listed


async def test_what_was_asked_is_remembered(upstream: Upstream, client: openai.AsyncOpenAI) -> None:
    await whole(client, "echo", temperature=0.5, extra_headers={"X-Trace": "t1"})
    (seen,) = upstream.requests
    assert (seen.method, seen.path, seen.status, seen.phase) == (
        "POST",
        "/v1/chat/completions",
        200,
        "answered",
    )
    assert seen.body["temperature"] == 0.5
    assert (seen.headers["x-trace"], seen.headers["authorization"]) == ("t1", "Bearer sk-any")
    assert (seen.model, seen.left_at) == ("echo", None)


@pytest.mark.parametrize(
    ("model", "stream", "phase"),
    [
        ("hang", True, "waiting"),
        ("slow-first?s=60", True, "waiting"),
        ("slow-first?s=60&headers=1", True, "answering"),
        ("slow-between?s=60", True, "answering"),
        ("chunks?n=1000000", True, "answering"),
        ("slow-first?s=60", False, "waiting"),
    ],
)
async def test_a_client_that_leaves_is_noticed_at_once(
    upstream: Upstream, model: str, stream: bool, phase: str
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
    body = json.dumps(ask(model, stream=stream)).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await upstream.until_arrived(model)
    if phase == "answering":
        await reader.readline()
    left = time.monotonic()
    writer.close()
    seen = await upstream.until_left(model)
    assert seen.phase == phase
    assert seen.left_at is not None
    assert left <= seen.left_at < left + 2


async def test_whoever_leaves_after_the_answer_has_not_left_early(upstream: Upstream) -> None:
    await raw(upstream, "echo", stream=True)
    await raw(upstream, "status-500")
    assert [seen.left_at for seen in upstream.requests] == [None, None]


def test_garbage_instead_of_http_is_hung_up_on(upstream: Upstream) -> None:
    with socket.create_connection(("127.0.0.1", upstream.port), timeout=5) as sock:
        sock.sendall(b"what is this\r\n\r\n")
        assert sock.recv(100) == b""


def test_as_a_process() -> None:
    command = [sys.executable, "-m", "tests.upstream", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = json.loads(process.stdout.readline())["port"]
        base = f"http://127.0.0.1:{port}"
        with openai.OpenAI(base_url=f"{base}/v1", api_key="any", max_retries=0) as client:
            client.chat.completions.create(**ask("echo"))
        with urllib.request.urlopen(f"{base}/_seen") as answer:
            (seen,) = json.load(answer)
        assert (seen["body"]["model"], seen["phase"], seen["left_at"]) == ("echo", "answered", None)
        process.terminate()
        assert process.wait(5) == 0
