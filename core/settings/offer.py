"""What the environment offers where the settings name no upstream: the variables that OpenAI's own clients read."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from core.settings.schema import Server, Upstream

_KEY, _BASE_URL = "OPENAI_API_KEY", "OPENAI_BASE_URL"
_OPENAI = "https://api.openai.com/v1"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Offer(msgspec.Struct, frozen=True):
    """An upstream, and the variable it owes itself to."""

    upstream: Upstream
    variable: str


def offered_upstream(env: Mapping[str, str], server: Server) -> Offer | None:
    """The upstream ``openai`` of these variables, if any is set; it takes every model.

    A base URL that leads to this very house is meant for its clients: asking it would ask ourselves, for ever.
    """
    key, url = env.get(_KEY, "").strip(), env.get(_BASE_URL, "").strip()
    if not (key or url) or _is_ours(url, server):
        return None
    upstream = Upstream(name="openai", base_url=url or _OPENAI, api_key_env=_KEY if key else "")
    return Offer(upstream, _KEY if key else _BASE_URL)


def _is_ours(url: str, server: Server) -> bool:
    try:
        parts = urlsplit(url)
        return parts.port == server.port and (parts.hostname or "") in (*_LOOPBACK, server.host)
    except ValueError:
        return False  # no address at all; the check of the settings says so
