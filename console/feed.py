"""From a core into the state: a view, then the journal, and a new view after a gap; for ever, whatever fails.

One `Feed` serves one core. When the core cannot be reached the last data stays, with its age, and the feed tries
again for ever, less and less often and never in step with others. A link that is back catches up from where it broke
off: a new view is only taken when the journal has moved past that place, or the core was started anew. Nothing that a
core does raises into the screen.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Literal, assert_never

from console.state import ConsoleState, add_rows, begin_view, end_view, recall, reduce
from core.clock import Clock, parse_timestamp
from core.errors import (
    CertificateNotBelieved,
    CoreUnreachable,
    MaitredError,
    StartRefused,
    Unauthorized,
)
from core.protocol import Core, ViewHead, ViewRows, ViewTail

log = logging.getLogger(__name__)

Connect = Callable[[], Awaitable[Core]]
Link = Literal["connecting", "loading", "live", "lost"]

WAIT_SECONDS = 2.0
"""How long one call waits for events; so old may the data of an idle core look."""

RECALLED = 300
"""How many events from before the view the journal begins with."""

LIMIT = 1_000
"""How many events one answer may bring; half as many after each failure, so that a line that cuts long answers off
lets shorter ones through."""
_LEAST = 10
_PATIENCE_SECONDS = 7.0
"""How much longer than asked an answer may take before the link counts as lost: less than ten seconds in all."""

_FIRST_RETRY_SECONDS, _LAST_RETRY_SECONDS = 0.5, 15.0


_DICE = random.SystemRandom()


class Feed:
    """Keeps a state up to date with one core; `run` it in a task, cancel that to stop.

    `on_change` is called whenever there is something new to draw, `on_fatal` when the core refused to start.
    `pace` is the least time between two readings in seconds: what comes faster comes together.
    """

    def __init__(
        self,
        connect: Connect,
        state: ConsoleState,
        clock: Clock,
        *,
        on_change: Callable[[], None],
        on_fatal: Callable[[StartRefused], None],
        pace: float = 0.1,
        jitter: Callable[[], float] = _DICE.random,
    ) -> None:
        self.core: Core | None = None
        self.link: Link = "connecting"
        self.trouble = ""
        self._connect = connect
        self._state = state
        self._clock = clock
        self._on_change = on_change
        self._on_fatal = on_fatal
        self._pace = pace
        self._jitter = jitter
        self._heard: float | None = None
        self._failures = 0
        """In a row."""
        self._continues = False
        """Whether the state's cursor is a place that the journal may be followed from."""
        self._core_now = clock.now()
        self._core_now_at = clock.monotonic()

    def now(self) -> int:
        """The core's time in milliseconds: its last word, and what has passed here since."""
        return self._core_now + round((self._clock.monotonic() - self._core_now_at) * 1000)

    def age_ms(self) -> int | None:
        """How old the data is: the time since the core last answered, or None when it never has."""
        return None if self._heard is None else round((self._clock.monotonic() - self._heard) * 1000)

    async def rest(self, seconds: float) -> None:
        """Wait, by the clock that everything here goes by."""
        await self._clock.sleep(seconds)

    async def run(self) -> None:
        """Follow the core until cancelled, or until it refused to start at all."""
        while True:
            try:
                if self.core is None:
                    self.core = await self._connect()
                if not self._continues:
                    await self._take_view()
                    self._continues = True
                await self._follow()
                self._continues = False
                await self._clock.sleep(self._pace)  # a gap: not faster than any other reading
            except StartRefused as error:
                if self.core is None:
                    self._on_fatal(error)
                    return
                await self._lost(error)
            except MaitredError as error:
                await self._lost(error)
            except TimeoutError:
                await self._lost(CoreUnreachable("the core did not answer in time"))
            except Exception as error:
                if self.core is None and not isinstance(error, OSError):
                    raise  # a core of our own cannot even be built: trying again would hide the defect
                log.exception("the feed failed")
                await self._lost(CoreUnreachable(f"{type(error).__name__}: {error}"))

    async def _lost(self, error: MaitredError) -> None:
        self._failures += 1
        self.link, self.trouble = "lost", error.message
        self._state.arriving = None
        self._on_change()
        if isinstance(error, Unauthorized | CertificateNotBelieved) and self.core is not None:
            # token or certificate may have been changed: connect again, which reads them again
            core, self.core = self.core, None
            with suppress(Exception):
                await core.aclose()
        longest = min(_LAST_RETRY_SECONDS, _FIRST_RETRY_SECONDS * 2 ** min(self._failures - 1, 10))
        await self._clock.sleep(longest * (0.5 + self._jitter() / 2))

    async def _take_view(self) -> None:
        assert self.core is not None
        if self.link != "live":
            self.link = "loading" if self._heard is None else self.link
        parts = self.core.view()
        while True:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                part = await anext(parts, None)
            match part:
                case ViewHead():
                    begin_view(self._state, part)
                    self._heard_from(part.now)
                case ViewRows():
                    add_rows(self._state, part.rows)
                case ViewTail():
                    first = self._state.head is None
                    end_view(self._state, part.cursor)
                    if first:
                        await self._recall(self.core, part.cursor)
                    self._well()
                    self._on_change()
                    return
                case None:
                    raise CoreUnreachable("the view broke off before its end")
                case _:
                    assert_never(part)
            self._on_change()

    async def _recall(self, core: Core, cursor: str) -> None:
        """What happened shortly before the console came, for its journal."""
        epoch, _, seq = cursor.rpartition(".")
        if not seq.isdecimal():
            return
        earlier = f"{epoch}.{max(0, int(seq) - RECALLED)}"
        async with asyncio.timeout(_PATIENCE_SECONDS):
            batch = await core.events(earlier, wait=0, limit=RECALLED)
        recall(self._state, [event for event in batch.events if event.seq <= int(seq)])

    async def _follow(self) -> None:
        """Until there is a gap."""
        assert self.core is not None
        while True:
            async with asyncio.timeout(WAIT_SECONDS + _PATIENCE_SECONDS):
                limit = max(_LEAST, LIMIT >> min(self._failures, 10))
                batch = await self.core.events(self._state.cursor, wait=WAIT_SECONDS, limit=limit)
            self._heard_from(batch.now)
            if batch.gap:
                return
            if self.link != "live":
                self._well()
                self._on_change()
            for event in batch.events:
                reduce(self._state, event)
            self._state.cursor = batch.cursor
            if batch.events:
                self._on_change()
                if len(batch.events) < limit:
                    await self._clock.sleep(self._pace)

    def _well(self) -> None:
        self.link, self.trouble, self._failures = "live", "", 0

    def _heard_from(self, now: str) -> None:
        self._heard = self._core_now_at = self._clock.monotonic()
        with suppress(ValueError):  # a core whose time cannot be read is still worth showing
            self._core_now = parse_timestamp(now)
