"""``/v1/sessions`` and ``/v1/search``: what is stored of sessions, for whoever may know.

A user's token reaches that user's sessions: those of others do not exist (behaviours/runs.md, decision 10, for what
was said as well). Reading content by an operator is an entry of the audit (behaviours/history.md, decision 8).
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from core.clock import parse_timestamp
from core.errors import InvalidArgument
from core.protocol import HistoryPage, SearchHit, SessionDetail, SessionsPage, Wire
from core.readings import What
from core.server.fields import Text, text
from core.server.owners import Owners
from core.server.routes import Call
from core.session_core import SessionCore
from core.store import search, sessions
from core.store.history import History

_MOST_MESSAGES = 1000

SAID: dict[str, Any] = {
    "type": "object",
    "required": ["role"],
    "properties": {
        "role": {"type": "string", "minLength": 1},
        "timestamp": {
            "anyOf": [
                {"type": "string", "format": "date-time"},
                {
                    "type": "integer",
                    "minimum": parse_timestamp("1000-01-01T00:00:00Z"),
                    "maximum": parse_timestamp("9999-12-31T23:59:59.999Z"),
                },
                {"type": "null"},
            ]
        },
        "runId": {"type": ["string", "null"]},
        "extra": {"type": ["object", "null"]},
    },
}
"""A message as the history takes it, for the description of the API; the history itself looks what it is given."""


class MessagesBody(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Messages to append, in order, each with role and content and whatever else belongs to it.

    Whose session and which project it is, where that is not known yet; a user's token says the first by itself.
    """

    messages: Annotated[
        list[Annotated[Any, msgspec.Meta(extra_json_schema=SAID)]],
        msgspec.Meta(extra_json_schema={"minItems": 1, "maxItems": _MOST_MESSAGES}),
    ]
    user_id: Text | None = None
    project: Text | None = None


class Appended(Wire, frozen=True, kw_only=True):
    """The messages are stored under these numbers."""

    session_key: str
    seqs: list[int]


class SessionDoor:
    """The handlers of stored sessions: list, look, read, append, search."""

    def __init__(self, core: SessionCore) -> None:
        self._core = core
        self._owners = Owners(core)
        self._history = History(core.database, core.clock, core.journal.epoch)

    async def listed(self, call: Call) -> SessionsPage:
        """The stored sessions by key, all or one owner's."""
        named, after, limit = call.text("userId"), call.text("after"), call.number("limit")
        owner = call.principal.user or named
        return await self._core.database.read(
            lambda connection: sessions.page(connection, after=after, limit=limit, owner=owner or None)
        )

    async def look(self, call: Call) -> SessionDetail:
        """All about one session."""
        key = call.param("key")
        await self._owners.check_reader(call, key)
        return await self._core.session(key)

    async def read(self, call: Call) -> HistoryPage:
        """A page of messages."""
        key = call.param("key")
        await self._owners.check_reader(call, key)
        await self._note(call, "history", key)
        return await self._core.history(
            key,
            before=call.number("before") or None,
            after=call.number_or_none("after"),
            limit=call.number("limit"),
        )

    async def append(self, call: Call) -> Appended:
        """Store messages after those that are there, all or none."""
        body: MessagesBody = call.body
        key = call.param("key")
        if not 0 < len(body.messages) <= _MOST_MESSAGES:
            raise InvalidArgument(
                f"$.messages: expected 1 to {_MOST_MESSAGES} of them, found {len(body.messages)}",
                path="$.messages",
            )
        owner = await self._owners.writer(call, key, body.user_id)
        first = await self._history.append_all(
            key,
            body.messages,
            actor=owner or call.principal.name,
            owner=owner,
            project=text(body.project or "", "$.project") or None,
        )
        return Appended(session_key=key, seqs=[*range(first, first + len(body.messages))])

    async def search(self, call: Call) -> list[SearchHit]:
        """Messages that hold every word: of one session, of a user's own, or of all."""
        key, query, limit = call.text("sessionKey") or None, call.text("q"), call.number("limit")
        if key is not None:
            await self._owners.check_reader(call, key)
        await self._note(call, "search", key)
        owner = call.principal.user
        return await self._core.database.read(
            lambda connection: search.find(connection, query, limit=limit, session_key=key, owner=owner)
        )

    async def _note(self, call: Call, what: What, session_key: str | None) -> None:
        if call.principal.role == "operator":
            await self._core.readings.note(call.principal.name, what, session_key)
