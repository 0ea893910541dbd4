"""RemoteCore: the `Core` protocol over HTTP. Raises the same errors as the core itself would."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import httpx
import msgspec

from core.errors import (
    CertificateNotBelieved,
    CoreUnreachable,
    InvalidArgument,
    MaitredError,
    RateLimited,
    error_from_code,
)
from core.protocol import (
    AnyCommand,
    AuditPage,
    EventBatch,
    Explained,
    Explanation,
    HistoryPage,
    ImportBegun,
    Imported,
    ImportStaged,
    Outcome,
    Preview,
    ReindexPart,
    ReindexProgress,
    RunBatch,
    SearchHit,
    SessionDetail,
    ViewPart,
    ViewTail,
)

T = TypeVar("T")

_PATIENCE = 10.0
_TRIES = 5
"""So often a call is made that is told to wait because its token makes too many."""
_LONG_PATIENCE = 600.0
"""Seconds for what one call does to a whole history."""
_NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_encode = msgspec.json.Encoder().encode
_view_part: msgspec.json.Decoder[ViewPart] = msgspec.json.Decoder(ViewPart)
_reindex_part: msgspec.json.Decoder[ReindexPart] = msgspec.json.Decoder(ReindexPart)


class _ErrorDetail(msgspec.Struct, rename="camel"):
    code: str
    message: str
    retry_after_ms: int | None = None


class _ErrorBody(msgspec.Struct):
    error: _ErrorDetail


class RemoteCore:
    """A core at an address. `token` is an operator's or a viewer's."""

    def __init__(self, url: str, token: str | None, *, trust: ssl.SSLContext | None = None) -> None:
        """`trust`: whose certificates are believed where the address is https; without, those the system believes.

        Raises InvalidArgument for an address with a user, a query or a fragment: it is shown and written down.
        """
        parts = urlsplit(url)
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise InvalidArgument("an address of a core is as https://host:port; a token never stands in it")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.url = url.rstrip("/")
        if trust is None:
            # where nothing is encrypted nobody is believed, and reading the system's roots would only cost time
            trust = (
                ssl.create_default_context()
                if parts.scheme == "https"
                else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            )
        self._client = httpx.AsyncClient(
            base_url=self.url,
            headers=headers,
            timeout=_PATIENCE,
            trust_env=False,
            follow_redirects=False,
            verify=trust,
        )

    async def view(self) -> AsyncIterator[ViewPart]:
        """See `Core.view`; a view that breaks off before its tail raises CoreUnreachable."""
        whole = False
        async for part in self._lines("GET", "/v1/view", _view_part):
            whole = isinstance(part, ViewTail)
            yield part
        if not whole:
            raise CoreUnreachable(f"{self.url}: broke its view off; is maitred leaving there?")

    async def events(self, after: str, *, wait: float = 25.0, limit: int = 1000) -> EventBatch:
        params = {"after": after, "wait": wait, "limit": limit}
        return await self._get("/v1/events", params, EventBatch, patience=wait)

    async def session(self, session_key: str) -> SessionDetail:
        return await self._get(f"/v1/sessions/{quote(session_key, safe='')}", {}, SessionDetail)

    async def run_events(self, run_id: str, after: int = 0, *, wait: float = 25.0) -> RunBatch:
        path = f"/v1/runs/{quote(run_id, safe='')}/events"
        return await self._get(path, {"after": after, "wait": wait}, RunBatch, patience=wait)

    async def history(
        self, session_key: str, *, before: int | None = None, after: int | None = None, limit: int = 100
    ) -> HistoryPage:
        path = f"/v1/sessions/{quote(session_key, safe='')}/messages"
        return await self._get(path, {"before": before, "after": after, "limit": limit}, HistoryPage)

    async def search(self, query: str, *, limit: int = 20, session_key: str | None = None) -> list[SearchHit]:
        params = {"q": query, "limit": limit, "sessionKey": session_key}
        return await self._get("/v1/search", params, list[SearchHit])

    async def audit(
        self, *, before: int | None = None, limit: int = 100, target: str | None = None
    ) -> AuditPage:
        return await self._get("/v1/audit", {"before": before, "limit": limit, "target": target}, AuditPage)

    async def explain(self, kind: Explained, key: str) -> Explanation:
        return await self._get("/v1/explain", {"kind": kind, "key": key}, Explanation)

    async def preview(self, command: AnyCommand) -> Preview:
        return await self._call("POST", "/v1/preview", Preview, content=_encode(command))

    async def execute(self, command: AnyCommand) -> Outcome:
        outcome: Outcome = await self._call("POST", "/v1/commands", Outcome, content=_encode(command))  # type: ignore[arg-type]  # a union is no type
        return outcome

    async def begin_import(
        self, session_key: str, digest: str, count: int, user_id: str | None = None
    ) -> ImportBegun:
        """``POST /v1/imports``: begin to bring in a history, or go on with it."""
        body = {"sessionKey": session_key, "digest": digest, "count": count, "userId": user_id}
        return await self._call("POST", "/v1/imports", ImportBegun, content=_encode(body))

    async def stage(self, import_id: str, start: int, messages: Sequence[msgspec.Raw]) -> ImportStaged:
        """``POST /v1/imports/{id}/messages``: the messages from place `start` on, each as JSON."""
        path = f"/v1/imports/{quote(import_id, safe='')}/messages"
        body = _encode({"from": start, "messages": messages})
        return await self._call("POST", path, ImportStaged, content=body, timeout=_LONG_PATIENCE)

    async def complete_import(self, import_id: str) -> Imported:
        """``POST /v1/imports/{id}/complete``: the session's history is what was brought, all at once."""
        path = f"/v1/imports/{quote(import_id, safe='')}/complete"
        return await self._call("POST", path, Imported, timeout=_LONG_PATIENCE)

    async def reindex(self) -> AsyncIterator[ReindexPart]:
        """``POST /v1/reindex``: rebuild the search index for as long as the parts are read; the last one is the end."""
        whole = False
        async for part in self._lines("POST", "/v1/reindex", _reindex_part, patience=_LONG_PATIENCE):
            whole = not isinstance(part, ReindexProgress)
            yield part
        if not whole:
            raise CoreUnreachable(
                f"{self.url}: broke off; what was rebuilt stays, begin again when it is back"
            )

    async def aclose(self) -> None:
        """Close the connections; the core stays."""
        await self._client.aclose()

    async def _lines(
        self, method: str, path: str, decoder: msgspec.json.Decoder[T], *, patience: float = _PATIENCE
    ) -> AsyncIterator[T]:
        """What a call answers line by line; what raises, raises as `_call` does."""
        try:
            async with self._client.stream(method, path, timeout=patience) as response:
                if response.status_code != 200:
                    await response.aread()
                    raise self._error(response)
                rest = b""
                async for data in response.aiter_bytes():
                    *lines, rest = (rest + data).split(b"\n")
                    for line in lines:
                        yield decoder.decode(line)
        except httpx.RequestError as error:
            raise self._unreachable(error) from error
        except _NOT_JSON as error:
            raise CoreUnreachable(f"{self.url}: does not speak as a maitred does ({error})") from error

    async def _get(self, path: str, params: dict[str, Any], answer: type[T], *, patience: float = 0.0) -> T:
        given = {name: value for name, value in params.items() if value is not None}
        return await self._call("GET", path, answer, params=given, timeout=_PATIENCE + patience)

    async def _call(self, method: str, path: str, answer: type[T], **options: Any) -> T:
        if "content" in options:
            options["headers"] = {"Content-Type": "application/json"}
        response = await self._ask(method, path, **options)
        for _ in range(_TRIES - 1):
            if response.status_code == 200:
                break
            error = self._error(response)
            if not isinstance(error, RateLimited):
                break
            # nothing was done yet, so that asking again does nothing twice
            await asyncio.sleep(min((error.retry_after_ms or 1000) / 1000, _PATIENCE))
            response = await self._ask(method, path, **options)
        if response.status_code != 200:
            raise self._error(response)
        try:
            return msgspec.json.decode(response.content, type=answer)
        except _NOT_JSON as error:
            raise CoreUnreachable(f"{self.url}: does not speak as a maitred does ({error})") from error

    async def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            return await self._client.request(method, path, **options)
        except httpx.RequestError as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: httpx.RequestError) -> CoreUnreachable:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ssl.SSLCertVerificationError):
                return CertificateNotBelieved(
                    f"{self.url}: its certificate is not believed ({cause.verify_message}); name its signer with --ca"
                )
            cause = cause.__cause__ or cause.__context__
        if isinstance(error, httpx.RemoteProtocolError) and self.url.startswith("http://"):
            return CoreUnreachable(f"{self.url}: hangs up ({error}); does it listen for https:// there?")
        return CoreUnreachable(
            f"{self.url}: does not answer ({error or type(error).__name__}); is maitred running there?"
        )

    def _error(self, response: httpx.Response) -> MaitredError:
        try:
            told = msgspec.json.decode(response.content, type=_ErrorBody).error
        except _NOT_JSON:
            return CoreUnreachable(f"{self.url}: answered {response.status_code}, and not as a maitred does")
        return error_from_code(told.code, told.message, retry_after_ms=told.retry_after_ms)
