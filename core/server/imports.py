"""``/v1/imports``: a whole history that is brought in, in parts, and shows all at once or not at all.

Whoever may append to a session may import one, and an operator, who may do more than that to it; a user's import is
that user's alone.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from core.errors import ImportNotFound, InvalidArgument, SessionBusy
from core.protocol import ImportBegun, ImportDropped, Imported, ImportStaged
from core.server.fields import Text
from core.server.owners import Owners
from core.server.routes import Call
from core.server.sessions import SAID
from core.session_core import SessionCore
from core.store.imports import Imports

_MOST_MESSAGES = 1000
_MOST_ANNOUNCED = 2**40

_Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$", min_length=64, max_length=64)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=_MOST_ANNOUNCED)]
_Place = Annotated[int, msgspec.Meta(ge=0, le=_MOST_ANNOUNCED)]
_Key = Annotated[str, msgspec.Meta(min_length=1, extra_json_schema={"pattern": r"^[^\u0000]*$"})]


class ImportBody(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What will come: for which session, how many messages, and the digest of them all.

    The digest is the SHA-256, in lower-case hexadecimal, of the messages as `maitred export` writes them, one a line,
    each line with its end. `userId` is whose the session becomes, where that is not known yet; a user's token says it
    by itself.
    """

    session_key: _Key
    digest: _Digest
    count: _Count
    user_id: Text | None = None


class PartBody(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Messages of an import, in order; `from` is the place of the first of them, from 0."""

    from_: _Place = msgspec.field(name="from")
    messages: Annotated[
        list[Annotated[Any, msgspec.Meta(extra_json_schema=SAID)]],
        msgspec.Meta(extra_json_schema={"maxItems": _MOST_MESSAGES}),
    ]


class ImportDoor:
    """The handlers of imports: begin, bring, complete, drop."""

    def __init__(self, core: SessionCore) -> None:
        self._router = core.router
        self._owners = Owners(core)
        self._imports = Imports(core.database, core.clock, core.journal.epoch, core.new_id)

    async def begin(self, call: Call) -> ImportBegun:
        """Begin an import, or go on with one that was begun with the same digest."""
        body: ImportBody = call.body
        owner = await self._owners.writer(call, body.session_key, body.user_id)
        await self._owners.check_free(body.session_key, owner)
        import_id, staged = await self._imports.begin(body.session_key, body.digest, body.count, owner=owner)
        return ImportBegun(import_id=import_id, session_key=body.session_key, staged=staged)

    async def stage(self, call: Call) -> ImportStaged:
        """Take messages; those that are there already are passed over."""
        body: PartBody = call.body
        import_id = await self._own(call)
        if len(body.messages) > _MOST_MESSAGES:
            raise InvalidArgument(
                f"$.messages: expected {_MOST_MESSAGES} of them at most, found {len(body.messages)}",
                path="$.messages",
            )
        staged = await self._imports.stage(import_id, body.from_, body.messages)
        return ImportStaged(import_id=import_id, staged=staged)

    async def complete(self, call: Call) -> Imported:
        """Put all the messages in the place of the session's history, in one step.

        A session that serves a turn is left alone; one that is live is rebuilt at its next use, with what was brought.
        """
        import_id = await self._own(call)
        session_key, owner = await self._imports.target(import_id)
        reserved = self._router.reserve(session_key, "import")
        if reserved == "busy":
            hold = self._router.hold_of(session_key)
            assert hold is not None
            raise SessionBusy(f"session {session_key!r} {hold.text}; complete the import when that is over")
        try:
            count = await self._imports.complete(import_id, actor=owner or call.principal.name)
            self._router.mark_dirty(session_key=session_key, reason="its history was imported")
        finally:
            if reserved != "gone":
                reserved.release()
        return Imported(import_id=import_id, session_key=session_key, messages=count)

    async def drop(self, call: Call) -> ImportDropped:
        """Throw away what has come; the session stays as it is."""
        import_id = await self._own(call)
        await self._imports.drop(import_id)
        return ImportDropped(import_id=import_id)

    async def _own(self, call: Call) -> str:
        """The import of the path; raises ImportNotFound for one that is not a user's own."""
        import_id, user = call.param("import_id"), call.principal.user
        if user is not None:
            _, owner = await self._imports.target(import_id)
            if owner != user:
                raise ImportNotFound(f"there is no import {import_id!r:.60}, or not any more; begin it again")
        return import_id
