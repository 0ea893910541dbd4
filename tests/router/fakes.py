"""Scripted sessions and their factory: they record what happens to them, fail on demand, and wait at gates."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from core.router import Context


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
        self.dispose_error: Exception | None = None
        self.dispose_gate: asyncio.Event | None = None

    async def abort(self, reason: str) -> None:
        self.aborts.append(reason)
        self.log.append(f"abort {self.name}")
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
