"""What the router tells: the journal, and whoever asked to hear of evictions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Literal

from core.journal import Journal
from core.protocol import Noticed, SessionChanged, SessionGone, SessionRow
from core.router.farewells import Farewell, Farewells
from core.router.maintenance import Reservations
from core.router.session import Eviction, EvictionReason, Live, S
from core.router.slot import Slots

What = Literal[
    "created",
    "rebuilt",
    "merged",
    "turn_began",
    "turn_ended",
    "marked_dirty",
    "cleared_dirty",
    "maintenance_began",
    "maintenance_ended",
]


class Reports(Generic[S]):
    """Tells of every change of a session, each listener apart: one that raises harms nobody (decision 9)."""

    def __init__(
        self,
        journal: Journal,
        slots: Slots,
        reservations: Reservations[S],
        on_evict: Callable[[Eviction], None] | None,
        now: Callable[[], int],
    ) -> None:
        """`now` gives the wall milliseconds."""
        self._journal = journal
        self._slots = slots
        self._reservations = reservations
        self._on_evict = on_evict
        self._now = now
        self.farewells = Farewells()

    def row(self, live: Live[S]) -> SessionRow:
        """A session as a view shows it."""
        turn, reserved = self._slots.get(live.key), self._reservations.get(live.key)
        return live.row_with(
            None if turn is None else turn.run_id, None if reserved is None else reserved.purpose
        )

    def changed(self, live: Live[S], what: What) -> None:
        """A session is another than it was told last."""
        live.row = None
        self._journal.append(SessionChanged(what=what, session=self.row(live)))

    def evicted(self, snapshot: SessionRow, reason: EvictionReason) -> None:
        """A session has left the shelf, or was replaced there, and how it stood then."""
        key, generation = snapshot.session_key, snapshot.generation
        if reason != "dirty_recreate":  # a replacement is told as such: the key still has its session
            self._journal.append(SessionGone(session_key=key, generation=generation, reason=reason))
            self.farewells.note(Farewell(snapshot, reason, self._now()))
        if self._on_evict is None:
            return
        try:
            self._on_evict(Eviction(session_key=key, generation=generation, reason=reason, snapshot=snapshot))
        except Exception as error:
            self.failed("eviction_callback_failed", f"who listens to evictions raised for {key!r}: {error!r}")

    def failed(self, code: str, message: str) -> None:
        """Something went wrong that no caller can be told."""
        self._journal.append(Noticed(level="error", code=code, message=message))
