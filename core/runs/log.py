"""The log of a run: a bounded ring of events, numbered from 1. Pure.

An event is kept as the JSON object that was published, without the fields that every frame carries; the frame is
put together when it is delivered. Both bounds count what a reader would get: events, and bytes of encoded frames.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from itertools import accumulate, pairwise

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


_BLOCK_EVENTS, _BLOCK_BYTES = 512, 131_072
"""When a block is closed. What is dropped out of its middle stays in memory until all of it is, so both are small."""
_SHARED = 64
"""So many events at most are kept put together for the next reader, which mostly wants the same."""


class _Block:
    """Some events in a row. Those of a closed one are one piece, so that a full house holds few objects.

    They take less memory so, and the collector, which stops everybody, has nothing to look through.
    """

    __slots__ = ("_data", "_ends", "bytes", "first", "payloads", "starts", "stops")

    def __init__(self, first: int, payloads: list[bytes]) -> None:
        self.first = first
        self.payloads = payloads
        """Those of an open block; a closed one has none here."""
        self.starts: array[int] | None = array("I")
        self.stops: array[int] | None = array("I")
        self.bytes = 0
        self._data = b""
        self._ends: array[int] | None = None

    @property
    def count(self) -> int:
        """How many events there are."""
        return len(self.payloads) if self._ends is None else len(self._ends)

    def size(self, place: int) -> int:
        """How long the payload at a place is."""
        ends = self._ends
        if ends is None:
            return len(self.payloads[place])
        return ends[place] - (ends[place - 1] if place else 0)

    def add(self, start: int, stop: int, size: int) -> None:
        """Note a payload's bounds and size; the block is open."""
        assert self.starts is not None
        assert self.stops is not None
        self.starts.append(start)
        self.stops.append(stop)
        self.bytes += size

    def close(self) -> None:
        """Nothing is added any more. Where no payload has an upstream's chunk in it, no bounds are kept."""
        self._data = b"".join(self.payloads)
        self._ends = array("I", accumulate(map(len, self.payloads)))
        self.payloads = []
        if self.stops is not None and not any(self.stops):
            self.starts = self.stops = None

    def events(self, start: int, stop: int) -> list[RunEvent]:
        """Those with numbers from `start` to before `stop`, as far as they are here."""
        first = self.first
        low, high = max(0, start - first), stop - first
        events = zip(range(first + low, stop), self._between(low, high), strict=False)
        if self.starts is None or self.stops is None:
            return [RunEvent(seq, payload) for seq, payload in events]
        bounds = zip(self.starts[low:high], self.stops[low:high], strict=True)
        return [
            RunEvent(seq, payload, begin, end)
            for (seq, payload), (begin, end) in zip(events, bounds, strict=True)
        ]

    def _between(self, low: int, high: int) -> list[bytes]:
        """The payloads from one place to before another."""
        if self._ends is None:
            return self.payloads[low:high]
        data, ends = self._data, self._ends[low:high]
        begin = self._ends[low - 1] if low else 0
        return [data[start:end] for start, end in pairwise((begin, *ends))]


def _first_of(block: _Block) -> int:
    return block.first


class RunLog:
    """At most `max_events` events and `max_bytes` of frames; the oldest go first, the numbers keep growing.

    Appending is O(1), reading is O(answer) beside a bisection. `head` is what every frame of the run begins with, up to
    the number.
    """

    __slots__ = (
        "_blocks",
        "_digits",
        "_head",
        "_last_one",
        "_max_bytes",
        "_max_events",
        "_open",
        "_shared",
        "_wider",
        "bytes",
        "first",
        "last",
    )

    def __init__(self, head: bytes, *, max_events: int, max_bytes: int) -> None:
        self._head = head
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._blocks: list[_Block] = []
        self._open: list[bytes] = []
        """The payloads of the last block, to which more are added."""
        self._last_one: tuple[bytes, int, int] | None = None
        """The newest event, kept or not."""
        self._shared: tuple[int, int, list[RunEvent]] = (0, 0, [])
        """What was read last: from which number, to which, and it."""
        self._digits, self._wider = 1, 10
        """How long a number is now, and from which one on it is longer."""
        self.first = 1
        """The oldest number kept, or `last` + 1 when nothing is."""
        self.last = 0
        """The newest number given."""
        self.bytes = 0
        """What the frames of the kept events are long together."""

    def extend(self, events: Iterable[tuple[bytes, int, int]]) -> None:
        """Append events, each (payload, start, stop) with the payload a JSON object that is not empty."""
        blocks, head = self._blocks, len(self._head)
        block = blocks[-1] if blocks else None
        for event in events:
            payload, start, stop = self._last_one = event
            seq = self.last = self.last + 1
            if seq == self._wider:
                self._digits, self._wider = self._digits + 1, self._wider * 10
            if block is None or len(self._open) == _BLOCK_EVENTS or block.bytes >= _BLOCK_BYTES:
                if block is not None:
                    block.close()
                self._open = []
                block = _Block(seq, self._open)
                blocks.append(block)
            self._open.append(payload)
            block.add(start, stop, len(payload))
            self.bytes += head + self._digits + len(payload)
            while seq - self.first >= self._max_events or self.bytes > self._max_bytes:
                self.drop_oldest()
            if not blocks:
                block = None

    @property
    def percent(self) -> int:
        """How full it is, by the bound that is nearer, in whole per cent."""
        kept = self.last - self.first + 1
        return max(100 * kept // self._max_events, 100 * self.bytes // self._max_bytes)

    def drop_oldest(self) -> None:
        """Let the oldest event go; there must be one."""
        block = self._blocks[0]
        place = self.first - block.first
        self.bytes -= len(self._head) + len(b"%d" % self.first) + block.size(place)
        self.first += 1
        if place == block.count - 1:
            del self._blocks[0]

    def release(self) -> None:
        """Give back the memory of a log that has been emptied and will not grow any more."""
        if self.first > self.last:
            self._blocks, self._open = [], []
            self._shared = (0, 0, [])

    def after(self, seq: int, most: int | None = None) -> list[RunEvent]:
        """The kept events with a number above `seq`, in order, the first `most` of them.

        Others may get the same list, so nobody changes it.
        """
        start, stop = max(seq + 1, self.first), self.last + 1
        if most is not None:
            stop = min(stop, start + most)
        if start >= stop:
            return []
        shared_from, shared_to, shared = self._shared
        if start == shared_from and stop == shared_to:
            return shared
        answer: list[RunEvent] = []
        low = bisect_right(self._blocks, start, key=_first_of) - 1
        high = bisect_left(self._blocks, stop, key=_first_of)
        for block in self._blocks[low:high]:
            answer += block.events(start, stop)
        if len(answer) <= _SHARED:
            self._shared = (start, stop, answer)
        return answer

    def follow(self, seq: int, most: int | None = None) -> list[RunEvent] | None:
        """What a reader at `seq` gets next, the first `most`; None when something it needs has left the log.

        The newest event reaches whoever has all before it, even one that is too large to be kept.
        """
        if seq + 1 >= self.first:
            return self.after(seq, most)
        if self._last_one is not None and seq + 1 == self.last:
            return [RunEvent(self.last, *self._last_one)]
        return None

    def frame(self, event: RunEvent) -> bytes:
        """The event as a reader gets it: the fields of every frame, then its own."""
        return b"%b%d,%b" % (self._head, event.seq, event.payload[1:])
