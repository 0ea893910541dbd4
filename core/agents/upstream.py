"""An OpenAI-compatible server as an agent.

Its chunks pass as the bytes they came in; what the core needs of them is decoded beside. Nothing of the client's
headers goes along, redirects are not followed, and addresses, proxies and keys come from the settings only.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import aiohttp
import msgspec

from core.agents.agent import AgentRequest, Output
from core.agents.answer import Answer, Chunk
from core.agents.frames import FrameSplitter
from core.errors import UpstreamFailed, UpstreamRefused
from core.settings import Upstream as UpstreamSettings

_DONE = b"[DONE]"
_LARGEST_ANSWER = 64 * 1024 * 1024
_KEPT_HEADERS = ("content-type", "content-encoding", "retry-after", "retry-after-ms", "x-should-retry")
"""Of a refusal: what its body is, and when to try again."""
_NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Chunk, strict=False).decode


class Upstream:
    """One server of the settings, with its connections."""

    def __init__(self, settings: UpstreamSettings, api_key: str | None) -> None:
        self.name = settings.name
        self._settings = settings
        self._url = settings.base_url.rstrip("/") + "/chat/completions"
        self._headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._session: aiohttp.ClientSession | None = None

    async def stream(self, request: AgentRequest, answer: Answer) -> AsyncGenerator[list[Output], None]:
        """See `Agent.stream`."""
        settings = self._settings
        try:
            async with asyncio.timeout(settings.first_byte_seconds):
                response = await self._connections().post(
                    self._url,
                    data=_body(request),
                    headers=self._headers,
                    allow_redirects=False,
                    proxy=settings.proxy or None,
                )
            async with response:
                await self._check(response)
                _check_encoding(response)
                streamed = response.content_type == "text/event-stream"
                outputs = self._chunks if streamed and request.stream else self._whole
                async for output in outputs(request, response, answer):
                    yield output
        except TimeoutError:
            raise UpstreamFailed(
                f"upstream {self.name} was silent too long (first_byte_seconds {settings.first_byte_seconds:g}, "
                f"idle_seconds {settings.idle_seconds:g}); try again, or raise the limit"
            ) from None
        except aiohttp.ClientConnectorError as error:
            raise UpstreamFailed(
                f"upstream {self.name} cannot be reached at {settings.base_url} ({error.os_error}); "
                "is it running, is base_url right?"
            ) from error
        except (aiohttp.ClientError, ConnectionError) as error:
            raise UpstreamFailed(
                f"upstream {self.name} broke off the connection ({type(error).__name__})"
            ) from error

    async def aclose(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _connections(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=30),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._settings.connect_seconds),
                trust_env=False,
                auto_decompress=False,
            )
        return self._session

    async def _check(self, response: aiohttp.ClientResponse) -> None:
        if response.status < 300:
            return
        if response.status < 400:
            raise UpstreamFailed(
                f"upstream {self.name} answered {response.status} and redirects are not followed; "
                "set base_url to where it leads"
            )
        body = await self._read_all(response)
        kept = {name: response.headers.get(name, "") for name in _KEPT_HEADERS}
        told = {name: value for name, value in kept.items() if value and value.isascii()}
        raise UpstreamRefused(response.status, body, told)

    async def _chunks(
        self, request: AgentRequest, response: aiohttp.ClientResponse, answer: Answer
    ) -> AsyncGenerator[list[Output], None]:
        splitter = FrameSplitter()
        first = True
        patience = self._settings.first_byte_seconds
        while data := await _read(response, patience):
            patience = self._settings.idle_seconds
            outputs: list[Output] = []
            try:
                for frame in splitter.feed(data):
                    if frame == _DONE:
                        yield outputs
                        return
                    outputs.append(_output(frame, request, answer))
                    if first:
                        # somebody waits for it: it goes before the rest is even looked at
                        first = False
                        yield outputs
                        outputs = []
            except UpstreamFailed:
                # the chunks before the bad one were received, so the client gets them
                yield outputs
                raise
            if outputs:
                yield outputs
        if splitter.feed(b"\n\n") == [_DONE]:
            return  # the terminator was sent, only the empty line after it was not
        raise UpstreamFailed(
            f"upstream {self.name} ended its stream without [DONE]: the answer is incomplete"
        )

    async def _read_all(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        patience = self._settings.first_byte_seconds
        while data := await _read(response, patience):
            patience = self._settings.idle_seconds
            body += data
            if len(body) > _LARGEST_ANSWER:
                raise UpstreamFailed(f"upstream {self.name} sent an answer of over {_LARGEST_ANSWER} bytes")
        return bytes(body)

    async def _whole(
        self, request: AgentRequest, response: aiohttp.ClientResponse, answer: Answer
    ) -> AsyncGenerator[list[Output], None]:
        if request.stream:
            raise UpstreamFailed(
                f"upstream {self.name} answered {response.content_type} where a stream was asked for"
            )
        body = await self._read_all(response)
        try:
            answer.fold(_whole_answer(body))
        except _NOT_JSON as error:
            raise UpstreamFailed(
                f"upstream {self.name} sent an answer that is not JSON or not a completion"
            ) from error
        answer.body = body
        yield [Output(b'{"kind":"text","content":%b}' % _encode(answer.text), 0, 0)]


async def _read(response: aiohttp.ClientResponse, seconds: float) -> bytes:
    """What has come, at least a byte; nothing at the end. Raises TimeoutError after `seconds` of silence."""
    async with asyncio.timeout(seconds):
        return await response.content.readany()


def _check_encoding(response: aiohttp.ClientResponse) -> None:
    """Raises UpstreamFailed for an answer that is packed, which was not asked for."""
    encoding = response.headers.get("content-encoding", "identity").lower()
    if encoding != "identity":
        raise UpstreamFailed(
            f"the upstream packed its answer ({encoding:.40}) where none of that was asked for; have it answer plainly"
        )


def _whole_answer(body: bytes) -> Chunk:
    """What the core needs of a whole answer; raises UpstreamFailed for an error in its place, one of `_NOT_JSON`."""
    try:
        chunk = _decode(body)
    except msgspec.ValidationError:
        # a JSON object, but with fields of other types than ours: the client may understand it
        _ = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        return Chunk()
    if chunk.error is not None and not chunk.choices:
        raise UpstreamFailed(_error_text(chunk.error))
    return chunk


def _body(request: AgentRequest) -> bytes:
    """The client's body with the chosen model; streams always report their usage."""
    body = dict(request.body)
    body["model"] = msgspec.Raw(_encode(request.model))
    if request.stream:
        options = msgspec.json.decode(body["stream_options"]) if "stream_options" in body else None
        options = options if isinstance(options, dict) else {}
        body["stream_options"] = msgspec.Raw(_encode(options | {"include_usage": True}))
    return _encode(body)


def _output(frame: bytes, request: AgentRequest, answer: Answer) -> Output:
    """One chunk as a run's event: what it says, and the chunk itself for the client."""
    if b"\n" in frame:
        # it came in several lines, and goes on in one: between the tokens of JSON a line break is a space
        frame = frame.replace(b"\n", b" ")
    try:
        if not frame.isascii():
            _ = frame.decode()  # in fields that are not ours the decoder does not look
        try:
            chunk = _decode(frame)
        except msgspec.ValidationError:
            # fields of other types than ours: the client may understand it. But decoding ended at the first of them,
            # and what is no JSON further on would spoil the run for all who follow it
            _ = msgspec.json.decode(frame)
            return _with_chunk(b'{"kind":"chunk","chunk":', frame)
    except _NOT_JSON as error:
        raise UpstreamFailed("the upstream sent a chunk that is not JSON") from error
    if chunk.error is not None:
        raise UpstreamFailed(_error_text(chunk.error))
    answer.fold(chunk)
    if not chunk.choices and chunk.usage is not None and not request.include_usage:
        return Output(b'{"kind":"usage","usage":%b}' % _encode(chunk.usage), 0, 0)
    return _with_chunk(_opening(chunk), frame)


def _with_chunk(opening: bytes, frame: bytes) -> Output:
    start = len(opening)
    # joined, because formatting takes more memory than it needs, and these are kept for a while
    return Output(b"".join((opening, frame, b"}")), start, start + len(frame))


def _opening(chunk: Chunk) -> bytes:
    """The event's own fields before the chunk: its kind, and its text if it has some."""
    if not chunk.choices:
        return b'{"kind":"usage","chunk":' if chunk.usage is not None else b'{"kind":"chunk","chunk":'
    delta = chunk.choices[0].delta
    if delta is None:
        return b'{"kind":"chunk","chunk":'
    if delta.content:
        return b'{"kind":"text","content":%b,"chunk":' % _encode(delta.content)
    if delta.tool_calls:
        return b'{"kind":"tool_call","chunk":'
    if delta.reasoning_content:
        return b'{"kind":"reasoning","content":%b,"chunk":' % _encode(delta.reasoning_content)
    return b'{"kind":"chunk","chunk":'


def _error_text(error: Any) -> str:
    message = error.get("message") if isinstance(error, dict) else error
    return f"the upstream reported an error in place of its answer: {message!s:.500}"
