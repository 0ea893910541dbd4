"""Plays the cases of admission on a waiting room over a real database."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any, cast

import msgspec

from core.admission import Access, WaitingRoom
from core.clock import ManualClock
from core.journal import Journal
from core.settings import Settings
from core.store.database import Database
from core.store.opening import backend_of

_ACTOR = "conformance"


class AdmissionPlayer:
    """A waiting room and its database; `restart` opens others on the same folder."""

    def __init__(self, settings: Settings, clock: ManualClock, folder: Path) -> None:
        self._settings = settings
        self._clock = clock
        self._folder = folder
        self._database: Database
        self._room: WaitingRoom

    async def open(self) -> None:
        """Open the database and the room, as the core does."""
        self._database = Database(backend_of(self._settings.storage.url, self._folder))
        journal = Journal(self._clock, uuid.uuid4().hex, max_events=10_000, max_bytes=1_000_000)
        self._room = await WaitingRoom.open(
            self._settings.admission,
            database=self._database,
            clock=self._clock,
            journal=journal,
            new_id=lambda: str(uuid.uuid4()),
        )

    async def aclose(self) -> None:
        """Close both."""
        await self._room.aclose()
        await self._database.aclose()

    async def do(self, op: str, args: dict[str, Any]) -> dict[str, Any]:
        """Call an operation by the name that the cases use."""
        answer = await self._call(op, args)
        return {} if answer is None else cast("dict[str, Any]", msgspec.to_builtins(answer))

    async def _call(self, op: str, args: dict[str, Any]) -> Any:
        match op:
            case "request" | "state" | "gate" | "end":
                return await self._seat_call(op, args)
            case "tick":
                return await self._room.tick()
            case "admitNow":
                return await self._room.admit_now(args["userId"])
            case "setHealth":
                self._room.set_health(args["model"], args["health"])
                return None
            case "seats":
                return {"count": self._room.seat_count()}
            case "admits":
                return {"admits": await self._room.admits_of(args["userId"])}
            case "restart":
                await self.aclose()
                await self.open()
                return None
            case _:
                return await self._operate(op, args)

    async def _seat_call(self, op: str, args: dict[str, Any]) -> Any:
        user_id = args["userId"]
        who: dict[str, Any] = {"access_tier": args.get("accessTier") or "full", "email": args.get("email")}
        match op:
            case "request":
                access = msgspec.convert(args.get("access"), Access | None)
                return await self._room.request(user_id, args.get("model") or "", access=access, **who)
            case "state":
                return self._room.state(user_id, instance_id=args.get("instanceId"), **who)
            case "gate":
                return self._room.gate(
                    user_id,
                    args.get("instanceId"),
                    model=args.get("model"),
                    require_active=args.get("requireActive", False),
                    **who,
                )
            case _:
                await self._room.end(user_id, email=args.get("email"))
                return {"status": "ended"}

    async def _operate(self, op: str, args: dict[str, Any]) -> None:
        match op:
            case "ban":
                await self._room.ban(args["userId"], actor=_ACTOR, reason=args.get("reason", ""))
            case "unban":
                await self._room.unban(args["userId"])
            case "pause":
                await self._room.pause(args.get("model"), actor=_ACTOR)
            case "resume":
                await self._room.resume(args.get("model"))
            case _:
                raise ValueError(f"admission has no operation {op!r}")


async def open_player(settings: Settings, clock: ManualClock, folder: Path) -> AdmissionPlayer:
    """Open the part on an empty folder."""
    player = AdmissionPlayer(settings, clock, folder)
    await player.open()
    return player
