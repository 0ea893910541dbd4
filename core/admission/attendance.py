"""When each waiting user was last heard of (behaviours/admission.md, decision 19). No I/O. Times in ms."""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heappop, heappush


class _Presence:
    """What is known of one waiting user."""

    __slots__ = ("check", "noted", "seen")

    def __init__(self, now: int, noted: int, check: int) -> None:
        self.seen = now
        self.noted = noted
        """What the database knows."""
        self.check = check
        """When to look whether the user has gone."""


class Attendance:
    """Who waits, and who has gone without a word.

    A poll touches one record and no order. Who is absent is found by looking at those alone whose time may have come:
    each is looked at again `abandon` after they were seen at the last look.
    """

    def __init__(self, abandon: int) -> None:
        """`abandon` is how long somebody may not be heard of; 0 for ever, and then nothing is remembered."""
        self._abandon = abandon
        self._present: dict[str, _Presence] = {}
        self._checks: list[tuple[int, str]] = []
        self._polled: dict[str, int] = {}

    def arrive(self, user_id: str, now: int, noted: int) -> None:
        """Somebody queues, asks again, or is there at the start; `noted` is when the database heard of them."""
        if self._abandon:
            presence = self._present[user_id] = _Presence(now, noted, now + self._abandon)
            heappush(self._checks, (presence.check, user_id))
            self._polled.pop(user_id, None)

    def poll(self, user_id: str, now: int) -> None:
        """Somebody who is queued was heard of, in memory only."""
        presence = self._present.get(user_id)
        if presence is None:
            return
        if now < presence.seen:
            # the clock was set back: they may be gone earlier than it was thought
            self._look_at(user_id, presence, now + self._abandon)
        presence.seen = now
        if now - presence.noted >= self._abandon / 4:
            self._polled[user_id] = now

    def learn(self, user_id: str, at: int) -> None:
        """The database knows that somebody was heard of then, by another process."""
        presence = self._present.get(user_id)
        if presence is not None:
            presence.seen = max(presence.seen, at)
            presence.noted = max(presence.noted, at)

    def leave(self, user_id: str) -> None:
        """Somebody waits no more."""
        self._present.pop(user_id, None)
        self._polled.pop(user_id, None)

    def absent(self, now: int) -> list[str]:
        """Those not heard of for `abandon` or longer, the longest first; told again until they leave."""
        missing: list[tuple[int, str]] = []
        while self._checks and self._checks[0][0] <= now:
            check, user_id = heappop(self._checks)
            presence = self._present.get(user_id)
            if presence is None or presence.check != check:
                continue
            gone = presence.seen + self._abandon
            if gone <= now:
                presence.check = -1  # the same check may be there twice
                missing.append((gone, user_id))
            else:
                self._look_at(user_id, presence, gone)
        for gone, user_id in missing:
            self._look_at(user_id, self._present[user_id], gone)
        return [user_id for _, user_id in sorted(missing)]

    def absent_at(self, user_id: str) -> int | None:
        """When somebody who waits counts as gone, unless they are heard of before; None for never."""
        presence = self._present.get(user_id)
        return None if presence is None else presence.seen + self._abandon

    def unwritten(self) -> dict[str, int]:
        """User → when they were heard of, for those whose note in the database is due: a quarter of `abandon` old."""
        return self._polled.copy()

    def written(self, seen: Mapping[str, int]) -> None:
        """The database knows now when these were heard of."""
        for user_id, at in seen.items():
            presence = self._present.get(user_id)
            if presence is not None:
                presence.noted = at
            polled = self._polled.get(user_id)
            if polled is not None and polled - at < self._abandon / 4:
                del self._polled[user_id]

    def _look_at(self, user_id: str, presence: _Presence, check: int) -> None:
        presence.check = check
        heappush(self._checks, (check, user_id))
