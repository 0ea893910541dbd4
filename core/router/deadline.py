"""Waiting for others, not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from core.clock import Clock


class Deadline:
    """A moment that lies so many seconds ahead; several waits may share it."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._due = clock.monotonic() + seconds

    async def wait(self, futures: Iterable[asyncio.Future[Any]]) -> bool:
        """Until all are done, however they end, or the moment has come; whether all are. Nothing is cancelled."""
        pending = [future for future in futures if not future.done()]
        if not pending:
            return True
        everything = asyncio.ensure_future(asyncio.wait(pending))
        expired = asyncio.get_running_loop().create_future()

        def expire() -> None:
            if not expired.done():
                expired.set_result(None)

        timer = self._clock.call_later(max(0.0, self._due - self._clock.monotonic()), expire)
        try:
            await asyncio.wait({everything, expired}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            everything.cancel()
        return all(future.done() for future in pending)
