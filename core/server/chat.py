"""``POST /v1/chat/completions`` and ``GET /v1/models``: the front door of any OpenAI client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Annotated, Any, Literal, cast
from urllib.parse import quote

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from core.errors import Conflict, InvalidArgument, MaitredError, SessionNotFound, ShuttingDown
from core.protocol import AccessTier
from core.runs import Lagged, RunEvent, Subscription
from core.server import headers
from core.server.fields import LONGEST, Name, Text
from core.server.keys import is_of_another, own_keys
from core.server.responses import openai_error_body, openai_error_response
from core.server.routes import Call
from core.session_core import SessionCore
from core.store.fingerprint import derive_key
from core.store.message import clean, text_of
from core.turn import Turn, TurnRequest

_AUTO = "auto"
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
_STREAM_HEADERS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]


class StreamOptions(msgspec.Struct):
    """The client's wishes for its stream."""

    include_usage: bool | None = None


_MESSAGE: dict[str, Any] = {
    "required": ["role"],
    "properties": {
        "role": {"type": "string", "minLength": 1},
        "content": {"type": ["string", "array", "null"]},
    },
}
"""What `_check` wants of a message, for the description of the API."""


class ChatBody(msgspec.Struct):
    """The fields of a chat completion that the core reads; everything else passes through unread."""

    model: Name
    messages: Annotated[
        list[Annotated[dict[str, Any], msgspec.Meta(extra_json_schema=_MESSAGE)]],
        msgspec.Meta(extra_json_schema={"minItems": 1}),
    ]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: Text | None = None


class ListedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that can be asked for."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str


class ModelList(msgspec.Struct, frozen=True, kw_only=True):
    """The models, as OpenAI lists them."""

    object: Literal["list"] = "list"
    data: list[ListedModel]


_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class ChatDoor:
    """Turns calls into turns."""

    def __init__(self, core: SessionCore) -> None:
        self._core = core
        self._session_header = core.settings.pins.header

    async def complete(self, call: Call) -> Response:
        """One chat completion, streamed or whole."""
        request = await self._request(call)
        return TurnResponse(self._core, request)

    async def models(self, call: Call) -> ModelList:
        """The models that can be asked for, as OpenAI lists them."""
        listed = [(_AUTO, "maitred"), *self._core.directory.models]
        return ModelList(data=[ListedModel(id=model, owned_by=name) for model, name in listed])

    async def _request(self, call: Call) -> TurnRequest:
        body: ChatBody = call.body
        _check(body)
        user = _user(call, body)
        named_key = call.header(headers.SESSION_KEY.name) if call.principal.role == "service" else ""
        if is_of_another(named_key, user):
            raise SessionNotFound(f"there is no session {named_key!r:.200} for this user")
        streams = bool(body.stream)
        return TurnRequest(
            user_id=user,
            session_key=named_key or session_key(user, call.header(self._session_header), body.messages),
            own_key=not named_key,
            instance_id=call.header(headers.INSTANCE.name) or None,
            access_tier=_access_tier(call),
            email=_email(call),
            project=call.header(headers.PROJECT.name) or None,
            model=None if body.model == _AUTO else body.model,
            body=_decode_fields(await call.request.body()),
            messages=body.messages,
            stream=streams,
            include_usage=streams and bool(body.stream_options and body.stream_options.include_usage),
        )


def session_key(user: str, named: str, messages: list[dict[str, Any]]) -> str:
    """The key of a conversation: named by the client, else derived from how it opens (behaviours/pins.md, 9)."""
    if not named:
        opening = next((text_of(each.get("content")) for each in messages if each.get("role") == "user"), "")
        system = "\n".join(
            text_of(each.get("content")) for each in messages if each.get("role") in ("system", "developer")
        )
        named = derive_key(opening, f"{user}\0{system}")
    return own_keys(user) + named


def _user(call: Call, body: ChatBody) -> str:
    if call.principal.role == "user" and call.principal.user:
        return call.principal.user
    user = call.header(headers.USER.name) or (body.user or "").strip() or "local"
    if len(user) > LONGEST:
        raise InvalidArgument(f"the user id is longer than {LONGEST} characters; choose a shorter one")
    return user


def _access_tier(call: Call) -> AccessTier:
    """The caller's, as a service says it; what a user says of that counts for nothing, as with `x-user-id`."""
    tier = "" if call.principal.role == "user" else call.header(headers.ACCESS_TIER.name)
    return cast(AccessTier, tier or "full")


def _email(call: Call) -> str | None:
    email = "" if call.principal.role == "user" else call.header(headers.EMAIL.name)
    return email or None


def _check(body: ChatBody) -> None:
    """What types cannot say. Messages of unknown shape pass, as long as each has a role."""
    if not 0 < len(body.model) <= LONGEST:
        raise InvalidArgument(
            f"$.model: expected auto, or the name of a model of at most {LONGEST} characters",
            path="$.model",
        )
    if not body.messages:
        raise InvalidArgument("$.messages: expected at least one message", path="$.messages")
    for place, message in enumerate(body.messages):
        if not isinstance(message.get("role"), str) or not message["role"]:
            path = f"$.messages[{place}].role"
            raise InvalidArgument(
                f"{path}: expected a role such as user, found {message.get('role')!r}", path=path
            )
        if not isinstance(message.get("content"), str | list | None):
            path = f"$.messages[{place}].content"
            raise InvalidArgument(f"{path}: expected text or a list of parts", path=path)
        for name, value in message.items():
            if isinstance(value, list | dict):
                _ = clean(value, f"$.messages[{place}].{name}")  # what no history can hold goes no further


class TurnResponse(Response):
    """Follows a turn's run and tells it to the client; a client that leaves ends the turn, if so set."""

    def __init__(self, core: SessionCore, request: TurnRequest) -> None:
        super().__init__()
        self._core = core
        self._request = request
        self._gone = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            turn = self._core.turns.open(self._request)
        except MaitredError as error:
            await openai_error_response(error)(scope, receive, send)
            return
        watch = asyncio.create_task(self._until_gone(receive, turn))
        try:
            if self._request.stream:
                await self._stream(turn, scope, receive, send)
            else:
                await self._whole(turn, scope, receive, send)
        finally:
            watch.cancel()

    async def _until_gone(self, receive: Receive, turn: Turn) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        if self._core.settings.runs.on_disconnect == "abort":
            self._core.turns.stop(turn, "the client went away")

    async def _whole(self, turn: Turn, scope: Scope, receive: Receive, send: Send) -> None:
        await turn.ended.wait()
        error = _error_of(turn)
        if error is not None or turn.answer.body is None:
            response = openai_error_response(error or _incomplete(), _turn_headers(turn))
        else:
            headers = _turn_headers(turn) | {"x-maitred-cost-micros": str(turn.micros)}
            response = Response(turn.answer.body, 200, headers, "application/json")
        if not self._gone:
            await response(scope, receive, send)

    async def _stream(self, turn: Turn, scope: Scope, receive: Receive, send: Send) -> None:
        started = False
        try:
            run = await asyncio.shield(turn.begun)
            subscription = self._core.runs.subscribe(run.id, name="client")
            try:
                async for data in _pending(subscription):
                    if self._gone:
                        return
                    if not started:
                        started = True
                        await send(_start(turn))
                    await send({"type": "http.response.body", "body": data, "more_body": True})
            finally:
                subscription.close()
            await turn.ended.wait()
            error = _error_of(turn)
        except Lagged as lag:
            # it is dropped alone: the run goes on, and can be followed from there
            error = Conflict(
                "the client read so slowly that parts of the answer are gone; "
                f"follow run {turn.run_id} after {lag.resume_after}, or ask again and read faster"
            )
        except MaitredError as refusal:
            error = refusal
        if self._gone:
            return
        if not started and error is not None:
            await openai_error_response(error, _turn_headers(turn))(scope, receive, send)
            return
        if not started:
            await send(_start(turn))
        # a broken answer never gets the terminator, so that nobody takes it for a whole one
        last = b"data: [DONE]\n\n" if error is None else b"data: %b\n\n" % openai_error_body(error)
        await send({"type": "http.response.body", "body": last, "more_body": False})


async def _pending(subscription: Subscription) -> AsyncGenerator[bytes, None]:
    """The client's bytes of a run, everything pending joined into one write; raises Lagged."""
    while events := await subscription.next():
        data = b"".join([_chunk(event) for event in events if event.stop])
        if data:
            yield data


def _chunk(event: RunEvent) -> bytes:
    return b"data: %b\n\n" % event.payload[event.start : event.stop]


def _start(turn: Turn) -> dict[str, Any]:
    told = [
        (name.encode(), value.encode("latin-1", "replace")) for name, value in _turn_headers(turn).items()
    ]
    return {"type": "http.response.start", "status": 200, "headers": _STREAM_HEADERS + told}


def _turn_headers(turn: Turn) -> dict[str, str]:
    if not turn.model:
        return {}
    return {
        "x-maitred-session": _header(turn.request.session_key),
        "x-maitred-run": turn.run_id,
        "x-maitred-model": _header(turn.model),
        "x-maitred-tier": turn.choice.tier if turn.choice else "",
    }


def _header(text: str) -> str:
    """Text as a header's value: what is printable ASCII stays as it is, and nothing can end the header."""
    return quote(text, safe=_PRINTABLE)


def _error_of(turn: Turn) -> MaitredError | None:
    if turn.error is not None:
        return turn.error
    if turn.interrupted:
        return ShuttingDown("the run was cut off: maitred is leaving; ask again shortly")
    if turn.stopped is not None:
        return Conflict(f"the run was aborted: {turn.stopped}")
    return None


def _incomplete() -> MaitredError:
    return Conflict("the turn ended without an answer")
