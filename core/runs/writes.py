"""Writes that nobody waits for: kept until they are durable, told about when they fail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from core.errors import StorageFailed


class Writes:
    """The writes in flight. `tell` gets one line for each that failed."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._pending: set[asyncio.Future[None]] = set()

    def add(
        self,
        submit: Callable[[], asyncio.Future[None]],
        failure: str,
        *,
        then: Callable[[bool], None] | None = None,
    ) -> asyncio.Future[None]:
        """Submit a write and look after it; `then` is told whether it became durable.

        The future is for whoever wants to wait, by `asyncio.wait`: it must not be cancelled.
        """

        def done(future: asyncio.Future[None]) -> None:
            self._pending.discard(future)
            error = future.exception()
            if error is not None:
                self._tell(f"{failure}: {error}")
            if then is not None:
                then(error is None)

        try:
            future = submit()
        except StorageFailed as error:
            future = asyncio.get_running_loop().create_future()
            future.set_exception(error)
        self._pending.add(future)
        future.add_done_callback(done)
        return future

    async def settle(self) -> None:
        """Until nothing is in flight, also nothing that a failure has set off again."""
        while self._pending:
            await asyncio.wait(self._pending)
            await asyncio.sleep(0)  # the callbacks of what has just ended
