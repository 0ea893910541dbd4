"""The control plane: what a console sees and does. Streams are bounded polls, see `core.journal`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, cast, get_args

import msgspec
from starlette.responses import StreamingResponse

from core.errors import InvalidArgument, MaitredError, SessionNotFound
from core.protocol import (
    AuditPage,
    EventBatch,
    Explained,
    Explanation,
    HistoryPage,
    Outcome,
    Preview,
    SearchHit,
    SessionDetail,
)
from core.readings import What
from core.server.auth import ACT
from core.server.responses import error_response, json_response
from core.server.routes import Call
from core.session_core import SessionCore
from core.store import sessions

_MOST_EVENTS = 10_000

_encode = msgspec.json.Encoder().encode


class ControlPlane:
    """The handlers of the control plane and of the reading part of the data plane."""

    def __init__(self, core: SessionCore) -> None:
        self._core = core

    async def view(self, call: Call) -> StreamingResponse:
        """A view as JSON lines: a head with counts, rows, a tail with the cursor."""

        async def lines() -> AsyncIterator[bytes]:
            async for part in self._core.view():
                yield _encode(part) + b"\n"

        return StreamingResponse(lines(), media_type="application/x-ndjson")

    async def events(self, call: Call) -> EventBatch:
        """A long poll of the journal."""
        return await self._core.events(
            call.text("after"),
            wait=call.wait(),
            limit=min(max(call.number("limit", int, 1000), 1), _MOST_EVENTS),
        )

    async def execute(self, call: Call) -> Outcome:
        """Carry out one command; the actor is the token's."""
        return await self._core.execute(call.body, actor=_actor(call))

    async def preview(self, call: Call) -> Preview:
        """What a command would hit."""
        return await self._core.preview(call.body)

    async def session(self, call: Call) -> SessionDetail:
        """All about one session."""
        return await self._core.session(call.param("key"))

    async def history(self, call: Call) -> HistoryPage:
        """A page of messages."""
        key = call.param("key")
        user = call.principal.user
        if user is not None:
            stored = await self._core.database.read(lambda connection: sessions.look(connection, key))
            _check_owner(stored.owner if stored is not None else None, user, key)
        await self._note(call, "history", key)
        return await self._core.history(
            key, before=call.number("before", int, 0) or None, limit=call.number("limit", int, 100)
        )

    async def search(self, call: Call) -> list[SearchHit]:
        """Messages that hold every word."""
        key = call.text("sessionKey") or None
        await self._note(call, "search", key)
        return await self._core.search(call.text("q"), limit=call.number("limit", int, 20), session_key=key)

    async def audit(self, call: Call) -> AuditPage:
        """The operators' acts, newest first."""
        return await self._core.audit(
            before=call.number("before", int, 0) or None,
            limit=call.number("limit", int, 100),
            target=call.text("target") or None,
        )

    async def explain(self, call: Call) -> Explanation:
        """Why a user waits, or why a session is on its model."""
        kind = call.text("kind")
        if kind not in get_args(Explained):
            raise InvalidArgument(
                f"kind: expected {' or '.join(get_args(Explained))}, found {kind!r:.40}", path="kind"
            )
        told = await self._core.explain(cast(Explained, kind), call.text("key"))
        # where somebody comes from is for who acts
        return told if call.principal.role in ACT else msgspec.structs.replace(told, origin=None)

    async def alive(self, call: Call) -> Any:
        """The process answers."""
        return {"status": "ok"}

    async def ready(self, call: Call) -> Any:
        """New turns are taken."""
        try:
            self._core.check_ready()
        except MaitredError as error:
            return error_response(error)
        return json_response({"status": "ready"})

    async def _note(self, call: Call, what: What, session_key: str | None) -> None:
        if call.principal.role == "operator":
            await self._core.readings.note(_actor(call), what, session_key)


def _check_owner(owner: str | None, user: str | None, session_key: str) -> None:
    """Raises SessionNotFound when a user asks for what is somebody else's; who is no user may see it."""
    if user is not None and owner != user:
        raise SessionNotFound(f"nothing is known of a session {session_key!r}")


def _actor(call: Call) -> str:
    return call.principal.name
