"""A session that is being worked on apart from any turn: compacted, transferred. Pure.

While it lasts the key serves no turn, nothing evicts the session, and nobody else works on it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic

from core.router.session import Entry, S


class Reservation(Generic[S]):
    """One key's, until it is released. `entry` is the session as it stood when it was reserved."""

    __slots__ = ("_released", "entry", "on_end", "purpose", "session_key")

    def __init__(
        self, session_key: str, purpose: str, entry: Entry[S], released: Callable[[Reservation[S]], None]
    ) -> None:
        self.session_key = session_key
        self.purpose = purpose
        self.entry = entry
        self.on_end: list[Callable[[], None]] = []
        """Called once when it is over."""
        self._released = released

    def release(self) -> None:
        """It is over; releasing twice does nothing, nor does releasing what a close has given up waiting for."""
        self._released(self)


class Reservations(Generic[S]):
    """Which keys are being worked on."""

    def __init__(self) -> None:
        self._by_key: dict[str, Reservation[S]] = {}

    def __contains__(self, session_key: str) -> bool:
        return session_key in self._by_key

    def get(self, session_key: str) -> Reservation[S] | None:
        """The key's reservation."""
        return self._by_key.get(session_key)

    def all(self) -> list[Reservation[S]]:
        """Every one there is."""
        return list(self._by_key.values())

    def take(self, reservation: Reservation[S]) -> None:
        """Reserve a key, which must be free."""
        self._by_key[reservation.session_key] = reservation

    def free(self, reservation: Reservation[S]) -> bool:
        """Give a key back; False when it was given back before."""
        if self._by_key.get(reservation.session_key) is not reservation:
            return False
        del self._by_key[reservation.session_key]
        for callback in reservation.on_end:
            callback()
        return True
