"""What the server remembers of every request, and who waits to read it."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Literal

import msgspec

Phase = Literal["waiting", "answering", "answered"]
"""Before the first byte of the answer, in the middle of it, after its last byte."""


class Seen(msgspec.Struct, kw_only=True):
    """One request, and how its answer went. Times are seconds of CLOCK_MONOTONIC, which processes share."""

    id: int
    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case; of a repeated one, the last."""
    body: Any
    """The JSON that was sent; None without a body, text when it was no JSON."""
    arrived_at: float
    phase: Phase = "waiting"
    status: int | None = None
    chunks: int = 0
    """Events of the stream that were written so far."""
    left_at: float | None = None
    """When the client's going was noticed; only for one that left before the answer was whole."""

    @property
    def model(self) -> str:
        """The model that was asked for, or an empty string."""
        return str(self.body.get("model", "")) if isinstance(self.body, dict) else ""


class Record:
    """The latest requests, oldest first. The server's thread writes, any thread reads and waits."""

    def __init__(self, keep: int = 10_000) -> None:
        self._seen: deque[Seen] = deque(maxlen=keep)
        self._ids = itertools.count(1)
        self._changed = threading.Condition()
        self._waiting = 0

    def begin(self, *, method: str, path: str, headers: dict[str, str], body: Any, at: float) -> Seen:
        """Note a request that has arrived whole."""
        seen = Seen(id=next(self._ids), method=method, path=path, headers=headers, body=body, arrived_at=at)
        self._seen.append(seen)
        self.changed()
        return seen

    def changed(self) -> None:
        """Wake whoever waits for something that has just been noted."""
        if self._waiting:
            with self._changed:
                self._changed.notify_all()

    def all(self) -> list[Seen]:
        """Every request that is kept, oldest first."""
        return list(self._seen)

    def clear(self) -> None:
        """Forget them all; ids go on counting."""
        self._seen.clear()

    def wait(self, holds: Callable[[list[Seen]], bool], seconds: float = 5.0) -> list[Seen]:
        """Block until the condition holds for the requests so far, and answer them; raises TimeoutError."""
        with self._changed:
            self._waiting += 1
            try:
                if not self._changed.wait_for(lambda: holds(self.all()), seconds):
                    raise TimeoutError(f"the upstream has seen {len(self._seen)} requests: {self.all()[-3:]}")
            finally:
                self._waiting -= 1
        return self.all()

    async def until(self, holds: Callable[[list[Seen]], bool], seconds: float = 5.0) -> list[Seen]:
        """`wait` for a coroutine."""
        return await asyncio.to_thread(self.wait, holds, seconds)
