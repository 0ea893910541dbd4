"""Who is calling, and what that role may do.

Tokens are known by their SHA-256 and compared in constant time. On loopback with no token configured the data plane
is open; the control plane always needs a token, one of which the first start writes to the state folder.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from core.clock import Clock
from core.errors import FolderUnusable, Forbidden, RateLimited, StartRefused, Unauthorized
from core.server.rate import Bucket
from core.settings import Token

Role = Literal["viewer", "operator", "service", "user", "open"]
"""`open` is the caller without a token on loopback: the data plane for anybody."""

DATA: frozenset[Role] = frozenset({"service", "user", "open"})
SEE: frozenset[Role] = frozenset({"viewer", "operator"})
READ: frozenset[Role] = frozenset({"operator", "service", "user"})
"""Content of messages and runs: an operator's reading is audited, a user's own only."""
FOLLOW: frozenset[Role] = READ | {"open"}
"""What is being produced, as it comes: on an open data plane anybody may follow, as anybody may ask."""
WRITE: frozenset[Role] = frozenset({"service", "user"})
"""Messages of one's own telling: never on a data plane that is open to anybody."""
KNOW: frozenset[Role] = SEE | WRITE
"""Which sessions there are and what they cost, without what is said in them; a user knows the own ones."""
ACT: frozenset[Role] = frozenset({"operator"})
BRING: frozenset[Role] = WRITE | ACT
"""Whole histories, brought in: what `maitred import` does with the operator's token, and clients with their own."""
ANYBODY: frozenset[Role] = frozenset()


class Principal(msgspec.Struct, frozen=True):
    """A caller: the role, the token's name (the actor of what is audited), the user it stands for."""

    role: Role
    name: str
    user: str | None = None


class _Known(msgspec.Struct, frozen=True):
    """A token as the server knows it; without a `bucket` it may ask as often as it likes."""

    sha256: str
    principal: Principal
    bucket: Bucket | None = None


class Authentication:
    """Knows the tokens of one server, and how often each of them asks."""

    def __init__(
        self,
        tokens: Sequence[Token],
        local_token: str,
        *,
        loopback: bool,
        clock: Clock,
        requests_per_second: float = 0,
    ) -> None:
        """`loopback`: without a token of the settings the data plane is open. 0 requests: no limit."""
        self._open = loopback and not tokens
        self._clock = clock
        self._known = [
            _Known(
                token.sha256,
                Principal(token.role, token.name, token.user or None),
                # a service speaks for everybody: what it may do is what the house may do
                Bucket(requests_per_second, clock.monotonic())
                if requests_per_second and token.role != "service"
                else None,
            )
            for token in tokens
        ]
        self._known.append(_Known(hash_of(local_token), Principal("operator", "local")))

    def admit(self, authorization: str | None, roles: frozenset[Role]) -> Principal:
        """The caller behind an Authorization header, if one of `roles`.

        Raises Unauthorized, Forbidden, or RateLimited for a token that asks too often.
        """
        known = self._find(authorization)
        principal = known.principal if known is not None else None
        if principal is None or (principal.role not in roles and self._open and "open" in roles):
            # OpenAI's clients always send some key: on an open data plane any will do
            if self._open and "open" in roles:
                return Principal("open", "open")
            raise Unauthorized(
                "this call needs a token of this server: send Authorization: Bearer …; "
                "`maitred info` shows where the local one is kept"
            )
        if known is not None and known.bucket is not None:
            wait = known.bucket.take(self._clock.monotonic())
            if wait:
                raise RateLimited(
                    f"the token {principal.name!r} makes more requests than [server] requests_per_second allows; "
                    "wait, and ask again",
                    retry_after_ms=wait,
                )
        if principal.role not in roles:
            raise Forbidden(
                f"the token {principal.name!r} has the role {principal.role}; needed: {_list(roles)}"
            )
        return principal

    def _find(self, authorization: str | None) -> _Known | None:
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return None
        digest = hash_of(token.strip())
        found = None
        for known in self._known:
            # no early end: the time taken tells nothing of which token came close
            if hmac.compare_digest(known.sha256, digest):
                found = known
        return found


def check_exposure(host: str, tokens: Sequence[Token]) -> None:
    """Raises StartRefused for a server that others could reach and nobody would guard."""
    if not tokens and not is_loopback(host):
        raise StartRefused(
            f"{host}: refusing to listen on a foreign address without a token; add one under [[tokens]] in the "
            "settings, or listen on 127.0.0.1"
        )


def is_loopback(host: str) -> bool:
    """Whether an address or name can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _list(roles: frozenset[Role]) -> str:
    return " or ".join(sorted(roles - {"open"}))


def hash_of(token: str) -> str:
    """A token's SHA-256 as the settings hold it."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def new_token() -> str:
    """A token that nobody could guess; its beginning says whose it is to whoever searches for secrets that got out."""
    return "mtr_" + secrets.token_urlsafe(32)


def local_token(folder: Path) -> str:
    """The operator's token of this machine, made at the first start (mode 0600) in the state folder."""
    path = folder / "token"
    try:
        try:
            found = path.read_text(encoding="ascii").strip()
            if found:
                path.chmod(0o600)
                return found
        except FileNotFoundError:
            pass
        token = new_token()
        # written whole beside and moved: a second start never reads half a token
        fresh = path.with_suffix(f".{os.getpid()}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(token + "\n")
        fresh.replace(path)
    except OSError as error:
        raise FolderUnusable(
            f"{path}: cannot be used ({error.strerror}); make it a file that is readable and writable for you"
        ) from error
    except UnicodeDecodeError as error:
        raise FolderUnusable(f"{path}: holds no token; remove it, and a new one is made") from error
    return token
