"""One process of several on a shared waiting room: `python -m tests.admission.one_process URL NAME USERS`.

Its users come all at once, wait by polling, stay a moment and leave; every fifth asks twice at the same time. Then one
of each ten comes back to a queue that is paused by the first process, and stays there. After each step it says so and
waits for a line. In the end it says in JSON what it knows of the queue, and how late it heard of the others' people.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from core.admission import WaitingRoom
from core.admission.answers import ActiveSeat, QueuedSeat
from core.clock import SystemClock, parse_timestamp
from core.ids import Ids
from core.journal import Journal
from core.protocol import SeatChanged
from core.store.database import Database
from core.store.opening import backend_of
from tests.admission.house import BIG, SMALL, admission

CAPACITY = 12
"""The most who may be in on a model at once."""
ADMITS = 12
FIRST = "p0"
TICK_SECONDS = 0.1


class Front:
    """The users of one process, and what they see."""

    def __init__(self, room: WaitingRoom, name: str, users: int) -> None:
        self._room = room
        self._users = [f"{name}-{number}" for number in range(users)]

    async def serve(self) -> None:
        """Let every user in once, and out again."""
        await asyncio.gather(
            *(self._visit(user, BIG if n % 4 == 0 else SMALL) for n, user in enumerate(self._users))
        )

    async def queue_up(self) -> None:
        """Let every tenth user wait."""
        for user in self._users[::10]:
            await self._room.request(user, SMALL)

    async def _visit(self, user: str, model: str) -> None:
        asks = 2 if int(user.rpartition("-")[2]) % 5 == 0 else 1
        answers = await asyncio.gather(*(self._room.request(user, model) for _ in range(asks)))
        assert all(isinstance(answer, ActiveSeat | QueuedSeat) for answer in answers), answers
        while not isinstance(state := self._room.state(user), ActiveSeat):
            assert isinstance(state, QueuedSeat), state
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.02)
        await self._room.end(user)


def knowledge(room: WaitingRoom) -> dict[str, Any]:
    """What this process knows of the queue of the model that is paused."""
    states = {row.user_id: room.state(row.user_id) for row in room.seat_rows()}
    return {
        "positions": {
            user: state.position for user, state in states.items() if isinstance(state, QueuedSeat)
        },
        "depth": next(row.waiting for row in room.queue_rows() if row.model == SMALL),
        "paused": all(isinstance(state, QueuedSeat) and state.paused for state in states.values()),
    }


async def lags(journal: Journal, after: str, name: str) -> list[int]:
    """How late (ms) this process heard of the seats that others queued."""
    events = (await journal.read(after, wait=0, limit=100_000)).events
    return [
        parse_timestamp(event.at) - parse_timestamp(event.seat.queued_at)
        for event in events
        if isinstance(event, SeatChanged)
        and not event.seat.user_id.startswith(name)
        and event.what == "queued"
    ]


async def main(url: str, name: str, users: int) -> None:
    """Run to the end; the caller says on standard input when everybody has begun, and when everybody has ended."""
    clock = SystemClock()
    journal = Journal(clock, name, max_events=100_000, max_bytes=100_000_000)
    database = Database(backend_of(url, Path()))
    terms = admission(
        each={"instant_admit_capacity": CAPACITY // 2, "max_active": CAPACITY},
        quota={"full": 1000, "limited": 1000},
        tick_seconds=TICK_SECONDS,
        admits_per_tick=ADMITS,
        grace_seconds=0,
    )
    room = await WaitingRoom.open(terms, database=database, clock=clock, journal=journal, new_id=Ids().new)
    front = Front(room, name, users)
    tasks = [asyncio.create_task(room.run()), asyncio.create_task(room.follow())]
    await said("ready")
    await front.serve()
    await said("served")
    if name == FIRST:
        await room.pause(SMALL, actor="op")
    await said("paused")
    paused = journal.cursor
    await front.queue_up()
    await said("waiting")
    await room.catch_up()
    print(json.dumps({**knowledge(room), "lags": await lags(journal, paused, name)}), flush=True)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await room.aclose()
    await database.aclose()


async def said(word: str) -> None:
    """Say that a point is reached, and wait for the caller's go."""
    print(word, flush=True)
    await asyncio.to_thread(sys.stdin.readline)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
