"""One module a part: it puts the part together as the core does, and calls it by the names of the cases.

A player's module has ``async def open_player(settings, clock, folder) -> Player``. `folder` is empty at first and
belongs to the case; whatever the part remembers over a ``restart`` lies in it.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Protocol, cast

from core.clock import ManualClock
from core.settings import Settings


class Player(Protocol):
    """One part, freshly opened, with nothing running in the background but its timers."""

    async def do(self, op: str, args: dict[str, Any]) -> dict[str, Any]:
        """Call an operation; the answer as the wire shows it (camelCase). Raises core.errors.MaitredError."""

    async def aclose(self) -> None:
        """Close the part and its storage."""


class _PlayerModule(Protocol):
    async def open_player(self, settings: Settings, clock: ManualClock, folder: Path) -> Player: ...


async def open_player(part: str, settings: Settings, clock: ManualClock, folder: Path) -> Player:
    """Open the player of a part; raises ModuleNotFoundError for a part that has none."""
    module = cast("_PlayerModule", importlib.import_module(f"tests.conformance.players.{part}"))
    return await module.open_player(settings, clock, folder)
