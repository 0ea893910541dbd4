"""Waking those who wait for a run: one future each, all set in one go."""

from __future__ import annotations

import asyncio


class Bell:
    """Wakes whoever waits, once for each ring."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Future[None], None] = {}

    def enlist(self) -> asyncio.Future[None]:
        """A future for one waiter, done at the next ring; leave it with `forget` however the waiting ends."""
        future = asyncio.get_running_loop().create_future()
        self._waiting[future] = None
        return future

    def forget(self, future: asyncio.Future[None]) -> None:
        """The waiter is gone, or was woken."""
        self._waiting.pop(future, None)

    def ring(self) -> None:
        """Wake all who wait now."""
        if self._waiting:
            waiting, self._waiting = self._waiting, {}
            for future in waiting:
                if not future.done():
                    future.set_result(None)
