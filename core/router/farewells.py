"""Who has left lately, and why: for whoever asks after a session that is gone. Pure, bounded."""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from core.protocol import SessionRow
from core.router.session import EvictionReason

MOST = 10_000
"""So many are remembered; who left before them is forgotten."""


class Farewell(msgspec.Struct, frozen=True):
    """How a session stood when it left, and why it did. `at` is wall milliseconds."""

    session: SessionRow
    reason: EvictionReason
    at: int


class Farewells:
    """The last farewell of each of the last sessions that left."""

    def __init__(self) -> None:
        self._by_key: OrderedDict[str, Farewell] = OrderedDict()

    def note(self, farewell: Farewell) -> None:
        """Somebody has left."""
        key = farewell.session.session_key
        self._by_key[key] = farewell
        self._by_key.move_to_end(key)
        if len(self._by_key) > MOST:
            self._by_key.popitem(last=False)

    def of(self, session_key: str) -> Farewell | None:
        """The last one of a key."""
        return self._by_key.get(session_key)
