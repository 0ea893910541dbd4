"""Plays one case: its steps in order against one part, which is opened for it alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from core.clock import ManualClock, parse_timestamp
from core.errors import MaitredError
from core.settings import Settings
from tests.conformance.matching import Kept, Mismatch, match, match_all, resolve
from tests.conformance.players import Player, open_player

_SHARED = "restart"
OPERATIONS: Mapping[str, frozenset[str]] = {
    "admission": frozenset(
        f"request state end gate tick ban unban pause resume admitNow setHealth seats admits {_SHARED}".split()
    ),
    "router": frozenset(
        (
            "getOrCreate beginTurn endTurn abort close markDirty count hasActiveUserTurn list evictions "
            "factoryCalls failNext shutdown"
        ).split()
    ),
    "pins": frozenset(
        (
            "pin get touch record escalate release clear fingerprint deriveKey addCost addUsage cost "
            f"{_SHARED}"
        ).split()
    ),
    "history": frozenset(
        (
            "append list replace clear transfer setConfig getConfig deleteConfig search reindex audit "
            f"{_SHARED}"
        ).split()
    ),
    "runs": frozenset(
        (
            "start publish publishMany complete abort replay get running providerId runRecord subscribe "
            f"received {_SHARED}"
        ).split()
    ),
}
"""Every operation there is, by part. A case that names another is wrong, and says so whatever the player does."""

_STEP_KINDS = ("advance", "at", "do", "concurrently")


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One case with all that its file says for it."""

    part: str
    name: str
    at: str
    settings: dict[str, Any]
    steps: list[dict[str, Any]]

    @property
    def id(self) -> str:
        """``part::name``, the name of its test."""
        return f"{self.part}::{self.name}"


class _CaseInFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    steps: list[dict[str, Any]]
    at: str | None = None
    settings: dict[str, Any] = {}


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    part: str
    at: str
    cases: list[_CaseInFile]
    settings: dict[str, Any] = {}


def read_cases(path: Path) -> list[Case]:
    """The cases of one file; a case's settings replace the file's, section by section.

    Raises msgspec.ValidationError or ValueError for a file that is not of the form.
    """
    # json, not msgspec: whoever writes an integer beyond 64 bits means that very number
    file = msgspec.convert(json.loads(path.read_text(encoding="utf-8")), _File)
    return [
        Case(
            part=file.part,
            name=case.name,
            at=case.at or file.at,
            settings={**file.settings, **case.settings},
            steps=case.steps,
        )
        for case in file.cases
    ]


def settings_of(case: Case, storage_url: str) -> Settings:
    """The settings in force: the case's, defaults elsewhere, and no background loop that the case does not set."""
    sections = dict(case.settings)
    sections["admission"] = {"abandon_seconds": 0, **sections.get("admission", {})}
    sections["router"] = {"sweep_seconds": 0, **sections.get("router", {})}
    sections["storage"] = {"url": storage_url}
    return msgspec.convert(sections, Settings)


async def play(case: Case, folder: Path, storage_url: str = "sqlite") -> None:
    """Open the part on an empty folder, play every step, close it. Raises AssertionError at the step that fails."""
    if case.part not in OPERATIONS:
        raise Mismatch(f"{case.part!r} is no part; there are {', '.join(OPERATIONS)}")
    clock = ManualClock(parse_timestamp(case.at))
    player = await open_player(case.part, settings_of(case, storage_url), clock, folder)
    try:
        await Game(case.part, player, clock).play(case.steps)
    finally:
        await player.aclose()


class Game:
    """A player, its clock, and what the steps so far have saved."""

    def __init__(self, part: str, player: Player, clock: ManualClock) -> None:
        self._operations = OPERATIONS[part]
        self._player = player
        self._clock = clock
        self._kept: Kept = {}

    async def play(self, steps: list[dict[str, Any]]) -> None:
        """Play the steps in order; raises Mismatch, or whatever the part raised unasked, with the step told."""
        for number, step in enumerate(steps, start=1):
            try:
                await self._step(step)
            except Exception as error:
                error.add_note(f"in step {number}: {json.dumps(step)[:2000]}")
                raise

    async def _step(self, step: dict[str, Any]) -> None:
        kinds = [kind for kind in _STEP_KINDS if kind in step]
        if len(kinds) != 1:
            raise Mismatch(f"a step is exactly one of {', '.join(_STEP_KINDS)}")
        match kinds[0]:
            case "advance":
                _only(step, "advance")
                await self._advance(float(step["advance"]))
            case "at":
                _only(step, "at")
                await self._advance((parse_timestamp(step["at"]) - self._clock.now()) / 1000)
            case "do":
                _only(step, "do", "with", "expect", "raises")
                await self._do(step)
            case _:
                _only(step, "concurrently", "expect")
                await self._concurrently(step)

    async def _advance(self, seconds: float) -> None:
        if seconds < 0:
            raise Mismatch("the clock does not go back")
        await self._clock.settle(seconds)
        # what the last timers woke runs before the next step looks
        await self._clock.settle(0)

    async def _do(self, step: dict[str, Any]) -> None:
        code = step.get("raises")
        try:
            answer = await self._call(step)
        except MaitredError as error:
            if code is None:
                raise
            if error.code != code:
                raise Mismatch(f"expected the error {code}, found {error.code}: {error}") from error
            return
        if code is not None:
            raise Mismatch(f"expected the error {code}, found the answer {answer!r}")
        match(step.get("expect", {}), answer, self._kept)

    async def _concurrently(self, step: dict[str, Any]) -> None:
        for inner in step["concurrently"]:
            _only(inner, "do", "with")
        results = await asyncio.gather(
            *(self._call(inner) for inner in step["concurrently"]), return_exceptions=True
        )
        answers, failures = [], []
        for result in results:
            if isinstance(result, MaitredError):
                failures.append(result.code)
            elif isinstance(result, BaseException):
                raise result
            else:
                answers.append(result)
        match_all(step.get("expect", {}), answers, failures, self._kept)

    async def _call(self, step: dict[str, Any]) -> dict[str, Any]:
        op = step["do"]
        if op not in self._operations:
            raise Mismatch(f"{op!r} is no operation; there are {', '.join(sorted(self._operations))}")
        answer = await self._player.do(op, resolve(step.get("with", {}), self._kept))
        found = json.loads(msgspec.json.encode(answer))
        if not isinstance(found, dict):
            raise Mismatch(f"expected an object, found {answer!r}")
        return found


def _only(step: dict[str, Any], *allowed: str) -> None:
    if unknown := set(step) - set(allowed):
        raise Mismatch(f"unknown in a step: {', '.join(sorted(unknown))}; allowed here: {', '.join(allowed)}")
