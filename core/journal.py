"""The journal: every decision of the core in order, bounded, with cursors that survive a reconnect.

A cursor is ``<epoch>.<seq>``: the epoch is new at every start, so a cursor of an earlier life is recognised.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from itertools import islice

import msgspec

from core.clock import Clock, timestamp
from core.errors import ShuttingDown
from core.metrics import DISTANCES, Histogram
from core.protocol import AnyEvent, EventBatch

_MOST_DIGITS = 18


class Journal:
    """A bounded, sequenced log of events; readers poll it with a cursor and wait for more."""

    def __init__(
        self,
        clock: Clock,
        epoch: str,
        *,
        max_events: int,
        max_bytes: int,
        listener: Callable[[AnyEvent], None] | None = None,
    ) -> None:
        """`listener` is told every event as it comes, and must not raise."""
        self._clock = clock
        self._epoch = epoch
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._events: deque[AnyEvent] = deque()
        self._sizes: deque[int] = deque()
        self._bytes = 0
        self._last = 0
        self._encoder = msgspec.json.Encoder()
        self._waiting: set[asyncio.Future[None]] = set()
        self._closed = False
        self._listener = listener
        self.lags = Histogram(DISTANCES)
        """How many events behind each reader was when it asked."""

    @property
    def epoch(self) -> str:
        """The name of this life of the core."""
        return self._epoch

    @property
    def cursor(self) -> str:
        """The cursor after the latest event."""
        return f"{self._epoch}.{self._last}"

    @property
    def last(self) -> int:
        """The number of the latest event."""
        return self._last

    @property
    def held(self) -> tuple[int, int]:
        """How many events are kept, and of how many bytes."""
        return len(self._events), self._bytes

    def append(self, event: AnyEvent) -> None:
        """Give the event its seq and time, keep it, and wake whoever waits. The journal owns it from here on."""
        self._last += 1
        msgspec.structs.force_setattr(event, "seq", self._last)
        msgspec.structs.force_setattr(event, "at", timestamp(self._clock.now()))
        size = len(self._encoder.encode(event))
        self._events.append(event)
        self._sizes.append(size)
        self._bytes += size
        while len(self._events) > self._max_events or (
            self._bytes > self._max_bytes and len(self._events) > 1
        ):
            self._events.popleft()
            self._bytes -= self._sizes.popleft()
        if self._listener is not None:
            self._listener(event)
        if self._waiting:
            self._wake()

    def close(self) -> None:
        """Nothing more will come: whoever waits for it is told, not kept waiting."""
        self._closed = True
        self._wake()

    async def read(self, after: str, *, wait: float, limit: int) -> EventBatch:
        """Events after the cursor; waits up to `wait` seconds for the first one.

        `gap` says that the cursor is of another epoch, not ours at all, or older than what is kept. Raises
        ShuttingDown to a reader that has seen everything of a closed journal.
        """
        seq = self._seq_of(after)
        if seq is not None:
            self.lags.note(self._last - seq)
        if seq is not None and seq == self._last and wait > 0 and not self._closed:
            await self._wait(wait)
        if self._closed and seq == self._last:
            raise ShuttingDown("maitred has left; its journal ends here")
        if seq is None or seq < self._last - len(self._events):
            return EventBatch(events=[], cursor=self.cursor, gap=True, now=timestamp(self._clock.now()))
        events = self._after(seq, limit)
        reached = events[-1].seq if events else seq
        return EventBatch(
            events=events, cursor=f"{self._epoch}.{reached}", gap=False, now=timestamp(self._clock.now())
        )

    def since(self, cursor: str) -> list[AnyEvent] | None:
        """Every event after a cursor; None when it is not ours, or older than what is kept."""
        seq = self._seq_of(cursor)
        if seq is None or seq < self._last - len(self._events):
            return None
        return self._after(seq, self._last - seq)

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, set()
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def _after(self, seq: int, limit: int) -> list[AnyEvent]:
        missing = self._last - seq
        if missing <= len(self._events) // 2:
            # a reader that keeps up stands near the end: walk from there, a deque has no cheap middle
            newest = list(islice(reversed(self._events), missing))
            newest.reverse()
            return newest[:limit]
        start = seq - (self._last - len(self._events))
        return list(islice(self._events, start, start + limit))

    def _seq_of(self, cursor: str) -> int | None:
        if not cursor:
            return self._last - len(self._events)
        epoch, _, seq = cursor.rpartition(".")
        if epoch != self._epoch or not (seq.isascii() and seq.isdecimal()) or len(seq) > _MOST_DIGITS:
            return None
        return int(seq) if int(seq) <= self._last else None

    async def _wait(self, seconds: float) -> None:
        """Until an event comes. The waiting is a socket's patience, so it is real time, never scaled."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            async with asyncio.timeout(seconds):
                await future
        except TimeoutError:
            pass
        finally:
            self._waiting.discard(future)
