"""Why it is so: the rules of the part that decided, and what operators did about it."""

from __future__ import annotations

from typing import assert_never

import msgspec

from core.admission import WaitingRoom
from core.errors import SessionNotFound
from core.protocol import AuditEntry, Because, Explained, Explanation
from core.router import SessionRouter
from core.runs import RunRegistry
from core.store import audit
from core.store.database import Database
from core.store.pins import Pins
from core.store.why_model import why_model
from core.turn import ChatSession

_ACTS = 3
"""So many of the latest acts on a target are told."""

_LOOKED_AT = 100
"""So many of the latest entries are looked through for them."""

_NO_ACTS = frozenset({"read", "created", "resumed"})
"""What stands in the audit and nobody decided."""


class Explaining:
    """Answers "why" for seats, sessions and runs."""

    def __init__(
        self,
        *,
        database: Database,
        waiting_room: WaitingRoom,
        router: SessionRouter[ChatSession],
        runs: RunRegistry,
        pins: Pins,
    ) -> None:
        self._database = database
        self._waiting_room = waiting_room
        self._router = router
        self._runs = runs
        self._pins = pins

    async def explain(self, kind: Explained, key: str) -> Explanation:
        """See `Core.explain`. Raises SessionNotFound, RunNotFound, InvalidArgument."""
        match kind:
            case "seat":
                return self._waiting_room.explain(key)
            case "session":
                told = self._session(key)
            case "run":
                told = self._runs.why(key)
            case _:
                assert_never(kind)
        acts = await self._database.read(
            lambda connection: audit.page(connection, limit=_LOOKED_AT, target=key)
        )
        done = [_act(entry) for entry in acts.entries if entry.action not in _NO_ACTS]
        return msgspec.structs.replace(told, because=[*told.because, *done[:_ACTS]])

    def _session(self, key: str) -> Explanation:
        pin, because = self._pins.row(key), self._router.why(key)
        if pin is None:
            if not because:
                raise SessionNotFound(
                    f"session {key!r} is not live and has no pin: nothing is known of it now"
                )
            return Explanation(kind="session", key=key, summary=f"{key}: {because[0].text}", because=because)
        told = why_model(pin)
        return msgspec.structs.replace(told, because=[*told.because, *because])


def _act(entry: AuditEntry) -> Because:
    """One entry of the audit, told."""
    reason = f", because: {entry.reason}" if entry.reason else ""
    return Because(
        rule="act",
        text=f"{entry.actor} did {entry.action}: {entry.outcome}{reason}",
        facts={"at": entry.at},
    )
