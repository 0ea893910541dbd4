"""Plays the pins cases: pins and costs over one database, as the core puts them together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.clock import ManualClock
from core.errors import InvalidArgument
from core.journal import Journal
from core.protocol import CostScope
from core.settings import Settings
from core.store.costs import Costs
from core.store.database import Database
from core.store.fingerprint import derive_key, fingerprint
from core.store.opening import backend_of
from core.store.pin import Pin
from core.store.pins import Pins
from core.store.prices import PriceList, Usage

_SCOPES: dict[str, CostScope] = {
    "sessionKey": "session",
    "userId": "user",
    "projectKey": "project",
    "model": "model",
}


class PinsPlayer:
    """Pins and costs, opened on a folder."""

    def __init__(self, settings: Settings, clock: ManualClock, folder: Path) -> None:
        self._settings = settings
        self._clock = clock
        self._folder = folder

    async def open(self) -> None:
        settings, clock = self._settings, self._clock
        models = settings.admission.models
        self._database = Database(backend_of(self._settings.storage.url, self._folder))
        journal = Journal(
            clock, "epoch", max_events=settings.journal.events, max_bytes=settings.journal.bytes
        )
        self._pins = await Pins.open(
            settings.pins, models, database=self._database, clock=clock, journal=journal
        )
        self._costs = await Costs.open(
            PriceList(models), database=self._database, clock=clock, journal=journal
        )

    async def aclose(self) -> None:
        await self._database.aclose()

    async def do(self, op: str, args: dict[str, Any]) -> dict[str, Any]:
        match op:
            case "fingerprint":
                return {"hash": fingerprint(args["content"], args.get("tools") or ())}
            case "deriveKey":
                return {"key": derive_key(args["firstUserMessage"], args.get("scope"))}
            case "addCost" | "addUsage" | "cost":
                return await self._cost(op, args)
            case "restart":
                await self.aclose()
                await self.open()
                return {}
            case _:
                return await self._pin(op, args)

    async def _pin(self, op: str, args: dict[str, Any]) -> dict[str, Any]:
        pins, key = self._pins, args["sessionKey"]
        match op:
            case "pin":
                explicit = bool(args.get("explicit"))
                return _shown(await pins.pin(key, args["model"], tier=args.get("tier"), explicit=explicit))
            case "get":
                return _shown(pins.get(key))
            case "touch":
                return _shown(await pins.touch(key))
            case "record":
                recorded = await pins.record(key, fingerprint(args["content"], args.get("tools") or ()))
                return {"strikes": recorded.strikes, "run": recorded.run, "escalate": recorded.escalate}
            case "escalate":
                escalated = await pins.escalate(key, self._may_use)
                return {"changed": escalated.changed, "tier": escalated.tier, "model": escalated.model}
            case "release":
                return _shown(await pins.release(key))
            case "clear":
                return {"cleared": await pins.clear(key)}
            case _:
                raise AssertionError(f"no operation {op!r}")

    async def _cost(self, op: str, args: dict[str, Any]) -> dict[str, Any]:
        user_id, project = args.get("userId"), args.get("projectKey")
        match op:
            case "addCost":
                micros = await self._costs.add(
                    args["sessionKey"],
                    args["micros"],
                    model=args.get("model"),
                    user_id=user_id,
                    project=project,
                )
                return {"micros": micros}
            case "addUsage":
                usage = Usage(
                    input_tokens=args["inputTokens"],
                    output_tokens=args["outputTokens"],
                    cached_tokens=args.get("cachedTokens", 0),
                )
                return {
                    "micros": await self._costs.add_usage(
                        args["sessionKey"], args["model"], usage, user_id=user_id, project=project
                    )
                }
            case _:
                given = [name for name in _SCOPES if name in args]
                if len(given) != 1:
                    raise InvalidArgument(f"cost: give exactly one of {', '.join(_SCOPES)}")
                total = self._costs.total(_SCOPES[given[0]], args[given[0]])
                micros = total.micros if total is not None else 0
                return {"micros": micros, "usd": micros / 1_000_000}

    def _may_use(self, model: str) -> bool:
        """For nobody in particular: full access, and no seat."""
        admission = self._settings.admission
        return not admission.enabled or not any(its.id == model and its.premium for its in admission.models)


def _shown(pin: Pin | None) -> dict[str, Any]:
    if pin is None:
        return {"found": False}
    return {
        "found": True,
        "model": pin.model,
        "tier": pin.tier,
        "explicit": pin.explicit,
        "escalated": pin.escalated,
        "strikes": pin.strikes,
        "requestCount": pin.request_count,
    }


async def open_player(settings: Settings, clock: ManualClock, folder: Path) -> PinsPlayer:
    """Open pins and costs on a folder."""
    player = PinsPlayer(settings, clock, folder)
    await player.open()
    return player
