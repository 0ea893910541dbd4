"""Whose a stored session is, and so who may read it and write to it (behaviours/runs.md, decision 10)."""

from __future__ import annotations

from core.errors import SessionNotFound
from core.server.fields import text
from core.server.keys import is_of_another, own_keys
from core.server.routes import Call
from core.session_core import SessionCore
from core.store import sessions


class Owners:
    """Looks sessions up for those who ask for them."""

    def __init__(self, core: SessionCore) -> None:
        self._core = core

    async def check_reader(self, call: Call, session_key: str) -> None:
        """Raises SessionNotFound when a user asks for what is not theirs; who is no user may see it."""
        user = call.principal.user
        if user is not None and await self._owner(session_key) != user:
            raise unknown(session_key)

    async def writer(self, call: Call, session_key: str, user_id: str | None) -> str | None:
        """Whose a session is that the caller writes to: a user's token says it by itself, others by `user_id`.

        Raises SessionNotFound when it cannot be theirs, InvalidArgument for a bad `user_id`.
        """
        owner = call.principal.user
        if owner is not None and not session_key.startswith(own_keys(owner)):
            # whoever comes first owns a session: a user begins none under a key that somebody else may be waiting for
            await self.check_reader(call, session_key)
        owner = owner or text(user_id or "", "$.userId") or None
        if owner is not None and is_of_another(session_key, owner):
            raise unknown(session_key)
        return owner

    async def check_free(self, session_key: str, owner: str | None) -> None:
        """Raises SessionNotFound for a session that has another owner already."""
        held_by = await self._owner(session_key)
        if owner is not None and held_by is not None and held_by != owner:
            raise unknown(session_key)

    async def _owner(self, session_key: str) -> str | None:
        stored = await self._core.database.read(lambda connection: sessions.look(connection, session_key))
        return stored.owner if stored is not None else None


def unknown(session_key: str) -> SessionNotFound:
    """What everybody is told of what is not theirs."""
    return SessionNotFound(f"nothing is known of a session {session_key!r}")
