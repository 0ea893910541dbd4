"""A run as the registry keeps it: the run, who waits for it, and what will happen to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from heapq import nsmallest
from operator import attrgetter

from core.clock import Timer, timestamp
from core.protocol import Follower, RunRow
from core.runs.bell import Bell
from core.runs.provider_id import ProviderId
from core.runs.run import Run, Used
from core.runs.subscription import Subscription
from core.runs.watchdog import Watchdog

_FOLLOWERS = 20
"""So many of a run's followers stand in its row: the slowest."""

_position = attrgetter("position")


class Entry:
    """One kept run. The registry alone holds and changes it."""

    __slots__ = (
        "_row",
        "_started_at",
        "bell",
        "control",
        "following",
        "meter",
        "provider_id",
        "recorded",
        "run",
        "stop",
        "timer",
        "told",
        "watchdog",
        "write",
    )

    def __init__(
        self,
        run: Run,
        *,
        stop: Callable[[str], None] | None,
        meter: Callable[[], Used] | None,
        recorded: bool,
        provider_id: ProviderId,
        watchdog: Watchdog,
    ) -> None:
        self.run = run
        self.stop = stop
        self.meter = meter
        """Asked what the run has used by now, until somebody says so; then None."""
        self.recorded = recorded
        self.provider_id = provider_id
        self.watchdog = watchdog
        self.bell = Bell()
        self.control = Bell()
        """Rung when an abort is wanted, and at the end."""
        self.timer: Timer | None = None
        """The deadline of an abort; after the end, the one of retention."""
        self.write: asyncio.Future[None] | None = None
        """The latest write of its start or end."""
        self.following: set[Subscription] = set()
        self.told: RunRow | None = None
        """The row as the journal heard it last."""
        self._row: RunRow | None = None
        self._started_at = timestamp(run.started_at)

    def set_timer(self, timer: Timer | None) -> None:
        """Replace what the run waits for."""
        if self.timer is not None:
            self.timer.cancel()
        self.timer = timer

    def changed(self) -> None:
        """The row no longer tells the truth."""
        self._row = None

    @property
    def used(self) -> Used:
        """What the run has used so far, as well as that is known."""
        return self.run.used if self.meter is None else self.meter()

    @property
    def row(self) -> RunRow:
        """The run as a view shows it; the same object until something changes."""
        if self._row is None:
            run, log, used = self.run, self.run.log, self.used
            self._row = RunRow(
                run_id=run.id,
                session_key=run.session_key,
                user_id=run.user_id,
                provider=run.provider,
                model=run.model,
                state=run.state,
                started_at=self._started_at,
                ended_at=None if run.ended_at is None else timestamp(run.ended_at),
                exit_code=run.exit_code,
                first_seq=log.first,
                last_seq=log.last,
                buffered_bytes=log.bytes,
                subscribers=len(self.following),
                input_tokens=used.input_tokens,
                output_tokens=used.output_tokens,
                micros=used.micros,
                estimated=used.estimated,
                tool=run.activity.tool,
                approval=run.activity.approval,
                buffer_percent=log.percent,
                followers=[
                    Follower(name=each.name, seq=each.position)
                    for each in nsmallest(_FOLLOWERS, self.following, key=_position)
                ],
            )
        return self._row
