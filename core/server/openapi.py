"""``/openapi.json``: the description of the API, OpenAPI 3.1, made from the table of routes and from nothing else.

What the table says decides who is let in and what is decoded, so the description cannot tell of another server than
this one. It holds no secrets and is the same for everybody. tests/processes/test_any_request.py asks every route for
what it may be asked for, and much that it may not, and holds every answer against what is told here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from http import HTTPStatus
from importlib.metadata import version
from inspect import getdoc
from operator import or_
from types import UnionType
from typing import Any, Union, get_args, get_origin

import msgspec
from starlette.responses import Response

from core.admission.gate import GateCode, refused
from core.errors import (
    Forbidden,
    GateRefused,
    HeadersTooLarge,
    InternalError,
    InvalidArgument,
    MaitredError,
    NotFound,
    PayloadTooLarge,
    RateLimited,
    RequestTimedOut,
    TooManyConnections,
    Unauthorized,
    UnsupportedMedia,
    UpstreamRefused,
)
from core.server.auth import ANYBODY
from core.server.fields import Key, Name
from core.server.queries import Query
from core.server.responses import JSON, ErrorAnswer, OpenAIErrorAnswer
from core.server.routes import Call, Route

_ANY_ROUTE: tuple[type[MaitredError], ...] = (
    *(InvalidArgument, Forbidden, RequestTimedOut, PayloadTooLarge, UnsupportedMedia, HeadersTooLarge),
    *(InternalError, TooManyConnections),
)
"""What the connection and the floor under every route refuse with, and a defect of ours."""
_ANY_TOKEN: tuple[type[MaitredError], ...] = (Unauthorized, RateLimited)

_IN_PATH = {
    each.name: each
    for each in (
        Query(name="userId", kind=Name, required=True, meaning="The user, percent-encoded."),
        Query(name="run_id", required=True, meaning="The run."),
        Query(name="import_id", required=True, meaning="The import, as POST /v1/imports named it."),
        Query(name="key", kind=Key, required=True, meaning="The session's key, percent-encoded: / is %2F."),
    )
}

_REFUSAL_HEADERS = {
    "x-maitred-error": {"$ref": "#/components/headers/Error"},
    "retry-after": {"$ref": "#/components/headers/RetryAfter"},
    "retry-after-ms": {"$ref": "#/components/headers/RetryAfterMs"},
    "x-should-retry": {"$ref": "#/components/headers/ShouldRetry"},
}
_HEADERS: dict[str, Any] = {
    "Error": {"description": "The code of the error.", "schema": {"type": "string"}},
    "RetryAfter": {
        "description": "Seconds after which another try may help.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "RetryAfterMs": {"description": "The same in milliseconds.", "schema": {"type": "integer", "minimum": 0}},
    "ShouldRetry": {
        "description": "That another try by itself helps nobody.",
        "schema": {"type": "string", "enum": ["false", "true"]},
    },
}
_ABOUT = (
    "Sessions, seats, runs and their cost in front of OpenAI-compatible models. JSON is camelCase, except in the calls "
    "that OpenAI's clients make. Times are RFC 3339 in UTC, durations end in Ms, money is whole micro-USD. GET answers "
    "HEAD, too. Everything is refused that is asked for under a foreign Host or Origin, or sends a body that is not "
    "application/json."
)


class Description:
    """The handler; the description is made when it is asked for first."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = routes
        self._made: bytes | None = None

    async def tell(self, call: Call) -> Response:
        """This description."""
        if self._made is None:
            self._made = msgspec.json.encode(describe(self._routes))
        return Response(self._made, media_type=JSON)


def describe(routes: Iterable[Route]) -> dict[str, Any]:
    """The description of these routes, as the object that it is in JSON."""
    schemas = _Schemas()
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "maitred",
            "version": version("maitred"),
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": schemas.named,
            "headers": _HEADERS,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token of the settings, or the local one of the state folder.",
                }
            },
        },
    }


class _Schemas:
    """The schema of any type, with those that have a name kept in one place."""

    def __init__(self) -> None:
        self.named: dict[str, Any] = {}

    def of(self, kind: Any) -> dict[str, Any]:
        parts = _parts(kind)
        if len(parts) > 1 and not all(_is_tagged(each) for each in parts):
            return {"anyOf": [self.of(each) for each in parts]}
        (schema,), named = msgspec.json.schema_components([kind], ref_template="#/components/schemas/{name}")
        for name, found in named.items():
            if self.named.setdefault(name, found) != found:
                raise TypeError(f"two types of the API are called {name}; call one otherwise")
        return schema


def _parts(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def _is_tagged(kind: Any) -> bool:
    config = getattr(kind, "__struct_config__", None)
    return config is not None and config.tag is not None


def _operation(route: Route, schemas: _Schemas) -> dict[str, Any]:
    summary, _, more = (getdoc(route.handler) or "").partition("\n")
    told: dict[str, Any] = {
        "operationId": "_".join([route.method.lower(), *re.findall(r"\w+", route.path)]),
        "summary": summary,
        "description": " ".join([*more.split(), _who_may(route)]),
        "tags": [route.path.split("/")[2] if route.path.startswith("/v1/") else "server"],
        "security": _security(route),
        "parameters": [
            *(_parameter(_in_path(name), "path", schemas) for name in re.findall(r"{(\w+)}", route.path)),
            *(_parameter(each, "query", schemas) for each in route.query),
            *(_parameter(each, "header", schemas) for each in route.headers),
        ],
        "responses": _responses(route, schemas),
    }
    if route.takes is not None:
        told["requestBody"] = {"required": True, "content": {JSON: {"schema": schemas.of(route.takes)}}}
    return told


def _in_path(name: str) -> Query:
    return _IN_PATH.get(name) or Query(name=name, required=True, meaning="")


def _parameter(query: Query, where: str, schemas: _Schemas) -> dict[str, Any]:
    schema = schemas.of(query.kind)
    if query.default not in ("", None):
        schema["default"] = query.default
    told = {"name": query.name, "in": where, "required": query.required, "schema": schema}
    return told | ({"description": query.meaning} if query.meaning else {})


def _who_may(route: Route) -> str:
    if route.roles is ANYBODY:
        return "For anybody."
    told = f"For a token of role {' or '.join(sorted(route.roles - {'open'}))}"
    return told + (
        "; for anybody on a loopback address without tokens in the settings."
        if "open" in route.roles
        else "."
    )


def _security(route: Route) -> list[dict[str, list[str]]]:
    """One alternative a role: any of them will do."""
    named: list[dict[str, list[str]]] = [{"token": [role]} for role in sorted(route.roles - {"open"})]
    return [*named, {}] if "open" in route.roles or not named else named


# ------------------------------------------------------------------------------------------------ answers


def _responses(route: Route, schemas: _Schemas) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for status, media, kind, meaning in _answers(route):
        answer = told.setdefault(str(status), {"description": ""})
        _say(answer, meaning or HTTPStatus(status).phrase)
        if kind is not None:
            _offer(answer, media, schemas.of(kind))
    shape = schemas.of(OpenAIErrorAnswer if route.openai else ErrorAnswer)
    for status, codes in sorted(_refusals(route).items()):
        answer = told.setdefault(str(status), {"description": ""})
        for meaning in dict.fromkeys(codes.values()):
            _say(answer, meaning)
        exact = {"properties": {"error": {"properties": {"code": {"enum": sorted(codes)}}}}}
        _offer(answer, JSON, {"allOf": [shape, exact]})
        answer["headers"] = dict(_REFUSAL_HEADERS)
    if UpstreamRefused in route.errors:
        for family in ("4XX", "5XX"):
            told[family] = {
                "description": "What the upstream refused with, as it came; x-maitred-error is upstream_refused. "
                "It may have a status of those above as well.",
                "headers": dict(_REFUSAL_HEADERS),
            }
    return dict(sorted(told.items()))


def _answers(route: Route) -> Iterator[tuple[int, str, Any, str]]:
    """Status, media type, type and meaning of every answer that is no error."""
    by_status: dict[int, list[Any]] = {}
    if route.gives is not None:
        for part in _parts(route.gives):
            status = getattr(part, "http_status", 200)
            # what has a field of that name tells its status itself: see `also`
            by_status.setdefault(status if isinstance(status, int) else 200, []).append(part)
    for status, parts in by_status.items():
        meanings = [_summary_of(each) for each in parts if isinstance(each, type)]
        # a whole tagged union keeps its discriminator, and so does a part of one
        yield status, JSON, reduce(or_, parts), " ".join(meanings)
    for each in route.also:
        yield each.status, each.media, each.of, each.meaning
    if not by_status and not any(each.status == 200 for each in route.also):
        yield 200, JSON, None, ""


def _refusals(route: Route) -> dict[int, dict[str, str]]:
    """Status → code → meaning of every error."""
    classes = [*_ANY_ROUTE, *route.errors]
    if route.roles is not ANYBODY:
        classes.extend(_ANY_TOKEN)
    if "{" in route.path:
        classes.append(NotFound)
    found: dict[int, dict[str, str]] = {}
    for each in classes:
        if each is GateRefused:
            for code in get_args(GateCode):
                answer = refused(code)
                found.setdefault(answer.http_status, {})[code] = answer.message
        elif each is not UpstreamRefused:
            found.setdefault(each.http_status, {})[each.code] = _summary_of(each)
    return found


def _say(answer: dict[str, Any], meaning: str) -> None:
    answer["description"] = f"{answer['description']} {meaning}".strip()


def _offer(answer: dict[str, Any], media: str, schema: dict[str, Any]) -> None:
    """Add a schema to those that an answer of this media type may have."""
    content = answer.setdefault("content", {})
    there = content.get(media)
    if there is not None:
        schema = {"anyOf": [*there["schema"].get("anyOf", [there["schema"]]), schema]}
    content[media] = {"schema": schema}


def _summary_of(told: Any) -> str:
    """The first line of a docstring, as a sentence."""
    line = (getdoc(told) or "").partition("\n")[0]
    return line if line.endswith((".", "!", "?")) or not line else f"{line}."
