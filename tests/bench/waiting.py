"""Houses in which many people wait: their settings, their database, and a waiting room on it.

A model has a few seats, all taken, so that whoever asks has to wait; and the people who wait have come one after
another within an hour.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec

from core.admission import WaitingRoom
from core.clock import SystemClock
from core.journal import Journal
from core.server.loop import settle_down
from core.settings import Admission
from core.store.database import Database
from core.store.sqlite import Sqlite, SqliteLink

MODELS = 20
SEATED = 10
"""Seats of each model; all of them taken."""
COLUMNS = (
    "user_id, status, instance_id, held_by, model, access_tier, ticket, queued_at, admitted_at, expires_at, admit_id, "
    "seen_at, access, address_hash, created_at, updated_at"
)
INSERT = f"INSERT INTO seats ({COLUMNS}) VALUES ({', '.join('?' * 16)})"
_HOUR = 3_600_000


def models(max_active: int = SEATED) -> list[dict[str, Any]]:
    """The models of such a house, as the settings write them; with room for nobody else, or (0) without a ceiling."""
    terms = {"instant_admit_capacity": SEATED, "max_active": max_active}
    return [{"id": model_name(number), **terms} for number in range(MODELS)]


def model_name(number: int) -> str:
    """The model that person `number` waits for."""
    return f"vendor/model-{number % MODELS:02}"


def user_name(number: int) -> str:
    """The person who drew the ticket `number`."""
    return f"user-{number:08}@example.org"


def seat_values(number: int, *, now: int, active: bool) -> tuple[Any, ...]:
    """A stored seat, in the order of `COLUMNS`."""
    name = f"seated-{number:06}" if active else user_name(number)
    since, until = (now, now + _HOUR) if active else (None, None)
    instance = f"{number:032x}"
    status = "active" if active else "queued"
    terms = (status, instance, "client", model_name(number), "full", number, now, since, until)
    return (name, *terms, None, now, None, None, now, now)


def fill(path: Path, people: int) -> None:
    """Have so many people wait, in a database whose tables are there."""
    now = SystemClock().now()
    waiting = (
        seat_values(number, now=now - _HOUR + _HOUR * number // people, active=False)
        for number in range(1, people + 1)
    )
    seated = (seat_values(number, now=now, active=True) for number in range(MODELS * SEATED))
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(INSERT, itertools.chain(waiting, seated))
        connection.execute("INSERT INTO counters VALUES ('seat_tickets', ?)", (people,))
        connection.execute("COMMIT")


def database(path: Path, people: int) -> Path:
    """A new database in which so many wait."""
    asyncio.run(_made(path))
    fill(path, people)
    return path


async def _made(path: Path) -> None:
    await Database(Sqlite(path)).aclose()


class Commits:
    """What the commits of a database cost: how many, and their seconds of time and of the writer's CPU."""

    def __init__(self) -> None:
        self.count = 0
        self.wall = 0.0
        self.cpu = 0.0

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """Measure one."""
        wall, cpu = time.perf_counter(), time.thread_time()
        yield
        self.count += 1
        self.wall += time.perf_counter() - wall
        self.cpu += time.thread_time() - cpu


class Watched(Sqlite):
    """SQLite whose writer's commits are measured."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.commits = Commits()

    def open(self) -> SqliteLink:
        super().open().close()
        return _WatchedLink(self)


class _WatchedLink(SqliteLink):
    def __init__(self, backend: Watched) -> None:
        super().__init__(backend._writers)
        self._commits = backend.commits

    def commit(self) -> None:
        with self._commits.one():
            super().commit()


@contextlib.contextmanager
def _settled() -> Iterator[None]:
    """Have the interpreter tuned as a server's is."""
    thresholds, interval = gc.get_threshold(), sys.getswitchinterval()
    settle_down()
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
        sys.setswitchinterval(interval)


@contextlib.asynccontextmanager
async def room(path: Path, max_active: int = SEATED) -> AsyncIterator[tuple[WaitingRoom, Commits]]:
    """A waiting room on a database, and what its commits cost."""
    settings = msgspec.convert({"models": models(max_active)}, Admission)
    clock = SystemClock()
    backend = Watched(path)
    store = Database(backend, clock)
    ids = itertools.count()
    opened = await WaitingRoom.open(
        settings,
        database=store,
        clock=clock,
        journal=Journal(clock, "bench", max_events=200_000, max_bytes=1 << 26),
        new_id=lambda: f"{next(ids):032x}",
    )
    try:
        with _settled():
            yield opened, backend.commits
    finally:
        await opened.aclose()
        await store.aclose()
