"""A process that writes to a store at full speed, and says of every write when it begins and when it is acknowledged.

    python -m tests.processes.scribe URL FOLDER LIFE SEED

Each writer has one write under way at a time, and sessions of its own; some sessions are everybody's.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path
from typing import Literal

import msgspec
from sqlalchemy import Connection

from core.clock import SystemClock
from core.journal import Journal
from core.settings import Model
from core.settings import Pins as PinSettings
from core.store.acknowledged import acknowledged
from core.store.costs import Booked, Costs
from core.store.database import Database
from core.store.history import History, append_in
from core.store.message import prepare
from core.store.opening import backend_of
from core.store.pins import Pins
from core.store.prices import PriceList
from core.store.sessions import Stamp

WRITERS = 12
READY = b"ready\n"
FILLER = "words that many messages of this house have in common, "
_MODEL = Model(id="small", tier="SIMPLE")
_MARK = "0" * 32

Kind = Literal["append", "replace", "shared", "cost", "turn", "pin", "strike"]
_KINDS: tuple[Kind, ...] = (
    "append",
    "append",
    "replace",
    "shared",
    "shared",
    "cost",
    "turn",
    "pin",
    "strike",
)


class Said(msgspec.Struct, frozen=True, array_like=True):
    """A write that begins, or (`done`) that was acknowledged."""

    done: bool
    writer: int
    kind: Kind
    key: str
    texts: list[str] = []
    micros: int = 0
    """What it costs, for the session, and for the user, project and model of these names."""
    user: str = ""
    project: str = ""
    model: str = ""
    seq: int = 0
    """The number that the message got, or the pin's count afterwards; told when it is done."""


class Scribe:
    """The services of one life, and what their writers say."""

    def __init__(self, database: Database, pins: Pins, costs: Costs, life: str) -> None:
        self._database = database
        self._clock = SystemClock()
        self._history = History(database, self._clock, life)
        self._pins = pins
        self._costs = costs
        self._life = life

    async def write(self, writer: int, seed: str) -> None:
        """Write for ever."""
        chance = random.Random(f"{seed}/{writer}")
        number = 0
        while True:
            number += 1
            begun = self._next(writer, number, chance)
            say(begun)
            seq = await self._carry_out(begun)
            say(msgspec.structs.replace(begun, done=True, texts=[], seq=seq))

    def _next(self, writer: int, number: int, chance: random.Random) -> Said:
        kind = chance.choice(_KINDS)
        own = {
            "append": "own",
            "replace": "own",
            "pin": "own",
            "strike": "own",
            "turn": "turn",
            "cost": "cost",
        }
        key = f"shared{chance.randrange(2)}" if kind == "shared" else f"{own[kind]}{writer}"
        count = {"append": 1, "shared": 1, "turn": 1, "replace": chance.randrange(8)}.get(kind, 0)
        texts = [
            f"{self._life}w{writer}n{number}i{index} " + FILLER * chance.choice((1, 1, 1, 30))
            for index in range(count)
        ]
        micros = chance.randrange(1, 1000) if kind in ("cost", "turn") else 0
        return Said(
            False,
            writer,
            kind,
            key,
            texts,
            micros,
            f"user{chance.randrange(3)}",
            f"project{chance.randrange(2)}",
            f"model{chance.randrange(2)}",
        )

    async def _carry_out(self, begun: Said) -> int:
        match begun.kind:
            case "append" | "shared":
                return await self._history.append(begun.key, "user", begun.texts[0])
            case "replace":
                return await self._history.replace(
                    begun.key, [{"role": "user", "content": text} for text in begun.texts]
                )
            case "cost":
                return await self._costs.add(
                    begun.key, begun.micros, user_id=begun.user, project=begun.project, model=begun.model
                )
            case "turn":
                return await self._turn(begun)
            case "pin":
                return (await self._pins.pin(begun.key, _MODEL.id)).request_count
            case "strike":
                return (await self._pins.record(begun.key, _MARK)).run

    async def _turn(self, begun: Said) -> int:
        """A message and what it cost, in one transaction."""
        message = prepare({"role": "assistant", "content": f"{begun.micros} {begun.texts[0]}"})
        stamp = Stamp(now=self._clock.now(), epoch=self._life)
        booking = self._costs.booking(
            begun.key, begun.micros, user_id=begun.user, project=begun.project, model=begun.model
        )

        def unit(connection: Connection) -> tuple[int, Booked]:
            return append_in(connection, begun.key, message, stamp), booking(connection)

        seq, _ = await acknowledged(self._database, unit, lambda written: self._costs.apply(written[1]))
        return seq


def say(what: Said) -> None:
    """One line in one piece, so that a kill leaves no half of it."""
    os.write(sys.stdout.fileno(), msgspec.json.encode(what) + b"\n")


async def main(url: str, folder: Path, life: str, seed: str) -> None:
    """Open the store, say so, and write until somebody ends it."""
    clock = SystemClock()
    database = Database(backend_of(url, folder, alone=True))
    journal = Journal(clock, life, max_events=1000, max_bytes=1 << 20)
    pins = await Pins.open(PinSettings(), [_MODEL], database=database, clock=clock, journal=journal)
    costs = await Costs.open(PriceList([_MODEL]), database=database, clock=clock, journal=journal)
    scribe = Scribe(database, pins, costs, life)
    os.write(sys.stdout.fileno(), READY)
    await asyncio.gather(*(scribe.write(writer, seed) for writer in range(WRITERS)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4]))
