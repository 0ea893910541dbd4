"""The floor under every route: foreign names and origins, bodies that are not JSON or too large, odd paths.

A browser that was led here by a foreign page sends that page's Origin, or reaches us under a name that is not ours
(DNS rebinding); neither gets as far as a route. CORS is not spoken at all.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.errors import Forbidden, InvalidArgument, MaitredError, PayloadTooLarge, UnsupportedMedia
from core.server.auth import is_loopback
from core.server.responses import refusal

_LONGEST_NUMBER = 20
"""Digits of a length; longer ones are not even read."""
_ONCE = (b"host", b"origin", b"content-type")
_HOST = re.compile(r"([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]+)?")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def allowed_hosts(host: str, extra: Iterable[str]) -> frozenset[str]:
    """The names under which a server bound to `host` may be asked for.

    A wildcard address is reached under any of the machine's addresses, so there every address literal is ours.
    """
    names = {*_LOOPBACK, host, *extra}
    if not is_loopback(host):
        names.add(socket.gethostname())
    return frozenset(name.lower() for name in names)


class SecurityFloor:
    """Wraps the whole application; see the module."""

    def __init__(self, app: ASGIApp, *, hosts: frozenset[str], any_address: bool, largest_body: int) -> None:
        """`any_address`: accept every address literal as Host (bound to all interfaces)."""
        self._app = app
        self._largest_body = largest_body
        self._hosts = hosts
        self._any_address = any_address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            return
        headers = dict(scope["headers"])
        try:
            self._check(scope, headers)
        except MaitredError as error:
            await refusal(scope["path"], error)(scope, receive, send)
            return
        # routes match the path as it was sent, because a key may hold a percent-encoded slash
        scope["path"] = scope["raw_path"].decode("ascii", "replace")
        await self._app(scope, _Bounded(receive, self._largest_body), send)

    def _check(self, scope: Scope, headers: dict[bytes, bytes]) -> None:
        names = [name for name, _ in scope["headers"] if name in _ONCE]
        if len(names) != len(set(names)):
            # two readers of one request must not see two requests in it
            raise InvalidArgument("Host, Origin and Content-Type may be sent once only")
        host = headers.get(b"host", b"").decode("latin-1").lower()
        name = _host_name(host)
        if name not in self._hosts and not (self._any_address and _is_address(name)):
            raise Forbidden(
                f"the Host {host!r} is not a name of this server; add it to [server] hosts if it is"
            )
        origin = headers.get(b"origin")
        if origin is not None and origin.decode("latin-1").lower() != f"{scope['scheme']}://{host}":
            raise Forbidden("requests from foreign web pages are refused (Origin)")
        length = headers.get(b"content-length", b"0")
        if not length.isdigit():
            raise InvalidArgument("Content-Length is not a number")
        if len(length) > _LONGEST_NUMBER or int(length) > self._largest_body:
            raise PayloadTooLarge(f"the body is over {self._largest_body} bytes; send less")
        if int(length) or b"transfer-encoding" in headers:
            kind = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
            if kind != b"application/json":
                raise UnsupportedMedia("the body must be JSON: send Content-Type: application/json")


class _Bounded:
    """Counts a body that comes without a length."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive = receive
        self._most = self._left = most

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                raise PayloadTooLarge(f"the body is over {self._most} bytes; send less")
        return message


def _host_name(host: str) -> str:
    """The name in a Host header, without port and brackets; empty when it is malformed."""
    if not _HOST.fullmatch(host):
        return ""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
