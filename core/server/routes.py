"""One typed table of routes: from it come dispatch, decoding, roles, and the description of the API."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import unquote

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute

from core.errors import InternalError, InvalidArgument, MaitredError, NotFound
from core.server.auth import ANYBODY, Authentication, Principal, Role
from core.server.responses import error_response, json_response, openai_error_response

_log = logging.getLogger(__name__)
T = TypeVar("T")


class Call:
    """One request on its way to a handler: who calls, with what."""

    def __init__(self, request: Request, principal: Principal | None, body: Any) -> None:
        self.request = request
        self.principal = principal or Principal("open", "anybody")
        self.body = body

    def param(self, name: str) -> str:
        """A part of the path, decoded."""
        return unquote(self.request.path_params[name])

    def text(self, name: str, default: str = "") -> str:
        """A query parameter."""
        return self.request.query_params.get(name, default)

    def number(self, name: str, kind: type[T], default: T) -> T:
        """A query parameter as a number; raises InvalidArgument with its name."""
        found = self.request.query_params.get(name)
        if found is None:
            return default
        try:
            return msgspec.convert(found, kind, strict=False)
        except msgspec.ValidationError:
            raise InvalidArgument(f"{name}: expected a number, found {found!r}", path=name) from None


Handler = Callable[[Call], Awaitable[Any]]


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One row: what comes in (None: no body), what goes out (None: the handler answers itself), and who may."""

    method: str
    path: str
    roles: frozenset[Role]
    handler: Handler
    takes: Any = None
    gives: Any = None
    openai: bool = False
    """Errors in the shape of OpenAI's."""


def application(routes: Sequence[Route], authentication: Authentication) -> Starlette:
    """The table as an ASGI application."""
    by_path: dict[str, dict[str, Route]] = {}
    for route in routes:
        by_path.setdefault(route.path, {})[route.method] = route
    return Starlette(
        routes=[
            StarletteRoute(path, _endpoint(methods, authentication), methods=list(methods))
            for path, methods in by_path.items()
        ],
        exception_handlers={HTTPException: _http_error},
    )


def _endpoint(methods: Mapping[str, Route], authentication: Authentication) -> Callable[[Request], Awaitable[Response]]:
    decoders = {
        name: msgspec.json.Decoder(route.takes) for name, route in methods.items() if route.takes is not None
    }

    async def endpoint(request: Request) -> Response:
        route = methods.get(request.method) or methods["GET"]
        tell = openai_error_response if route.openai else error_response
        try:
            principal = None
            if route.roles is not ANYBODY:
                principal = authentication.admit(request.headers.get("authorization"), route.roles)
            decoder = decoders.get(route.method)
            body = _decode(decoder, await request.body()) if decoder is not None else None
            answer = await route.handler(Call(request, principal, body))
            return answer if isinstance(answer, Response) else json_response(answer)
        except MaitredError as error:
            return tell(error)
        except Exception:
            _log.exception("%s %s failed", route.method, route.path)
            return tell(InternalError("maitred made a mistake in this call; the log has the details"))

    return endpoint


def _decode(decoder: msgspec.json.Decoder[Any], body: bytes) -> Any:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `")
        raise InvalidArgument(f"{path.rstrip('`') or '$'}: {reason}", path=path.rstrip("`") or "$") from None
    except msgspec.DecodeError as error:
        raise InvalidArgument(f"$: the body is not JSON: {error}", path="$") from None


async def _http_error(request: Request, error: Exception) -> Response:
    """What the routing itself refuses: no such path, no such method."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    response = error_response(NotFound(f"there is no {request.method} {request.url.path} here"))
    if status == 405:
        response.status_code = status
    return response
