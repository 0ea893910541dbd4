"""One typed table of routes: from it come dispatch, decoding, roles, and the description of the API."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, cast
from urllib.parse import unquote

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute
from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send

from core.errors import InternalError, InvalidArgument, MaitredError, MethodNotAllowed, NotFound
from core.server.auth import ANYBODY, Authentication, Principal, Role
from core.server.headers import Header
from core.server.queries import Query
from core.server.responses import JSON, error_response, json_response, openai_error_response

_log = logging.getLogger(__name__)

_LONGEST_WAIT = 60.0


class Call:
    """One request on its way to a handler: who calls, with what."""

    def __init__(
        self,
        request: Request,
        principal: Principal | None,
        body: Any,
        query: Mapping[str, Query],
        headers: Mapping[str, Header],
    ) -> None:
        """`query`, `headers`: what the route takes of either, by name; no other can be read."""
        self.request = request
        self.principal = principal or Principal("open", "anybody")
        self.body = body
        self._query = query
        self._headers = headers

    def param(self, name: str) -> str:
        """A part of the path, decoded; raises InvalidArgument for what is no percent-encoded UTF-8."""
        sent = self.request.path_params[name]
        try:
            if not sent.isascii():
                raise ValueError(sent)
            return unquote(sent, errors="strict")
        except ValueError:
            raise InvalidArgument(f"{name}: is not UTF-8, percent-encoded: {sent!r:.80}", path=name) from None

    def text(self, name: str) -> str:
        """A query parameter of the route; raises InvalidArgument for one that is none of those allowed."""
        return cast(str, self._asked(name))

    def number(self, name: str) -> int:
        """A query parameter of the route that is a number, and has one for a default; raises InvalidArgument."""
        return cast(int, self._asked(name))

    def number_or_none(self, name: str) -> int | None:
        """A query parameter of the route that is a number, None when it is left out; raises InvalidArgument."""
        return cast(int | None, self._asked(name))

    def wait(self) -> float:
        """How long the caller has patience (`wait`, seconds): 25 if it does not say, and a minute at most."""
        wait = cast(float, self._asked("wait"))
        if not math.isfinite(wait):
            raise InvalidArgument(f"wait: expected seconds, found {wait}", path="wait")
        return min(max(wait, 0.0), _LONGEST_WAIT)

    def header(self, name: str) -> str:
        """A header of the route, "" when it is left out; raises InvalidArgument for what is none of those allowed.

        It travels as bytes, and those are UTF-8 where they can be.
        """
        declared, found = self._headers[name], self.request.headers.get(name, "")
        if not found.isascii():
            with contextlib.suppress(UnicodeDecodeError):
                found = found.encode("latin-1").decode()
        return cast(str, _converted(declared, found.strip()))

    def _asked(self, name: str) -> Any:
        declared, found = self._query[name], self.request.query_params.get(name)
        if found is None:
            if declared.required:
                raise InvalidArgument(f"{name}: is missing. {declared.meaning}", path=name)
            return declared.default
        if "\0" in found:
            raise InvalidArgument(f"{name}: has U+0000, which no text here may have; remove it", path=name)
        return _converted(declared, found)


def _converted(declared: Query, found: str) -> Any:
    try:
        return msgspec.convert(found, declared.kind, strict=False)
    except msgspec.ValidationError:
        raise InvalidArgument(
            f"{declared.name}: found {found!r:.80}; allowed: {declared.allowed}", path=declared.name
        ) from None


Handler = Callable[[Call], Awaitable[Any]]


class Also(msgspec.Struct, frozen=True, kw_only=True):
    """A further answer of a route, or the same in another form: what it is `of`, None for no body."""

    status: int = 200
    media: str = JSON
    of: Any = None
    meaning: str = ""


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One row: what comes in (None: no body), what goes out (None: see `also`), and who may.

    What is not told apart by dispatch and decoding (`also`, `errors`) is for `core.server.openapi`.
    """

    method: str
    path: str
    roles: frozenset[Role]
    handler: Handler
    takes: Any = None
    gives: Any = None
    openai: bool = False
    """Errors in the shape of OpenAI's."""
    query: tuple[Query, ...] = ()
    headers: tuple[Header, ...] = ()
    also: tuple[Also, ...] = ()
    errors: tuple[type[MaitredError], ...] = ()
    """What the handler may refuse with, beside what any route does."""


def application(routes: Sequence[Route], authentication: Authentication) -> ASGIApp:
    """The table as an ASGI application: a plain router, because what Starlette wraps around one costs too much."""
    by_path: dict[str, dict[str, Route]] = {}
    for route in routes:
        by_path.setdefault(route.path, {})[route.method] = route
    return Router(
        routes=[
            # no methods: every one reaches the endpoint, which refuses in the shape of our errors
            StarletteRoute(path, _Endpoint(path, methods, authentication))
            for path, methods in by_path.items()
        ],
        redirect_slashes=False,
        default=_nothing_here,
    )


class _Endpoint:
    """Every method of one path: who calls, what comes in, what goes out."""

    def __init__(self, path: str, methods: Mapping[str, Route], authentication: Authentication) -> None:
        self.path = path
        """As the table writes it; `core.server.metering` counts by it."""
        self._methods = methods
        self._authentication = authentication
        self._decoders = {
            name: msgspec.json.Decoder(route.takes)
            for name, route in methods.items()
            if route.takes is not None
        }
        self._queries = {name: {each.name: each for each in route.query} for name, route in methods.items()}
        self._headers = {name: {each.name: each for each in route.headers} for name, route in methods.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # HEAD is answered as GET, whose body the server leaves out
        route = self._methods.get("GET" if scope["method"] == "HEAD" else scope["method"])
        if route is None:
            await _refuse_method(scope, receive, send, allowed=self._methods)
            return
        tell = openai_error_response if route.openai else error_response
        try:
            answer = await self._answer(route, Request(scope, receive))
        except MaitredError as error:
            answer = tell(error)
        except ClientDisconnect:
            return  # it left before its request was all here
        except Exception:
            _log.exception("%s %s failed", route.method, route.path)
            answer = tell(InternalError("maitred made a mistake in this call; the log has the details"))
        await answer(scope, receive, send)

    async def _answer(self, route: Route, request: Request) -> Response:
        principal = None
        if route.roles is not ANYBODY:
            principal = self._authentication.admit(request.headers.get("authorization"), route.roles)
        decoder = self._decoders.get(route.method)
        # read also where none is taken, so that what is too large is refused everywhere
        sent = b"" if route.method == "GET" else await request.body()
        body = _decode(decoder, sent) if decoder is not None else None
        call = Call(request, principal, body, self._queries[route.method], self._headers[route.method])
        answer = await route.handler(call)
        return answer if isinstance(answer, Response) else json_response(answer)


def _decode(decoder: msgspec.json.Decoder[Any], body: bytes) -> Any:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `")
        raise InvalidArgument(f"{path.rstrip('`') or '$'}: {reason}", path=path.rstrip("`") or "$") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidArgument(f"$: the body is not JSON: {error}", path="$") from None
    except RecursionError:
        raise InvalidArgument("$: the body is nested too deep; make it flatter", path="$") from None


async def _nothing_here(scope: Scope, receive: Receive, send: Send) -> None:
    """What the routing itself refuses."""
    error = NotFound(f"there is no {scope['method']} {scope['path']:.200} here")
    await error_response(error)(scope, receive, send)


async def _refuse_method(scope: Scope, receive: Receive, send: Send, *, allowed: Iterable[str]) -> None:
    methods = ", ".join(allowed)
    response = error_response(MethodNotAllowed(f"{scope['method']} is not for this path; allowed: {methods}"))
    response.headers["allow"] = methods
    await response(scope, receive, send)
