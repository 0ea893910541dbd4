"""What the store acknowledged is there after `kill -9`: a process writing at full speed, killed at random moments."""

from __future__ import annotations

import asyncio
import os
import random
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection

from core.store.database import Database
from core.store.search import Search
from core.store.words import index_text
from tests.processes.processes import CHECKOUT, PATIENCE
from tests.processes.scribe import READY, WRITERS, Said
from tests.storage.storage import Fresh, Storage

_SAMPLE = 20
_TOKEN = re.compile(r"l\d+w\d+n\d+i\d+")
_SCOPES = ("session", "user", "project", "model", "day")

Totals = Counter[tuple[str, str]]


class Killed:
    """A scribe, and what it said until it was killed."""

    def __init__(self, storage: Storage, life: str, seed: str) -> None:
        self._said = bytearray()
        self._ready = threading.Event()
        arguments = (storage.url, str(storage.folder), life, seed)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.processes.scribe", *arguments],
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    async def after(self, chance: random.Random) -> list[Said]:
        """Kill it, mostly in the middle of its work, at times while it opens the store; answers what it said."""
        try:
            if chance.random() < 0.15:
                await asyncio.sleep(chance.uniform(0.2, 0.6))
            else:
                assert await asyncio.to_thread(self._ready.wait, PATIENCE), "it never was ready"
                await asyncio.sleep(chance.uniform(0, 0.3))
            assert self._process.poll() is None, "it ended by itself"
        finally:
            self._process.kill()
            self._process.wait(PATIENCE)
            self._reader.join(PATIENCE)
        *lines, rest = bytes(self._said).removeprefix(READY).split(b"\n")
        assert rest == b""
        return [msgspec.json.decode(line, type=Said) for line in lines]

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as pipe:
            while data := os.read(pipe.fileno(), 1 << 16):
                self._said += data
                self._ready.set()


@dataclass
class Rows:
    """A store as it was found after a crash."""

    messages: dict[str, list[tuple[int, str]]]
    sessions: dict[str, tuple[int, int]]
    pins: dict[str, tuple[int, int]]
    costs: Totals
    replaced: int
    indexed: dict[int, Any]
    expected: dict[int, Any]


def read(connection: Connection) -> Rows:
    """Everything, in one moment."""

    def query(sql: str) -> list[Any]:
        return [tuple(row) for row in connection.exec_driver_sql(sql)]

    postgres = connection.dialect.name == "postgresql"
    words = "tsvector_to_array(words)" if postgres else "words"
    found = Rows(
        messages={},
        sessions={
            key: (n, after) for key, n, after in query("SELECT session_key, messages, next_seq FROM sessions")
        },
        pins={key: (n, run) for key, n, run in query("SELECT session_key, request_count, run FROM pins")},
        costs=Counter(
            {(scope, key): micros for scope, key, micros in query("SELECT scope, key, micros FROM costs")}
        ),
        replaced=query("SELECT count(*) FROM audit WHERE action = 'replaced'")[0][0],
        indexed={
            number: set(kept) if postgres else kept
            for number, kept in query(f"SELECT rowid, {words} FROM message_words")
        },
        expected={},
    )
    for number, key, seq, content in query("SELECT id, session_key, seq, content FROM messages ORDER BY seq"):
        text = msgspec.json.decode(content)
        found.messages.setdefault(key, []).append((seq, text))
        found.expected[number] = set(index_text(text).split()) if postgres else index_text(text)
    return found


def check_sqlite(connection: Connection) -> None:
    """The file and the index in it are sound by their own account."""
    assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
    connection.exec_driver_sql("INSERT INTO message_words (message_words) VALUES ('integrity-check')")


@dataclass
class Known:
    """What a store must hold: all that was acknowledged, and of what was under way all or nothing."""

    own: dict[int, list[str]] = field(default_factory=lambda: {writer: [] for writer in range(WRITERS)})
    pins: dict[int, tuple[int, int]] = field(default_factory=dict)
    costs: Totals = field(default_factory=Counter)
    replaced: int = 0
    begun: set[str] = field(default_factory=set)
    """Texts of messages in shared sessions and of turns."""
    numbered: dict[tuple[str, int], str] = field(default_factory=dict)
    """The acknowledged ones among them, by session and number."""
    gone: list[str] = field(default_factory=list)
    acknowledged: Counter[str] = field(default_factory=Counter)

    def check(self, said: list[Said], found: Rows) -> None:
        """Hold what was found against what was known before and what was said since; it is then what is known."""
        under_way: dict[int, Said] = {}
        booked: Totals = Counter()
        for each in said:
            if not each.done:
                under_way[each.writer] = each
                self.begun.update(_told(each) if each.kind in ("shared", "turn") else ())
                continue
            begun = under_way.pop(each.writer)
            self.acknowledged[each.kind] += 1
            self.replaced += each.kind == "replace"
            self._follow(begun, each.seq)
            booked.update(_booked(begun))
        self._check_own(under_way, found)
        self._check_numbered(found)
        self._check_pins(under_way, found)
        self._check_costs(booked, under_way, found)
        assert (
            self.replaced
            <= found.replaced
            <= self.replaced + sum(each.kind == "replace" for each in under_way.values())
        )
        self.replaced = found.replaced
        for key, (count, next_seq) in found.sessions.items():
            numbers = [seq for seq, _ in found.messages.get(key, [])]
            assert len(numbers) == count, key
            assert next_seq > max(numbers, default=0), key
        assert found.messages.keys() <= found.sessions.keys()
        assert found.indexed == found.expected

    def _follow(self, begun: Said, seq: int) -> None:
        match begun.kind:
            case "append" | "replace":
                self._retire(begun)
                self.own[begun.writer] = _after(self.own[begun.writer], begun)
            case "shared" | "turn":
                (self.numbered[begun.key, seq],) = _told(begun)
            case "pin" | "strike":
                after = _counted(self.pins.get(begun.writer), begun)
                assert seq == (after or (0, 0))[begun.kind == "strike"]
                if after is not None:
                    self.pins[begun.writer] = after
            case "cost":
                pass  # booked by the caller

    def _retire(self, begun: Said) -> None:
        if begun.kind == "replace":
            self.gone += self.own[begun.writer][:1]

    def _check_own(self, under_way: dict[int, Said], found: Rows) -> None:
        """A session of one writer is as after its last acknowledged write, or as after the next one, whole."""
        for writer, texts in self.own.items():
            now = [text for _, text in found.messages.get(f"own{writer}", [])]
            last = under_way.get(writer)
            if now != texts:
                assert last is not None, (writer, "something was written that nobody began, or is lost")
                assert now == _after(texts, last), (writer, last.kind, texts, now)
                self._retire(last)
                self.own[writer] = now

    def _check_numbered(self, found: Rows) -> None:
        """Where messages are only appended every number has one, and each is one that was begun."""
        for key, rows in found.messages.items():
            if not key.startswith("own"):
                assert [seq for seq, _ in rows] == list(range(1, len(rows) + 1)), key
                assert self.begun.issuperset(text for _, text in rows), key
        there = {(key, seq): text for key, rows in found.messages.items() for seq, text in rows}
        assert self.numbered.items() <= there.items()

    def _check_pins(self, under_way: dict[int, Said], found: Rows) -> None:
        for writer in range(WRITERS):
            before, now = self.pins.get(writer), found.pins.get(f"own{writer}")
            last = under_way.get(writer)
            allowed = {before} if last is None else {before, _counted(before, last)}
            assert now in allowed, (writer, now, allowed)
            if now is not None:
                self.pins[writer] = now

    def _check_costs(self, booked: Totals, under_way: dict[int, Said], found: Rows) -> None:
        """A total is at least what was acknowledged and at most what was begun; all scopes have the same sum."""
        least = self.costs + booked
        most = least.copy()
        for each in under_way.values():
            most.update(_booked(each))
        for target in most:
            assert least[target] <= found.costs[target] <= most[target], target
        assert found.costs.keys() - most.keys() == {target for target in found.costs if target[0] == "day"}
        sums = {scope: sum(n for (its, _), n in found.costs.items() if its == scope) for scope in _SCOPES}
        assert len(set(sums.values())) == 1, sums
        for key, rows in found.messages.items():
            if key.startswith("turn"):
                assert found.costs["session", key] == sum(int(text.split()[0]) for _, text in rows), key
        self.costs = Counter({target: n for target, n in found.costs.items() if target[0] != "day"})

    def there(self) -> list[tuple[str, str]]:
        """Words that stand in one message each, with its session."""
        own = [(text, f"own{writer}") for writer, texts in self.own.items() for text in texts]
        others = [(text, key) for (key, _), text in self.numbered.items()]
        return [(_word(text), key) for text, key in own + others]


def _told(begun: Said) -> Iterator[str]:
    """The texts as they are stored."""
    return (f"{begun.micros} {text}" if begun.kind == "turn" else text for text in begun.texts)


def _after(texts: list[str], write: Said) -> list[str]:
    """What a session of one writer holds after one more of its writes."""
    match write.kind:
        case "append":
            return [*texts, *write.texts]
        case "replace":
            return list(write.texts)
        case _:
            return texts


def _counted(pin: tuple[int, int] | None, write: Said) -> tuple[int, int] | None:
    """A pin's requests and its run of equal ones after one more write."""
    if write.kind == "pin":
        return (pin[0] + 1, pin[1]) if pin is not None else (1, 0)
    if write.kind == "strike" and pin is not None:
        return pin[0], pin[1] + 1
    return pin


def _booked(write: Said) -> Totals:
    """What a write adds to which totals."""
    if not write.micros:
        return Counter()
    targets = [
        ("session", write.key),
        ("user", write.user),
        ("project", write.project),
        ("model", write.model),
    ]
    return Counter(dict.fromkeys(targets, write.micros))


def _word(text: str) -> str:
    return next(word for word in text.split() if _TOKEN.fullmatch(word))


async def crash(storage: Storage, chance: random.Random, kills: int) -> Counter[str]:
    """Kill one life of a store after another, and look after each; answers how much was acknowledged, by kind."""
    known = Known()
    for life in range(kills):
        said = await Killed(storage, f"l{life}", str(chance.random())).after(chance)
        database = Database(storage.backend(alone=True))
        try:
            known.check(said, await database.read(read))
            if storage.kind == "sqlite":
                await database.write(check_sqlite)
            search = Search(database)
            there = known.there()
            for word, key in chance.sample(there, min(_SAMPLE, len(there))):
                assert [hit.session_key for hit in await search.search(word)] == [key], word
            for text in known.gone[-_SAMPLE:]:
                assert await search.search(_word(text)) == [], text
        finally:
            await database.aclose()
    return known.acknowledged


async def crashes(fresh: Fresh, *, stores: int, kills: int) -> None:
    """So many kills of each of so many stores."""
    seed = os.environ.get("MAITRED_TEST_SEED") or str(random.randrange(10**6))
    print(f"MAITRED_TEST_SEED={seed}")
    chance = random.Random(seed)
    acknowledged: Counter[str] = Counter()
    for _ in range(stores):
        acknowledged += await crash(fresh(), chance, kills)
        fresh.give_back()
    print(dict(acknowledged))
    assert (
        min(acknowledged[kind] for kind in ("append", "replace", "shared", "cost", "turn", "pin", "strike"))
        > kills
    )


async def test_what_the_store_acknowledged_survives_ten_kills(fresh: Fresh) -> None:
    await crashes(fresh, stores=1, kills=10)


@pytest.mark.soak
async def test_what_the_store_acknowledged_survives_a_hundred_kills(fresh: Fresh) -> None:
    await crashes(fresh, stores=10, kills=10)
