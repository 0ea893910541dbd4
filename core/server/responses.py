"""Answers and errors as HTTP."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.responses import Response

from core.errors import (
    Conflict,
    Forbidden,
    GateRefused,
    InvalidArgument,
    MaitredError,
    NotFound,
    RateLimited,
    SessionUnavailable,
    ShuttingDown,
    Unauthorized,
    UpstreamFailed,
    UpstreamRefused,
)
from core.protocol import Wire

JSON = "application/json"
ERROR_HEADER = "x-maitred-error"
"""Carries the code of an error of ours, also where the body is an upstream's."""

_OPENAI = ("/v1/chat/", "/v1/models")
_PASSING_MS = 1000
"""How long to wait before another try at what passes, when nobody knows for how long it lasts."""

_encode = msgspec.json.Encoder().encode


class Fault(Wire, frozen=True, kw_only=True, omit_defaults=True):
    """What went wrong: a stable code, a line for people, when to try again, and the field at fault."""

    code: str
    message: str
    retry_after_ms: int | None = None
    path: str | None = None


class ErrorAnswer(Wire, frozen=True, kw_only=True):
    """Any refusal."""

    error: Fault


class OpenAIFault(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong, with OpenAI's names."""

    message: str
    type: str
    param: str | None
    code: str


class OpenAIErrorAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Any refusal of a call that OpenAI's clients make."""

    error: OpenAIFault


def json_response(answer: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Any answer of ours as JSON."""
    return Response(_encode(answer), status, headers, JSON)


def error_body(error: MaitredError) -> bytes:
    """``{"error": {"code", "message", "retryAfterMs"?, "path"?}}``."""
    path = error.path or None if isinstance(error, InvalidArgument) else None
    told = Fault(code=error.code, message=error.message, retry_after_ms=error.retry_after_ms, path=path)
    return _encode(ErrorAnswer(error=told))


def error_response(error: MaitredError) -> Response:
    """An error of the control and data plane, with the status of its class."""
    headers = retry_headers(error) | {ERROR_HEADER: code_of(error)}
    return Response(error_body(error), status_of(error), headers, JSON)


def openai_error_body(error: MaitredError) -> bytes:
    """The error in the shape that OpenAI's clients read."""
    told = OpenAIFault(
        message=error.message,
        type=_openai_type(error),
        param=error.path if isinstance(error, InvalidArgument) else None,
        code=code_of(error),
    )
    return _encode(OpenAIErrorAnswer(error=told))


def openai_error_response(error: MaitredError, headers: dict[str, str] | None = None) -> Response:
    """An error of a chat completion; what an upstream refused passes as it came."""
    headers = {**(headers or {}), ERROR_HEADER: code_of(error)}
    if isinstance(error, UpstreamRefused):
        return Response(error.body, _upstream_status(error.status), headers | error.headers, JSON)
    return Response(openai_error_body(error), status_of(error), headers | retry_headers(error), JSON)


def refusal(path: str, error: MaitredError) -> Response:
    """An error that no route answers with, in the shape that whoever asks there reads."""
    return openai_error_response(error) if path.startswith(_OPENAI) else error_response(error)


def code_of(error: MaitredError) -> str:
    """The stable code that callers see."""
    return error.gate_code if isinstance(error, GateRefused) else error.code


def status_of(error: MaitredError) -> int:
    """The HTTP status an error travels with."""
    return error.gate_status if isinstance(error, GateRefused) else error.http_status


def _upstream_status(status: int) -> int:
    """What an upstream refused with, if it is an error that HTTP knows."""
    return status if 400 <= status < 600 else UpstreamRefused.http_status


def retry_headers(error: MaitredError) -> dict[str, str]:
    """When waiting helps, how long; when it does not, that nobody should try again by itself."""
    wait = error.retry_after_ms
    if wait is None and isinstance(error, ShuttingDown | SessionUnavailable):
        wait = _PASSING_MS
    if wait is None and isinstance(error, UpstreamFailed):
        return {}
    headers = wait_headers(wait)
    if isinstance(error, Unauthorized):
        headers["www-authenticate"] = "Bearer"
    return headers


def wait_headers(wait: int | None) -> dict[str, str]:
    """How long (ms) to wait before another try; None: that nobody should try again by itself."""
    if wait is None:
        return {"x-should-retry": "false"}
    return {"retry-after-ms": str(wait), "retry-after": str(-(-wait // 1000))}


def _openai_type(error: MaitredError) -> str:
    match error:
        case InvalidArgument():
            return "invalid_request_error"
        case Unauthorized():
            return "authentication_error"
        case Forbidden():
            return "permission_error"
        case NotFound():
            return "not_found_error"
        case RateLimited():
            return "rate_limit_error"
        case GateRefused() | Conflict():
            return "admission_error" if isinstance(error, GateRefused) else "conflict_error"
        case _:
            return "server_error"
