"""The control plane: what a console sees and does. Streams are bounded polls, see `core.journal`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Literal, cast

import msgspec
from starlette.responses import StreamingResponse

from core.protocol import (
    AuditPage,
    EventBatch,
    Explained,
    Explanation,
    Outcome,
    Preview,
    Wire,
)
from core.server.auth import ACT
from core.server.routes import Call
from core.session_core import SessionCore

_MOST_EVENTS = 10_000

_encode = msgspec.json.Encoder().encode


class Alive(Wire, frozen=True, kw_only=True):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(Wire, frozen=True, kw_only=True):
    """New turns are taken."""

    status: Literal["ready"] = "ready"


class ControlPlane:
    """The handlers of the control plane."""

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
            limit=min(max(call.number("limit"), 1), _MOST_EVENTS),
        )

    async def execute(self, call: Call) -> Outcome:
        """Carry out one command; the actor is the token's."""
        return await self._core.execute(call.body, actor=_actor(call))

    async def preview(self, call: Call) -> Preview:
        """What a command would hit."""
        return await self._core.preview(call.body)

    async def audit(self, call: Call) -> AuditPage:
        """The operators' acts, newest first."""
        return await self._core.audit(
            before=call.number("before") or None,
            limit=call.number("limit"),
            target=call.text("target") or None,
        )

    async def explain(self, call: Call) -> Explanation:
        """Why a user waits, or why a session is on its model."""
        told = await self._core.explain(cast(Explained, call.text("kind")), call.text("key"))
        # where somebody comes from is for who acts
        return told if call.principal.role in ACT else msgspec.structs.replace(told, origin=None)

    async def alive(self, call: Call) -> Alive:
        """The process answers."""
        return Alive()

    async def ready(self, call: Call) -> Ready:
        """New turns are taken."""
        self._core.check_ready()
        return Ready()


def _actor(call: Call) -> str:
    return call.principal.name
