"""The living pins in memory, least recently used first, and their word in the journal."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Literal

import msgspec

from core.clock import timestamp
from core.journal import Journal
from core.protocol import PinChanged, PinGone, PinRow
from core.store.pin import Change, Pin, alive


class _Entry(msgspec.Struct, frozen=True):
    pin: Pin
    row: PinRow


class LivePins:
    """At most `most` pins, each alive for `idle_ms` after its last use; what changes here is journalled."""

    def __init__(self, journal: Journal, *, most: int, idle_ms: int, repeat_limit: int) -> None:
        self._journal = journal
        self._most = most
        self._idle_ms = idle_ms
        self._repeat_limit = repeat_limit
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    def load(self, pins: Iterable[Pin]) -> None:
        """Take what a start found, least recently used first; nothing of it is news."""
        for pin in pins:
            self._entries[pin.session_key] = _Entry(pin, self._row(pin))

    def get(self, session_key: str, now: int) -> Pin | None:
        """The session's pin; None when it has none or its idle time is over."""
        entry = self._entries.get(session_key)
        return entry.pin if entry is not None and alive(entry.pin, now, self._idle_ms) else None

    def row(self, session_key: str, now: int) -> PinRow | None:
        """The same as the view shows it."""
        return self._entries[session_key].row if self.get(session_key, now) is not None else None

    def rows(self, now: int) -> list[PinRow]:
        """All that live."""
        return [entry.row for entry in self._entries.values() if alive(entry.pin, now, self._idle_ms)]

    def put(self, pin: Pin, what: Change) -> list[Pin]:
        """The pin is now this one; answers the least recently used ones that had to make room."""
        before = self._entries.get(pin.session_key)
        row = self._row(pin)
        self._entries[pin.session_key] = _Entry(pin, row)
        if before is None or _used(before.pin) != _used(pin):
            self._entries.move_to_end(pin.session_key)
        if before is None or before.row != row:
            self._journal.append(PinChanged(what=what, pin=row))
        dropped = []
        while len(self._entries) > self._most:
            oldest = next(iter(self._entries.values())).pin
            self.remove(oldest.session_key, "dropped")
            dropped.append(oldest)
        return dropped

    def remove(self, session_key: str, what: Literal["expired", "cleared", "dropped"]) -> None:
        """The session has no pin any more; removing nothing does nothing."""
        if self._entries.pop(session_key, None) is not None:
            self._journal.append(PinGone(what=what, session_key=session_key))

    def expire(self, now: int) -> list[str]:
        """Remove the pins whose idle time is over; answers their sessions' keys. Costs what it removes."""
        expired = []
        while self._entries:
            oldest = next(iter(self._entries.values())).pin
            if alive(oldest, now, self._idle_ms):
                break
            self.remove(oldest.session_key, "expired")
            expired.append(oldest.session_key)
        return expired

    def _row(self, pin: Pin) -> PinRow:
        return PinRow(
            session_key=pin.session_key,
            model=pin.model,
            tier=pin.tier,
            explicit=pin.explicit,
            escalated=pin.escalated,
            strikes=pin.strikes,
            run=pin.run,
            repeat_limit=self._repeat_limit,
            request_count=pin.request_count,
            last_used_at=timestamp(pin.last_used_at),
        )


def _used(pin: Pin) -> tuple[int, int]:
    return pin.request_count, pin.last_used_at
