"""Which requests to agents are open, and for which run: what the reconciler holds against the runs.

An open request is a stream that was begun and neither ended nor was closed. That is read off the stream itself, so
nothing is paid while it flows, and one that is given back is gone from here by itself.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from itertools import count
from types import AsyncGeneratorType
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

Stream = AsyncGenerator[Any, None]
"""In truth Python's own generator, whose state can be looked at; any other counts as never open."""


class Call(NamedTuple):
    """One request to an agent. `number` tells it from others of its run."""

    number: int
    session_key: str
    run_id: str
    model: str


class Calls:
    """The open requests of a core."""

    def __init__(self) -> None:
        self._calls: WeakKeyDictionary[Stream, Call] = WeakKeyDictionary()
        self._numbers = count(1)

    def note(self, stream: Stream, session_key: str, run_id: str, model: str) -> None:
        """A stream is about to be followed."""
        self._calls[stream] = Call(next(self._numbers), session_key, run_id, model)

    def open(self) -> list[Call]:
        """Every request that has been neither ended nor closed, oldest first."""
        return sorted(call for stream, call in self._calls.items() if _is_open(stream))

    async def close(self, number: int) -> bool:
        """Close a request that nobody reads; False when somebody does, or it is gone."""
        for stream, call in list(self._calls.items()):
            if call.number == number and _is_open(stream) and not _is_read(stream):
                await stream.aclose()
                return True
        return False


def _is_open(stream: Stream) -> bool:
    return isinstance(stream, AsyncGeneratorType) and stream.ag_frame is not None


def _is_read(stream: Stream) -> bool:
    return isinstance(stream, AsyncGeneratorType) and stream.ag_running
