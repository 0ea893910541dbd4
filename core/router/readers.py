"""How the router's sessions and turns are looked at; nothing here changes or sweeps them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, NamedTuple

from core.errors import InvalidArgument
from core.protocol import SessionRow
from core.router.reports import Reports
from core.router.session import S, SessionPage
from core.router.shelf import Shelf
from core.router.slot import Slots


class Figures(NamedTuple):
    """How many sessions are cached, how many turns are in a slot, and how many ever were."""

    sessions: int
    turns: int
    turns_begun: int


class RouterReaders(Generic[S]):
    """The part of the router that only looks."""

    def __init__(self, shelf: Shelf[S], slots: Slots, reports: Reports[S]) -> None:
        self._shelf = shelf
        self._slots = slots
        self._reports = reports

    def list(
        self, project: str | None = None, limit: int | None = None, cursor: str | None = None
    ) -> SessionPage:
        """Sessions in created order, of one project if it is given; see `SessionPage`.

        Raises InvalidArgument for a limit below 1 or a cursor that no list gave.
        """
        if limit is not None and limit < 1:
            raise InvalidArgument("limit must be at least 1", path="$.limit")
        page = self._shelf.page(project or None, _order_of(cursor), None if limit is None else limit + 1)
        more = limit is not None and len(page) > limit
        page = page[:limit]
        return SessionPage(
            sessions=[live.listed() for live in page], next_cursor=str(page[-1].order) if more else None
        )

    def has_active_user_turn(self, project: str | None) -> bool:
        """Whether a user's turn is in flight in the project (None: in none)."""
        return self._slots.has_user(project or None)

    def figures(self) -> Figures:
        """How much there is; without a sweep."""
        return Figures(sessions=len(self._shelf), turns=len(self._slots), turns_begun=self._slots.begun)

    def turn_of(self, session_key: str) -> str | None:
        """The run id of the turn in the key's slot."""
        turn = self._slots.get(session_key)
        return None if turn is None else turn.run_id

    def turns(self) -> Iterator[tuple[str, str]]:
        """The session key and run id of every turn in a slot; to be read in one step."""
        return ((turn.session_key, turn.run_id) for turn in self._slots.all())

    def rows(self) -> Iterator[SessionRow]:
        """Every cached session as a view shows it, in created order; to be read in one step."""
        return (self._reports.row(live) for live in self._shelf.all())

    def row(self, session_key: str) -> SessionRow | None:
        """One cached session as a view shows it."""
        live = self._shelf.get(session_key)
        return None if live is None else self._reports.row(live)


def _order_of(cursor: str | None) -> int:
    if not cursor:
        return 0
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) <= 19):
        raise InvalidArgument("the cursor is none that a list gave; begin without one", path="$.cursor")
    return int(cursor)
