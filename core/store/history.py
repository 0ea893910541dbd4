"""The histories of sessions: append, page, replace, clear; and, inside a unit of work, a turn's conversation.

Times are those of the clock, numbers those of the database; nothing is remembered here, so nothing can differ from
what is stored (behaviours/history.md, decisions 1, 3 and 9).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypedDict, Unpack

from core.clock import Clock, parse_timestamp
from core.errors import InvalidArgument
from core.protocol import HistoryPage
from core.store import audit_records
from core.store.conversation import Reconciled, reconcile
from core.store.database import Database
from core.store.message import Prepared, check_key, clean_message, prepare
from core.store.message_records import append_all_in, append_in, clear_in, page_in, replace_in
from core.store.sessions import Stamp

__all__ = ["Details", "History", "Reconciled", "append_in", "clear_in", "page_in", "reconcile", "replace_in"]

_EARLIEST = parse_timestamp("1000-01-01T00:00:00Z")
_LATEST = parse_timestamp("9999-12-31T23:59:59.999Z")


class Details(TypedDict, total=False):
    """What `History.append` may be told beside role and content; `timestamp` is ms or as the wire writes it."""

    timestamp: int | str | None
    extra: Mapping[str, Any] | None
    run_id: str | None
    partial: bool
    owner: str | None
    project: str | None


class History:
    """The histories of sessions, on a database. Every write is durable when it is answered."""

    def __init__(self, database: Database, clock: Clock, epoch: str) -> None:
        self._database = database
        self._clock = clock
        self._epoch = epoch

    async def append(self, session_key: str, role: str, content: Any, **details: Unpack[Details]) -> int:
        """Append a message and answer its number; see `append_in`.

        Raises InvalidArgument for a bad key, role, time or content.
        """
        check_key(session_key)
        owner = details.get("owner")
        message = prepare(
            clean_message({**(details.get("extra") or {}), "role": role, "content": content}),
            at=_time(details.get("timestamp")),
            run_id=details.get("run_id"),
            partial=details.get("partial", False),
        )
        stamp = Stamp(
            now=self._clock.now(),
            epoch=self._epoch,
            actor=owner or audit_records.HOUSE,
            owner=owner,
            project=details.get("project"),
        )
        return await self._database.write(
            lambda connection: append_in(connection, session_key, message, stamp)
        )

    async def append_all(
        self,
        session_key: str,
        new: Iterable[Mapping[str, Any]],
        *,
        actor: str,
        owner: str | None = None,
        project: str | None = None,
    ) -> int:
        """Append messages as a history page shows them, all or none; answers the first one's number.

        Raises InvalidArgument for a bad key or message, SessionNotFound for somebody else's session.
        """
        check_key(session_key)
        prepared = [given(message, f"$.messages[{index}]") for index, message in enumerate(new)]
        stamp = Stamp(now=self._clock.now(), epoch=self._epoch, actor=actor, owner=owner, project=project)
        return await self._database.write(
            lambda connection: append_all_in(connection, session_key, prepared, stamp)
        )

    async def page(
        self, session_key: str, before: int | None = None, limit: int = 100, *, after: int | None = None
    ) -> HistoryPage:
        """See `page_in`."""
        return await self._database.read(
            lambda connection: page_in(connection, session_key, before, limit, after=after)
        )

    async def replace(
        self, session_key: str, new: Iterable[Mapping[str, Any]], *, actor: str = audit_records.HOUSE
    ) -> int:
        """Swap the history for these messages (role, content, and `timestamp` where known); see `replace_in`."""
        check_key(session_key)
        prepared = [given(message, f"$.messages[{index}]") for index, message in enumerate(new)]
        stamp = self._stamp(actor)
        return await self._database.write(
            lambda connection: replace_in(connection, session_key, prepared, stamp)
        )

    async def clear(self, session_key: str, *, actor: str = audit_records.HOUSE) -> int:
        """See `clear_in`."""
        check_key(session_key)
        stamp = self._stamp(actor)
        return await self._database.write(lambda connection: clear_in(connection, session_key, stamp))

    def _stamp(self, actor: str) -> Stamp:
        return Stamp(now=self._clock.now(), epoch=self._epoch, actor=actor)


def given(message: object, path: str) -> Prepared:
    """A message as a history page shows it; without the fields that only a page has it is as good.

    `path` is where it stands. Raises InvalidArgument with it.
    """
    cleaned = clean_message(message, path)
    cleaned.pop("seq", None)
    at = _time(cleaned.pop("timestamp", None), f"{path}.timestamp")
    run_id, partial, extra = (
        cleaned.pop("runId", None),
        cleaned.pop("partial", False),
        cleaned.pop("extra", None),
    )
    if not isinstance(extra, dict | None) or not isinstance(run_id, str | None):
        raise InvalidArgument(
            f"{path}: extra must be an object and runId a text, where they are given", path=path
        )
    return prepare({**(extra or {}), **cleaned}, at=at, run_id=run_id, partial=partial is True)


def _time(given: object, path: str = "$.timestamp") -> int | None:
    """A message's own time in ms; raises InvalidArgument when it is no time, or one that the wire cannot write."""
    if given is None:
        return None
    try:
        at = parse_timestamp(given) if isinstance(given, str) else given
    except (ValueError, OverflowError):
        at = None
    if type(at) is not int or not _EARLIEST <= at <= _LATEST:
        raise InvalidArgument(
            f"{path}: must be a time as in 2026-04-17T12:00:00Z; found {given!r:.60}", path=path
        )
    return at
