"""Plays runs cases: a registry over the real database; the agents of the cases are elsewhere."""

from __future__ import annotations

import asyncio
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

from core.clock import ManualClock
from core.errors import RunNotFound
from core.journal import Journal
from core.runs import Lagged, RunRegistry, StoredRuns, Subscription, exit_code_of, position
from core.settings import Settings
from core.store.database import Database
from core.store.opening import backend_of
from core.store.prices import PriceList


class Follower:
    """A subscriber that keeps the numbers it got."""

    def __init__(self, subscription: Subscription) -> None:
        self.seqs: list[int] = []
        self._subscription = subscription
        self._task = asyncio.create_task(self._follow())

    async def leave(self) -> None:
        self._subscription.close()
        await self._task

    async def caught_up(self) -> None:
        """Until everything published has been delivered."""
        while self._subscription.position < self._subscription.run.log.last and not self._task.done():
            await asyncio.sleep(0)

    async def _follow(self) -> None:
        try:
            while events := await self._subscription.next():
                self.seqs += [event.seq for event in events]
        except Lagged:
            return  # dropped, with what it got until then


class RunsPlayer:
    """One registry after another on the same database file."""

    def __init__(self, settings: Settings, clock: ManualClock, folder: Path) -> None:
        self._settings = settings
        self._clock = clock
        self._folder = folder
        self._lives = count(1)
        self._ids = count(1)

    async def open(self) -> None:
        epoch = f"e{next(self._lives)}"
        journal = self._settings.journal
        self._database = Database(backend_of(self._settings.storage.url, self._folder))
        self._records = StoredRuns(self._database, epoch=epoch, clock=self._clock, prices=PriceList([]))
        self._registry = RunRegistry(
            self._settings.runs,
            clock=self._clock,
            journal=Journal(self._clock, epoch, max_events=journal.events, max_bytes=journal.bytes),
            records=self._records,
            new_id=lambda: f"run-{next(self._ids)}",
        )
        self._followers: dict[str, Follower] = {}
        await self._registry.open()

    async def aclose(self) -> None:
        await self._registry.aclose()
        for follower in self._followers.values():
            await follower.leave()
        await self._database.aclose()

    async def do(self, op: str, args: dict[str, Any]) -> dict[str, Any]:
        run_id, registry = args.get("runId", ""), self._registry
        match op:
            case "start":
                run = registry.start(args.get("sessionKey", ""), args.get("provider", ""))
                return {"runId": run.id, "sessionKey": run.session_key}
            case "publish":
                answer = registry.publish(run_id, args["event"], args.get("producerSeq"))
                return _wire(answer)
            case "publishMany":
                event = {"kind": "text", "content": "x" * args.get("size", 1)}
                last: dict[str, Any] = {}
                for _ in range(args["count"]):
                    last = _wire(registry.publish(run_id, event))
                    await asyncio.sleep(0)  # each is a call of its own, so subscribers come in between
                return last
            case "complete":
                exit_code = exit_code_of(args.get("exitCode"))
                completed = registry.complete(
                    run_id, exit_code=exit_code, aborted=args.get("aborted") is True
                )
                return {"completed": completed}
            case "abort":
                registry.abort(run_id, args.get("reason", ""))
                return {}
            case "restart":
                await self.aclose()
                await self.open()
                return {}
            case _:
                return await self._look(op, args)

    async def _look(self, op: str, args: dict[str, Any]) -> dict[str, Any]:
        run_id, registry = args.get("runId", ""), self._registry
        match op:
            case "replay":
                return _wire(registry.replay(run_id, position(args.get("after"))))
            case "get":
                run = registry.get(run_id)
                if run is None:
                    return {"found": False}
                return {"found": True, "stalled": run.stalled, **_wire(registry.row(run))}
            case "running":
                return {"runs": [_wire(registry.row(run)) for run in registry.running()]}
            case "providerId":
                await registry.settle()
                return {"providerSessionId": await registry.provider_id(args.get("sessionKey", ""))}
            case "runRecord":
                await registry.settle()
                status = await self._records.status(run_id)
                if status is None:
                    raise RunNotFound(f"run {run_id!r} was never recorded")
                return {"status": status}
            case "subscribe":
                return self._subscribe(args)
            case "received":
                follower = self._followers[args["name"]]
                await follower.caught_up()
                return {"seqs": list(follower.seqs)}
            case _:
                raise AssertionError(f"unknown operation {op!r}")

    def _subscribe(self, args: dict[str, Any]) -> dict[str, Any]:
        name, after = args["name"], position(args.get("after"))
        if "runId" in args:
            subscription = self._registry.subscribe(args["runId"], after, name=name)
        else:
            subscription = self._registry.subscribe_session(
                args["sessionKey"], args.get("lastRunId"), after, name=name
            )
        self._followers[name] = Follower(subscription)
        return {
            "runId": subscription.run.id,
            "sessionKey": subscription.run.session_key,
            "truncated": subscription.truncated,
            "firstSeq": subscription.first_seq,
            "lastSeq": subscription.last_seq,
        }


def _wire(answer: object) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(answer))
    return decoded


async def open_player(settings: Settings, clock: ManualClock, folder: Path) -> RunsPlayer:
    """A registry on the folder's database."""
    player = RunsPlayer(settings, clock, folder)
    await player.open()
    return player
