"""Scripted sessions and their factory: they record what happens to them, fail on demand, and wait at gates."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from core.clock import ManualClock
from core.journal import Journal
from core.protocol import AnyEvent, Noticed, SessionChanged, SessionGone
from core.router import Context, Eviction, SessionRouter
from core.settings import Router


class Scripted:
    """A live session. `on_abort` is what its abort does beside being noted."""

    def __init__(self, name: str, log: list[str], on_abort: Callable[[str], None] | None = None) -> None:
        self.name = name
        self.log = log
        self.on_abort = on_abort
        self.aborts: list[str] = []
        self.disposed = 0
        self.text: str | None = None
        self.abort_error: Exception | None = None
        self.abort_gate: asyncio.Event | None = None
        self.dispose_error: Exception | None = None
        self.dispose_gate: asyncio.Event | None = None

    async def abort(self, reason: str) -> None:
        self.aborts.append(reason)
        self.log.append(f"abort {self.name}")
        if self.abort_gate is not None:
            await self.abort_gate.wait()
        if self.abort_error is not None:
            raise self.abort_error
        if self.on_abort is not None:
            self.on_abort(reason)

    async def dispose(self) -> None:
        if self.dispose_gate is not None:
            await self.dispose_gate.wait()
        self.disposed += 1
        self.log.append(f"dispose {self.name}")
        if self.dispose_error is not None:
            raise self.dispose_error

    def summary(self) -> str:
        if self.text is None:
            raise RuntimeError("nothing to sum up")
        return self.text


class ScriptedFactory:
    """Builds `Scripted` sessions, named by key and count. A `gate` holds every build until it is set."""

    def __init__(self, on_abort: Callable[[str, str], None] | None = None) -> None:
        self.on_abort = on_abort
        self.log: list[str] = []
        self.built: list[Scripted] = []
        self.contexts: list[Context] = []
        self.previous: list[Scripted] = []
        self.creates = 0
        self.recreates = 0
        self.fail_next: set[str] = set()
        self.gate: asyncio.Event | None = None

    async def create(self, context: Context) -> Scripted:
        self.creates += 1
        return await self._build("create", context)

    async def recreate(self, context: Context, previous: Scripted) -> Scripted:
        self.recreates += 1
        self.previous.append(previous)
        return await self._build("recreate", context)

    async def _build(self, what: str, context: Context) -> Scripted:
        self.contexts.append(context)
        if self.gate is not None:
            await self.gate.wait()
        else:
            await asyncio.sleep(0)
        if what in self.fail_next:
            self.fail_next.discard(what)
            raise RuntimeError(f"scripted to fail at {what}")
        key, on_abort = context.session_key, self.on_abort
        session = Scripted(
            f"{key}#{len(self.built) + 1}",
            self.log,
            None if on_abort is None else lambda reason: on_abort(key, reason),
        )
        self.built.append(session)
        return session


class House:
    """A router over scripted sessions, with a clock that tests move and everything that was told."""

    def __init__(
        self, *, unwind: bool = False, abort_seconds: float = 10, idle_seconds: float = 1800, **settings: Any
    ) -> None:
        self.clock = ManualClock()
        self.journal = Journal(self.clock, "e", max_events=100_000, max_bytes=1 << 30)
        self.evictions: list[Eviction] = []
        self.factory = ScriptedFactory(on_abort=self._unwind if unwind else None)
        self.router: SessionRouter[Scripted] = SessionRouter(
            Router(idle_seconds=idle_seconds, sweep_seconds=0, **settings),
            abort_seconds=abort_seconds,
            clock=self.clock,
            journal=self.journal,
            factory=self.factory,
            on_evict=self._evicted,
        )

    def gone(self) -> list[tuple[str, str]]:
        """Who was evicted and why, since the last call."""
        gone: list[tuple[str, str]] = [(each.session_key, each.reason) for each in self.evictions]
        self.evictions.clear()
        return gone

    async def told(self) -> list[AnyEvent]:
        """Every event of the journal."""
        return (await self.journal.read("", wait=0, limit=100_000)).events

    async def changes(self) -> list[str]:
        """What the journal says of sessions, in order."""
        said: list[str] = []
        for event in await self.told():
            if isinstance(event, SessionChanged):
                said.append(f"{event.what} {event.session.session_key}#{event.session.generation}")
            elif isinstance(event, SessionGone):
                said.append(f"{event.reason} {event.session_key}#{event.generation}")
        return said

    async def notices(self) -> list[str]:
        """The codes of what went wrong."""
        return [event.code for event in await self.told() if isinstance(event, Noticed)]

    def _evicted(self, eviction: Eviction) -> None:
        self.evictions.append(eviction)
        self.factory.log.append(f"evicted {eviction.session_key}")

    def _unwind(self, session_key: str, _reason: str) -> None:
        run_id = self.router.turn_of(session_key)
        if run_id is not None:
            self.router.end_turn(session_key, run_id)


async def settle() -> None:
    """Let everything that is ready run."""
    for _ in range(20):
        await asyncio.sleep(0)
