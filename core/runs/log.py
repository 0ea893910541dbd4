"""The log of a run: a bounded ring of events, numbered from 1. Pure.

An event is kept as the JSON object that was published, without the fields that every frame carries; the frame is
put together when it is delivered. Both bounds count what a reader would get: events, and bytes of encoded frames.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class RunEvent(msgspec.Struct, frozen=True, gc=False):
    """One event of a run: its number, and its JSON object as published.

    `start` and `stop` bound an upstream chunk's raw JSON inside the payload; 0, 0 when there is none.
    """

    seq: int
    payload: bytes
    start: int = 0
    stop: int = 0

    @property
    def raw(self) -> bytes:
        """The upstream's chunk as it came, or nothing."""
        return self.payload[self.start : self.stop]


_NOTHING = RunEvent(seq=0, payload=b"")


class RunLog:
    """At most `max_events` events and `max_bytes` of frames; the oldest go first, the numbers keep growing.

    Appending is O(1), reading is O(answer). `head` is what every frame of the run begins with, up to the number.
    """

    __slots__ = ("_head", "_latest", "_max_bytes", "_max_events", "_slots", "bytes", "first", "last")

    def __init__(self, head: bytes, *, max_events: int, max_bytes: int) -> None:
        self._head = head
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._slots: list[RunEvent] = []
        self._latest: RunEvent | None = None
        self.first = 1
        """The oldest number kept, or `last` + 1 when nothing is."""
        self.last = 0
        """The newest number given."""
        self.bytes = 0
        """What the frames of the kept events are long together."""

    def extend(self, events: Iterable[tuple[bytes, int, int]]) -> None:
        """Append events, each (payload, start, stop) with the payload a JSON object that is not empty."""
        slots, room, head = self._slots, self._max_events, len(self._head)
        for payload, start, stop in events:
            seq = self.last = self.last + 1
            event = RunEvent(seq, payload, start, stop)
            index = (seq - 1) % room
            if index < len(slots):
                if seq - self.first >= room:
                    self.drop_oldest()
                slots[index] = event
            else:
                slots.append(event)
            self._latest = event
            self.bytes += head + len(b"%d" % seq) + len(payload)
            while self.bytes > self._max_bytes:
                self.drop_oldest()

    def drop_oldest(self) -> None:
        """Let the oldest event go; there must be one."""
        index = (self.first - 1) % self._max_events
        event = self._slots[index]
        self._slots[index] = _NOTHING
        self.bytes -= len(self._head) + len(b"%d" % event.seq) + len(event.payload)
        self.first += 1

    def release(self) -> None:
        """Give back the memory of a log that has been emptied and will not grow any more."""
        if self.first > self.last:
            self._slots = []

    def after(self, seq: int) -> list[RunEvent]:
        """The kept events with a number above `seq`, in order."""
        start = max(seq + 1, self.first)
        count = self.last - start + 1
        if count <= 0:
            return []
        room = self._max_events
        index = (start - 1) % room
        answer = self._slots[index : index + count]
        if index + count > room:
            answer += self._slots[: index + count - room]
        return answer

    def follow(self, seq: int) -> list[RunEvent] | None:
        """What a reader at `seq` gets next; None when something it needs has left the log.

        The newest event reaches whoever has all before it, even one that is too large to be kept.
        """
        if seq + 1 >= self.first:
            return self.after(seq)
        if self._latest is not None and seq + 1 == self.last:
            return [self._latest]
        return None

    def frame(self, event: RunEvent) -> bytes:
        """The event as a reader gets it: the fields of every frame, then its own."""
        return b"%b%d,%b" % (self._head, event.seq, event.payload[1:])
