"""What the store costs by itself: fingerprints, pins in memory, search, one long session, the start of a full house.

The writes of histories have a bench of their own (`tests.bench.history_writes`).
"""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from core.agents import Directory
from core.clock import SystemClock
from core.journal import Journal
from core.session_core import SessionCore
from core.settings import Model, Settings
from core.settings import Pins as PinSettings
from core.store.database import Database
from core.store.fingerprint import fingerprint, turn_fingerprint
from core.store.history import History
from core.store.pin import Pin
from core.store.pins import Pins
from core.store.sqlite import Sqlite
from tests.bench.history_writes import texts
from tests.bench.report import Table

_ROUNDS = 5
_WRITERS = 256
_KEY = "api:user/a-long-session"
_MODELS = [Model(id=tier.lower(), tier=tier) for tier in ("SIMPLE", "MEDIUM", "COMPLEX", "REASONING")]
_TOOLS = ("read_file", "bash", "apply_patch")

_PINS = """
INSERT INTO pins (
    session_key, model, tier, explicit, escalated, last_hash, run, request_count, created_at, last_used_at
)
VALUES (?, 'simple', 'SIMPLE', 0, 0, ?, 1, 1, ?, ?)
"""
_SESSIONS = """
INSERT INTO sessions (session_key, owner, created_at, updated_at, epoch, next_seq, messages)
VALUES (?, ?, ?, ?, 'e', 3, 2)
"""
_COSTS = """
INSERT INTO costs (scope, key, micros, estimated_micros, input_tokens, output_tokens, cached_tokens, updated_at)
VALUES (?, ?, 1250, 0, 900, 120, 0, ?)
"""


def main(*, quick: bool = False) -> None:
    """Measure and print."""
    count = 2_000 if quick else 20_000
    stored = 10_000 if quick else 100_000
    table = Table("requests and pins, best of five", "figure", "time", "aim")
    text, calls, results = a_request()
    for name, work, aim in (
        ("fingerprint of 2 kB with three tools", lambda: fingerprint(text, _TOOLS), "8 µs"),
        ("the same out of a request", lambda: turn_fingerprint(calls), "8 µs"),
        ("and when its three tools have answered", lambda: turn_fingerprint(results), ""),
    ):
        table.row(name, f"{per_call(work, count):.2f} µs", aim)
    for name, taken in asyncio.run(pins(stored, count)).items():
        table.row(f"{name}, among {stored:,}", f"{taken:.2f} µs", "5 µs")
    table.print()
    with tempfile.TemporaryDirectory(prefix="maitred-bench-") as folder:
        table = Table(f"a session of {stored:,} messages, median of {_ROUNDS * 4}", "figure", "time", "aim")
        for name, (taken, aim) in asyncio.run(long_session(Path(folder), stored)).items():
            table.row(name, f"{taken:.1f} ms", aim)
        table.print()
    with tempfile.TemporaryDirectory(prefix="maitred-bench-") as folder:
        table = Table(f"start with {stored:,} sessions, their pins and costs", "figure", "time", "aim")
        best, median = starts(Path(folder), stored)
        table.row("SessionCore.open, best of five", f"{best:.2f} s", "2 s")
        table.row("the median", f"{median:.2f} s", "")
        table.print()


def a_request() -> tuple[str, list[dict[str, Any]], list[dict[str, Any]]]:
    """A text of 2 kB, a request in which it is new, with three tools called, and one with these tools' results."""
    text = " ".join(texts(10))[:2000]
    calls = [
        {"id": name, "type": "function", "function": {"name": name, "arguments": "{}"}} for name in _TOOLS
    ]
    asked: list[dict[str, Any]] = [
        {"role": "system", "content": "You are of help."},
        {"role": "user", "content": text},
        {"role": "assistant", "content": None, "tool_calls": calls},
    ]
    results = [{"role": "tool", "tool_call_id": name, "content": text[:250]} for name in _TOOLS]
    return text, asked, [*asked, *results]


async def pins(stored: int, count: int) -> dict[str, float]:
    """Microseconds of each operation on one of so many pins."""
    with tempfile.TemporaryDirectory(prefix="maitred-bench-") as folder:
        database = Database(Sqlite(Path(folder, "maitred.db")))
        clock = SystemClock()
        journal = Journal(clock, "bench", max_events=1000, max_bytes=1 << 20)
        service = await Pins.open(
            PinSettings(max_entries=stored), _MODELS, database=database, clock=clock, journal=journal
        )
        now, mark = clock.now(), fingerprint("again")
        service._live.load(
            Pin(
                session_key=f"api:user{number}/session",
                model="simple",
                tier="SIMPLE",
                last_hash=mark,
                run=1,
                created_at=now,
                last_used_at=now,
            )
            for number in range(stored)
        )
        keys = iter([f"api:user{number * 7919 % stored}/session" for number in range(count)] * _ROUNDS)

        def strike() -> None:
            key = next(keys)
            found = service.foresee(key, None, mark, _anyone, fallback="simple")
            assert not found.escalates

        taken = {"a pin looked up, and what a repeated request does to it": per_call(strike, count)}
        await database.aclose()
        return taken


def _anyone(_model: str) -> bool:
    return True


async def long_session(folder: Path, stored: int) -> dict[str, tuple[float, str]]:
    """Milliseconds of what a reader asks of a session of so many messages, with the aims."""
    said = texts(stored)
    seen = Counter(word for text in said for word in set(text.split()))
    common = seen.most_common(1)[0][0]
    rare = next(word for word, times in reversed(seen.most_common()) if times >= min(3, stored // 5000))
    await fill(folder, said)
    core = await SessionCore.open(Settings(), folder, directory=Directory([]), background=False)
    try:

        async def found(word: str) -> None:
            assert 0 < len(await core.search(word)) <= 20

        async def opened() -> None:
            detail, page = await core.session(_KEY), await core.history(_KEY)
            assert detail.messages == stored
            assert page.messages[-1].seq == stored

        return {
            f"search for a word of {seen[rare]} messages": (await median(lambda: found(rare)), "3 ms"),
            f"search for one of {seen[common]:,}, best first": (await median(lambda: found(common)), "80 ms"),
            "open it: its details and the newest page": (await median(opened), "20 ms"),
        }
    finally:
        await core.aclose()


async def fill(folder: Path, said: list[str]) -> None:
    """Append the messages as a busy house would, so that the index is in the state that it has there."""
    database = Database(Sqlite(folder / "maitred.db"))
    history = History(database, SystemClock(), "bench")
    waiting = iter(said)

    async def write() -> None:
        for text in waiting:
            await history.append(_KEY, "user", text)

    await asyncio.gather(*(write() for _ in range(_WRITERS)))
    await database.aclose()


def starts(folder: Path, stored: int) -> tuple[float, float]:
    """The shortest and the median time, in seconds, until a core is open on so many sessions."""
    asyncio.run(Database(Sqlite(folder / "maitred.db")).aclose())
    now = SystemClock().now()
    keys = [f"api:user{number // 10}/session{number}" for number in range(stored)]
    owners = [f"user{number // 10}" for number in range(stored)]
    connection = sqlite3.connect(folder / "maitred.db")
    with connection:
        mark = fingerprint("again")
        connection.executemany(_PINS, ((key, mark, now, now) for key in keys))
        connection.executemany(
            _SESSIONS, ((key, owner, now, now) for key, owner in zip(keys, owners, strict=True))
        )
        scopes = [("session", key) for key in keys]
        scopes += [("user", owner) for owner in dict.fromkeys(owners)]
        scopes += [("project", f"project{number}") for number in range(100)]
        connection.executemany(_COSTS, ((scope, key, now) for scope, key in scopes))
    connection.close()
    taken = []
    for _ in range(_ROUNDS):
        gc.collect()
        taken.append(asyncio.run(start(folder, stored)))
    return min(taken), statistics.median(taken)


async def start(folder: Path, stored: int) -> float:
    """Seconds until a core is open."""
    settings = Settings(pins=PinSettings(idle_seconds=86_400, max_entries=stored))
    began = time.perf_counter()
    core = await SessionCore.open(settings, folder, directory=Directory([]), background=False)
    taken = time.perf_counter() - began
    assert len(core.pins.rows()) == stored
    assert core.costs.total("session", "api:user0/session0") is not None
    await core.aclose()
    return taken


async def median(ask: Callable[[], Awaitable[None]]) -> float:
    """The median time of a call in milliseconds; the first one warms up."""
    await ask()
    times = []
    for _ in range(_ROUNDS * 4):
        started = time.perf_counter()
        await ask()
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1e3


def per_call(work: Callable[[], object], count: int) -> float:
    """Microseconds of a call, in the best of five rounds."""
    times = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        for _ in range(count):
            work()
        times.append(time.perf_counter() - started)
    return min(times) / count * 1e6


if __name__ == "__main__":
    main()
