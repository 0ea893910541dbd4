"""The headers that routes read of requests, declared as query parameters are: see `core.server.queries`.

What the floor under every route goes by (`Authorization`, `Host`, `Origin`, `Content-Type`) is not among them, nor is
`Accept`, which OpenAPI has other words for.
"""

from __future__ import annotations

from typing import Any, Literal

from core.server.fields import Short
from core.server.queries import Query


class Header(Query, frozen=True, kw_only=True):
    """One header, whose name may be written in any case. One that is left out is as one that is empty."""

    kind: Any = Short


USER = Header(
    name="x-user-id",
    meaning="The user, where the token does not say it: else it is the `user` of the body, or else local.",
)
INSTANCE = Header(
    name="x-instance-id",
    meaning="The instance that holds the user's seat, as POST /v1/seats named it.",
    kind=str,
)
PROJECT = Header(
    name="x-project", meaning="The project of the session; one that it has already stays.", kind=str
)
SESSION_KEY = Header(
    name="x-session-key",
    meaning="The whole key of the session, instead of a name of the conversation; only a service says it.",
    kind=str,
)
ACCESS_TIER = Header(
    name="x-access-tier",
    meaning="What the user may have, full without it; a user's own token cannot say it.",
    kind=Literal["", "full", "limited"],
)
EMAIL = Header(name="x-user-email", meaning="The user's address; a user's own token cannot say it.")
LAST_EVENT = Header(
    name="last-event-id",
    meaning="For a stream: the `id` of the last event that came, after which it goes on. It counts before `after`.",
    kind=str,
)


def session_id(name: str) -> Header:
    """The header that names a conversation, as ``[pins] header`` calls it."""
    return Header(
        name=name,
        meaning="The client's own name of the conversation; without it the key comes from how the messages open.",
    )


def of_chat(session_header: str) -> tuple[Header, ...]:
    """What a chat completion reads."""
    return (session_id(session_header), USER, INSTANCE, PROJECT, SESSION_KEY, ACCESS_TIER, EMAIL)
