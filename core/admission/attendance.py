"""When each waiting user was last heard of (behaviours/admission.md, decision 19). No I/O. Times in ms."""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heappop, heappush

_GRAIN = 1000
"""Whoever is due within the same second (ms) is looked at together: a time for each would cost more than the person."""


class _Look:
    """Whom to look at from a certain time on."""

    __slots__ = ("users",)

    def __init__(self) -> None:
        self.users: list[str] = []


class _Presence:
    """What is known of one waiting user."""

    __slots__ = ("look", "noted", "seen")

    def __init__(self, now: int, noted: int) -> None:
        self.seen = now
        self.noted = noted
        """What the database knows."""
        self.look: _Look | None = None
        """The look that counts; of others nothing is to be done."""


class Attendance:
    """Who waits, and who has gone without a word.

    A poll touches one record and no order. Who is absent is found by looking at those alone whose time may have come:
    each is looked at again `abandon` after they were seen at the last look.
    """

    def __init__(self, abandon: int) -> None:
        """`abandon` is how long somebody may not be heard of; 0 for ever, and then nothing is remembered."""
        self._abandon = abandon
        self._present: dict[str, _Presence] = {}
        self._looks: dict[int, _Look] = {}
        self._times: list[int] = []
        """When to look, a heap."""
        self._polled: dict[str, int] = {}

    def arrive(self, user_id: str, now: int, noted: int) -> None:
        """Somebody queues, asks again, or is there at the start; `noted` is when the database heard of them."""
        if self._abandon:
            presence = self._present[user_id] = _Presence(now, noted)
            self._look_at(user_id, presence, now + self._abandon)
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
        due: list[tuple[int, str, _Presence]] = []
        while self._times and self._times[0] <= now:
            look = self._looks.pop(heappop(self._times))
            for user_id in look.users:
                presence = self._present.get(user_id)
                if presence is not None and presence.look is look:
                    presence.look = None  # the same look may name somebody twice
                    due.append((presence.seen + self._abandon, user_id, presence))
        for gone, user_id, presence in due:
            self._look_at(user_id, presence, gone)
        return [user_id for gone, user_id, _ in sorted(due, key=_when) if gone <= now]

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

    def _look_at(self, user_id: str, presence: _Presence, at: int) -> None:
        """Look at somebody then, or less than a second before."""
        at -= at % _GRAIN
        look = self._looks.get(at)
        if look is None:
            look = self._looks[at] = _Look()
            heappush(self._times, at)
        look.users.append(user_id)
        presence.look = look


def _when(due: tuple[int, str, _Presence]) -> tuple[int, str]:
    return due[0], due[1]
