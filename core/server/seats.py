"""``/v1/seats`` and ``/v1/gate``: admission for fronts that speak of seats themselves.

A seat's answer has its `status` and a gate's its `code` in the body, whatever the HTTP code (behaviours/admission.md,
decision 20). A service speaks for anybody and says what it knows of them; a user's token speaks for that user, of whom
it can say nothing else.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar, cast

import msgspec
from starlette.responses import Response

from core.admission import Access
from core.admission.advice import advised
from core.admission.answers import RateLimited, SeatAnswer
from core.errors import Forbidden, InvalidArgument
from core.protocol import AccessTier, Wire
from core.server.auth import Principal
from core.server.fields import Moment, Name, Text, moment, text
from core.server.responses import ERROR_HEADER, json_response, wait_headers
from core.server.routes import Call
from core.session_core import SessionCore

T = TypeVar("T")

_MOST_SIGNALS = 64


class Body(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A request's body: a field that is misspelt is refused, or a limited caller would be taken for a full one."""


class OriginBody(Body):
    """What the front knows of where a request comes from; for operators only. What is null is not known."""

    country_code: Text | None = None
    block_reason: Text | None = None
    privacy_signals: Annotated[list[Text], msgspec.Meta(extra_json_schema={"maxItems": _MOST_SIGNALS})] = []
    address_hash: Text | None = None
    checked_at: Moment | None = None


class SeatBody(Body):
    """What a seat is requested with. The model may be empty; what is null is not there."""

    user_id: Name
    model: Text
    access_tier: AccessTier | None = None
    email: Text | None = None
    access: OriginBody | None = None


class GateBody(Body):
    """Who asks whether a request may pass, from which instance, and for what."""

    user_id: Name
    instance_id: Text | None = None
    model: Text | None = None
    access_tier: AccessTier | None = None
    email: Text | None = None
    require_active: bool | None = None


class Ended(Wire, frozen=True, kw_only=True):
    """The user has no seat now."""

    status: Literal["ended"] = "ended"


class SeatDoor:
    """The handlers of seats and gate."""

    def __init__(self, core: SessionCore) -> None:
        self._room = core.waiting_room

    async def request(self, call: Call) -> Response:
        """Request a seat: join a queue, or take over a living seat."""
        body: SeatBody = call.body
        user = _user(call.principal, body.user_id, "$.userId")
        answer = await self._room.request(
            user,
            text(body.model, "$.model"),
            access_tier=_said(call.principal, body.access_tier, "$.accessTier", "full"),
            email=_email(call.principal, body.email, "$.email"),
            access=_said(call.principal, _checked(body.access), "$.access", None),
        )
        return _told(answer)

    async def state(self, call: Call) -> Response:
        """Where a user stands; changes nothing."""
        user = _user(call.principal, call.param("userId"), "userId")
        tier = cast(AccessTier, call.text("accessTier")) if call.text("accessTier") else None
        answer = self._room.state(
            user,
            instance_id=text(call.text("instanceId"), "instanceId") or None,
            access_tier=_said(call.principal, tier, "accessTier", "full"),
            email=_email(call.principal, call.text("email") or None, "email"),
        )
        return _told(answer)

    async def end(self, call: Call) -> Ended:
        """Give a seat up; that there was none is no mistake."""
        await self._room.end(_user(call.principal, call.param("userId"), "userId"))
        return Ended()

    async def gate(self, call: Call) -> Response:
        """May this request pass? Changes nothing."""
        body: GateBody = call.body
        user = _user(call.principal, body.user_id, "$.userId")
        answer = self._room.gate(
            user,
            text(body.instance_id or "", "$.instanceId") or None,
            model=text(body.model or "", "$.model") or None,
            access_tier=_said(call.principal, body.access_tier, "$.accessTier", "full"),
            email=_email(call.principal, body.email, "$.email"),
            require_active=bool(body.require_active),
        )
        headers = _headers(answer.http_status, answer.retry_after_ms)
        if answer.code is not None:
            headers[ERROR_HEADER] = answer.code
        return json_response(answer, answer.http_status, headers)


def _told(answer: SeatAnswer) -> Response:
    wait = answer.retry_after_ms if isinstance(answer, RateLimited) else None
    return json_response(advised(answer), answer.http_status, _headers(answer.http_status, wait))


def _headers(status: int, wait: int | None) -> dict[str, str]:
    return {} if status == 200 else wait_headers(wait)


def _user(principal: Principal, user_id: str, path: str) -> str:
    """The user that the call is about; raises Forbidden for somebody else's token."""
    if principal.role == "user" and user_id != principal.user:
        raise Forbidden(
            f"{path}: the token {principal.name!r} stands for {principal.user!r} alone; ask for that user, "
            "or with a token of role service"
        )
    return text(user_id, path)


def _said(principal: Principal, value: T | None, path: str, otherwise: T) -> T:
    """What is said of the caller; raises Forbidden for a user who says of themselves what counts."""
    if value is None:
        return otherwise
    if principal.role == "user" and value != otherwise:
        raise Forbidden(f"{path}: only a token of role service may say this of a user; leave it out")
    return value


def _email(principal: Principal, email: str | None, path: str) -> str | None:
    return _said(principal, None if email is None else text(email, path), path, None)


def _checked(origin: OriginBody | None) -> Access | None:
    """What the front knows of the request's origin, if all of it is text that can be kept."""
    if origin is None:
        return None
    values: dict[str, Any] = {
        "countryCode": origin.country_code,
        "blockReason": origin.block_reason,
        "addressHash": origin.address_hash,
    }
    for name, value in values.items():
        text(value or "", f"$.access.{name}")
    if len(origin.privacy_signals) > _MOST_SIGNALS:
        path = "$.access.privacySignals"
        raise InvalidArgument(f"{path}: more than {_MOST_SIGNALS}; send the telling ones", path=path)
    for place, signal in enumerate(origin.privacy_signals):
        text(signal, f"$.access.privacySignals[{place}]")
    if origin.checked_at is not None:
        moment(origin.checked_at, "$.access.checkedAt")
    return Access(
        country_code=origin.country_code,
        block_reason=origin.block_reason,
        privacy_signals=origin.privacy_signals,
        address_hash=origin.address_hash,
        checked_at=origin.checked_at,
    )
