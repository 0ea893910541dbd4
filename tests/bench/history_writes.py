"""Acknowledged history writes against a bare sqlite3 loop of the same insert and index, at the same group size.

The aim is a ratio of at least 0.60 with 1, 16 and 256 writers.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from core.clock import SystemClock
from core.store.database import Database
from core.store.history import History
from core.store.sqlite import Sqlite
from core.store.words import index_text
from tests.bench.report import Table

WRITERS = (1, 16, 256)
AIM = 0.60
_MESSAGES = {1: 400, 16: 4000, 256: 8000}

_TAKE = """
INSERT INTO sessions (session_key, created_at, updated_at, epoch, next_seq, messages) VALUES (?, 0, 0, 'e', 2, 1)
ON CONFLICT (session_key) DO UPDATE SET next_seq = next_seq + 1, messages = messages + 1 RETURNING next_seq
"""
_INSERT = """
INSERT INTO messages (session_key, seq, role, at, length, chain, partial, audited, content)
VALUES (?, ?, 'user', 0, ?, ?, 0, 1, ?) RETURNING id
"""
_INDEX = "INSERT INTO message_words (rowid, words) VALUES (?, ?)"


def texts(count: int) -> list[str]:
    """Messages of about 250 characters, of a vocabulary like that of a language: few words often, many seldom."""
    source = random.Random(7)
    syllables = [
        "ka",
        "lo",
        "mi",
        "ser",
        "ven",
        "tor",
        "bil",
        "ling",
        "de",
        "ploy",
        "ra",
        "un",
        "es",
        "qui",
        "ta",
    ]
    vocabulary = ["".join(source.choices(syllables, k=source.randint(1, 4))) for _ in range(20_000)]
    weights = [1 / (rank + 10) for rank in range(len(vocabulary))]
    words: Iterator[str] = iter(source.choices(vocabulary, weights, k=count * 36))
    return [" ".join(next(words) for _ in range(36)) for _ in range(count)]


def bare(path: Path, messages: list[str], writers: int) -> float:
    """Messages per second of the loop that does nothing else: groups of `writers`, each one transaction."""
    rows = [(msgspec.json.encode(text).decode(), index_text(text), len(text)) for text in messages]
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    begun = time.perf_counter()
    for start in range(0, len(rows), writers):
        connection.execute("BEGIN IMMEDIATE")
        for writer, (content, words, length) in enumerate(rows[start : start + writers]):
            key = f"api:{writer}"
            seq = connection.execute(_TAKE, (key,)).fetchall()[0][0] - 1
            values = (key, seq, length, bytes(16), content)
            row_id = connection.execute(_INSERT, values).fetchall()[0][0]
            connection.execute(_INDEX, (row_id, words))
        connection.execute("COMMIT")
    taken = time.perf_counter() - begun
    connection.close()
    return len(rows) / taken


async def acknowledged(path: Path, messages: list[str], writers: int) -> float:
    """Messages per second of `writers` tasks that each append one message, wait until it is durable, and go on."""
    database = Database(Sqlite(path))
    history = History(database, SystemClock(), "bench")
    remaining = iter(messages)

    async def write(writer: int) -> None:
        for text in remaining:
            await history.append(f"api:{writer}", "user", text)

    begun = time.perf_counter()
    await asyncio.gather(*(write(writer) for writer in range(writers)))
    taken = time.perf_counter() - begun
    await database.aclose()
    return len(messages) / taken


def measure(writers: int, rounds: int) -> tuple[float, float, float]:
    """Medians over some rounds: the bare loop's rate, ours, and the ratio of the two, measured in turn."""
    messages = texts(_MESSAGES[writers])
    rates: list[tuple[float, float]] = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            for name in ("bare", "ours"):
                asyncio.run(Database(Sqlite(Path(folder, name))).aclose())
            loop = bare(Path(folder, "bare"), messages, writers)
            rates.append((loop, asyncio.run(acknowledged(Path(folder, "ours"), messages, writers))))
    return (
        statistics.median(loop for loop, _ in rates),
        statistics.median(ours for _, ours in rates),
        statistics.median(ours / loop for loop, ours in rates),
    )


def main(*, quick: bool = False) -> None:
    """Print a row for each number of writers."""
    table = Table("history writes, each acknowledged", "writers", "bare loop", "acknowledged", "ratio", "aim")
    for writers in WRITERS:
        loop, ours, ratio = measure(writers, 1 if quick else 5)
        table.row(str(writers), f"{loop:,.0f}/s", f"{ours:,.0f}/s", f"{ratio:.2f}", f"{AIM:.2f}")
    table.print()
