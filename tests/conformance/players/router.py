"""Plays router cases: a router over scripted sessions, whose turns unwind at once when they are aborted."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from core.clock import ManualClock
from core.journal import Journal
from core.router import Eviction, SessionRouter
from core.settings import Settings
from tests.router.fakes import Scripted, ScriptedFactory


class RouterPlayer:
    """One router and what has happened to its sessions."""

    def __init__(self, settings: Settings, clock: ManualClock) -> None:
        self._evictions: list[Eviction] = []
        self._factory = ScriptedFactory(on_abort=self._unwind)
        journal = Journal(clock, "e", max_events=settings.journal.events, max_bytes=settings.journal.bytes)
        self._router: SessionRouter[Scripted] = SessionRouter(
            settings.router,
            abort_seconds=settings.runs.abort_seconds,
            clock=clock,
            journal=journal,
            factory=self._factory,
            on_evict=self._evictions.append,
        )
        self._sweep = asyncio.create_task(self._router.run())

    async def do(self, op: str, args: dict[str, Any]) -> dict[str, Any]:
        key, run_id, router = args.get("sessionKey", ""), args.get("runId"), self._router
        match op:
            case "getOrCreate":
                entry = await router.get_or_create(
                    key, project=args.get("projectKey"), channel=args.get("channelKey") or "", run_id=run_id
                )
                return {
                    "generation": entry.generation,
                    "projectKey": entry.project,
                    "channelKey": entry.channel,
                }
            case "beginTurn":
                stop = partial(self._unwind, key)
                began = router.begin_turn(key, run_id or "", project=args.get("projectKey"), stop=stop)
                return {"began": began}
            case "endTurn":
                router.end_turn(key, run_id, force=args.get("force", False))
                return {}
            case "abort":
                return {"aborted": await router.abort(key, args.get("reason", ""), run_id)}
            case "close":
                return {"status": await router.close(key)}
            case "markDirty":
                marked = router.mark_dirty(
                    session_key=args.get("sessionKey"),
                    project=args.get("projectKey"),
                    all=args.get("all", False),
                    reason=args.get("reason", ""),
                )
                return {"marked": marked}
            case "shutdown":
                await router.shutdown()
                return {}
            case _:
                return self._look(op, args)

    def _look(self, op: str, args: dict[str, Any]) -> dict[str, Any]:
        match op:
            case "count":
                return {"count": self._router.count()}
            case "hasActiveUserTurn":
                return {"active": self._router.has_active_user_turn(args.get("projectKey"))}
            case "list":
                page = self._router.list(args.get("projectKey"), args.get("limit"), args.get("cursor"))
                answer: dict[str, Any] = msgspec.to_builtins(page)
                return answer
            case "evictions":
                evictions = [
                    {"sessionKey": each.session_key, "reason": each.reason} for each in self._evictions
                ]
                self._evictions.clear()
                return {"evictions": evictions}
            case "factoryCalls":
                return {"create": self._factory.creates, "recreate": self._factory.recreates}
            case "failNext":
                self._factory.fail_next.add(args["what"])
                return {}
            case _:
                raise AssertionError(f"unknown operation {op!r}")

    async def aclose(self) -> None:
        self._sweep.cancel()
        await asyncio.gather(self._sweep, return_exceptions=True)
        await self._router.shutdown()

    def _unwind(self, session_key: str, _reason: str) -> None:
        run_id = self._router.turn_of(session_key)
        if run_id is not None:
            self._router.end_turn(session_key, run_id)


async def open_player(settings: Settings, clock: ManualClock, _folder: Path) -> RouterPlayer:
    """A router has nothing that outlives it, so it needs no folder."""
    return RouterPlayer(settings, clock)
