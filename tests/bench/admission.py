"""A house in which 100,000 people wait, against one with 100: polls, joins, ticks, memory.

What is bound by the processor is measured in CPU time, so that others on the machine do not count; 1/s is then what one
core of this machine gives. As many people poll in either house, as long as nothing else is said: what is compared is
the house's size, not the processor's cache.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from core.admission.answers import QueuedSeat
from tests.bench import waiting
from tests.bench.client import Caller, connect
from tests.bench.processes import cores, cpu_seconds, gateway_process, pinned, resident_mb
from tests.bench.report import Table

FEW, MANY = 100, 100_000
_CALLERS = 64
_CONNECTIONS = 16


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How much is measured."""

    rounds: int = 7
    polls: int = 50_000
    requests: int = 8_000
    joins: int = 8_000
    ticks: int = 15


FULL = Size()
QUICK = Size(rounds=2, polls=20_000, requests=3_000, joins=3_000, ticks=3)


def main(*, quick: bool = False) -> None:
    """Measure and print."""
    size = QUICK if quick else FULL
    headings = ("figure", f"{FEW:,} wait", f"{MANY:,} wait", "ratio", "aim")
    table = Table(f"admission, {waiting.MODELS} models, SQLite", *headings)
    with tempfile.TemporaryDirectory(prefix="maitred-bench-") as name:
        folder = Path(name)
        files = [waiting.database(folder / f"{people}.db", people) for people in (FEW, MANY)]
        _polls(table, files, size)
        _http(table, folder, size)
        _joins(table, files, size)
        _ticks(table, files, size)
    table.print()


# ---------------------------------------------------------------------------------------------------- polls


def _polls(table: Table, files: Sequence[Path], size: Size) -> None:
    few, many, everybody = asyncio.run(_poll(files, size))
    figures = (f"{few:,.0f}", f"{many:,.0f}", f"{few / many:.2f}×")
    table.row(f"state in process, calls/s, {FEW} people", *figures, "200,000 · 1.20")
    table.row("the same, everybody in turn: nobody in a cache", "", f"{everybody:,.0f}", "", "")


async def _poll(files: Sequence[Path], size: Size) -> list[float]:
    """The best of some rounds with few and with many, then with everybody of the many; measured in turn."""
    best = [0.0, 0.0, 0.0]
    async with waiting.room(files[0]) as (small, _), waiting.room(files[1]) as (large, _):
        loads = ((small, asked(FEW, FEW)), (large, asked(MANY, FEW)), (large, asked(MANY, size.polls)))
        for _ in range(size.rounds):
            for place, (room, people) in enumerate(loads):
                names = people * (size.polls // len(people))
                began = time.process_time()
                for user in names:
                    room.state(user)
                best[place] = max(best[place], size.polls / (time.process_time() - began))
    return best


def asked(people: int, count: int) -> list[str]:
    """So many of those who wait, from everywhere in the queues and in no order that a cache foresees."""
    return [waiting.user_name(number) for number in random.Random(7).sample(range(1, people + 1), count)]


# ----------------------------------------------------------------------------------------------------- HTTP


class Served(msgspec.Struct, frozen=True):
    """Polls over HTTP: how many a second, how many a second of the server's CPU; and the server's memory in MB."""

    rate: float
    per_cpu: float
    memory: float


def _http(table: Table, folder: Path, size: Size) -> None:
    few, many = _serve(folder, size)
    figures = (f"{few.per_cpu:,.0f}", f"{many.per_cpu:,.0f}", f"{few.per_cpu / many.per_cpu:.2f}×")
    table.row("GET /v1/seats/{id}, a CPU second of the server", *figures, "4,000 · 1.20")
    figures = (f"{few.rate:,.0f}", f"{many.rate:,.0f}", f"{few.rate / many.rate:.2f}×")
    table.row(f"the same, by the clock, {_CONNECTIONS} connections", *figures, "")
    each = (many.memory - few.memory) * 1e6 / (MANY - FEW)
    memory = (f"{few.memory:.0f} MB", f"{many.memory:.0f} MB", f"{each:,.0f} B each", "1,000 B each")
    table.row("the server's resident memory", *memory)


def _serve(folder: Path, size: Size) -> list[Served]:
    """Few and many, each in a server of its own, asked in turn: so what else the machine does meets both."""
    server_core, client_core = cores()
    config = _config()
    homes = [folder / f"home-{people}" for people in (FEW, MANY)]
    for home, people in zip(homes, (FEW, MANY), strict=True):
        home.mkdir()
        # the first start makes the database, wherever this platform keeps it
        with gateway_process(config, home, server_core):
            pass
        (database,) = home.rglob("maitred.db")
        waiting.fill(database, people)
    with (
        pinned(client_core),
        gateway_process(config, homes[0], server_core) as small,
        gateway_process(config, homes[1], server_core) as large,
    ):
        return asyncio.run(_ask_both((small, large), size))


def _config() -> str:
    lines = []
    for model in waiting.models():
        lines += ["[[admission.models]]", *(f"{name} = {value!r}" for name, value in model.items())]
    return "\n".join(lines)


async def _ask_both(servers: Sequence[tuple[int, int]], size: Size) -> list[Served]:
    """The median of some rounds at each of the servers (port, process)."""
    rounds: list[list[Served]] = [[], []]
    for _ in range(size.rounds):
        for found, (port, pid), people in zip(rounds, servers, (FEW, MANY), strict=True):
            found.append(await _ask(port, pid, people, size.requests))
    return [
        Served(
            statistics.median(one.rate for one in found),
            statistics.median(one.per_cpu for one in found),
            found[-1].memory,
        )
        for found in rounds
    ]


async def _ask(port: int, pid: int, people: int, requests: int) -> Served:
    callers = [await connect(port) for _ in range(_CONNECTIONS)]
    names = itertools.islice(itertools.cycle(asked(people, min(people, requests))), requests)

    async def poll(caller: Caller) -> None:
        for name in names:
            answered = await caller.ask(port, f"/v1/seats/{name}")
            if answered.status != 200 or b'"queued"' not in answered.body:
                raise AssertionError(f"{name}: {answered.status}, {answered.body[:500]!r}")

    began, cpu = time.perf_counter(), cpu_seconds(pid)
    await asyncio.gather(*(poll(caller) for caller in callers))
    rate, per_cpu = requests / (time.perf_counter() - began), requests / (cpu_seconds(pid) - cpu)
    for caller in callers:
        caller.leave()
    return Served(rate, per_cpu, resident_mb(pid))


# ---------------------------------------------------------------------------------------------------- joins


class Joined(msgspec.Struct, frozen=True):
    """Joins a second, how many of them share a commit, and a bare loop's inserts a second at that group size."""

    rate: float
    group: float
    bare: float


def _joins(table: Table, files: Sequence[Path], size: Size) -> None:
    rounds: list[list[Joined]] = [[], []]
    for _ in range(max(1, size.rounds // 2)):
        for place, file in enumerate(files):
            rounds[place].append(_joined(file, size.joins))
    few, many = (
        (
            statistics.median(one.rate for one in each),
            statistics.median(one.bare for one in each),
            statistics.median(one.group for one in each),
            statistics.median(one.rate / one.bare for one in each),
        )
        for each in rounds
    )
    what = f"joins/s, each durable, {_CALLERS} callers"
    table.row(what, f"{few[0]:,.0f}", f"{many[0]:,.0f}", f"{few[0] / many[0]:.2f}×", "3,000")
    table.row(
        f"bare loop of inserts, groups of {many[2]:.0f}",
        f"{few[1]:,.0f}",
        f"{many[1]:,.0f}",
        f"{few[1] / many[1]:.2f}×",
        "",
    )
    table.row("joins as a share of it", f"{few[3]:.2f}", f"{many[3]:.2f}", "", "0.60")


def _joined(file: Path, joins: int) -> Joined:
    with tempfile.TemporaryDirectory(dir=file.parent) as name:
        ours, bare = (Path(shutil.copy(file, Path(name, which))) for which in ("ours", "bare"))
        rate, group = asyncio.run(_join(ours, joins))
        return Joined(rate, group, _bare(bare, joins, max(1, round(group))))


async def _join(path: Path, joins: int) -> tuple[float, float]:
    async with waiting.room(path) as (room, commits):
        before = commits.count
        people = range(10_000_000, 10_000_000 + joins)
        asking = iter([(waiting.user_name(number), waiting.model_name(number)) for number in people])

        async def join() -> None:
            for user, model in asking:
                answer = await room.request(user, model)
                if not isinstance(answer, QueuedSeat):
                    raise AssertionError(f"expected to wait, not {answer}")  # noqa: TRY004 - the bench is wrong

        began = time.perf_counter()
        await asyncio.gather(*(join() for _ in range(_CALLERS)))
        return joins / (time.perf_counter() - began), joins / (commits.count - before)


def _bare(path: Path, joins: int, group: int) -> float:
    """Inserts per second of a loop that does nothing else, so many in each transaction."""
    now = time.time_ns() // 1_000_000
    rows = [waiting.seat_values(10_000_000 + number, now=now, active=False) for number in range(joins)]
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    began = time.perf_counter()
    for start in range(0, joins, group):
        connection.execute("BEGIN IMMEDIATE")
        for row in rows[start : start + group]:
            connection.execute(waiting.INSERT, row)
        connection.execute("COMMIT")
    taken = time.perf_counter() - began
    connection.close()
    return joins / taken


# ---------------------------------------------------------------------------------------------------- ticks


class Ticked(msgspec.Struct, frozen=True):
    """CPU ms of a tick without its commits, and ms of those by the clock."""

    rules: float
    commits: float


def _ticks(table: Table, files: Sequence[Path], size: Size) -> None:
    few, many = (asyncio.run(_tick(file, size.ticks)) for file in files)

    def row(what: str, of: Callable[[Ticked], float], aim: str) -> None:
        table.row(what, f"{of(few):.1f} ms", f"{of(many):.1f} ms", f"{of(many) / of(few):.2f}×", aim)

    row("a tick that lets one in everywhere, its rules", lambda one: one.rules, "10 ms")
    row("its commits, by the clock", lambda one: one.commits, "")


async def _tick(file: Path, ticks: int) -> Ticked:
    """The median of some ticks."""
    found: list[Ticked] = []
    with tempfile.TemporaryDirectory(dir=file.parent) as name:
        path = Path(shutil.copy(file, Path(name, "ticks.db")))
        async with waiting.room(path, max_active=0) as (room, commits):
            for _ in range(min(ticks, FEW // waiting.MODELS)):
                wall, cpu, began = commits.wall, commits.cpu, time.process_time()
                report = await room.tick()
                if report.admitted != waiting.MODELS:
                    raise AssertionError(f"expected one for each model: {report}")
                taken = time.process_time() - began - (commits.cpu - cpu)
                found.append(Ticked(taken * 1000, (commits.wall - wall) * 1000))
    return Ticked(
        statistics.median(one.rules for one in found), statistics.median(one.commits for one in found)
    )
