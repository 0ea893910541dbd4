"""behaviours/history.md, decision 7, on every database."""

from __future__ import annotations

import asyncio
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from core.errors import InvalidArgument
from core.store import pending, sessions
from core.store.search import _Batch, find, snippet_of
from core.store.words import words_of
from tests.storage.storage import Storage
from tests.store.remembered import Remembered


async def say(store: Remembered, *contents: Any, key: str = "k") -> None:
    for content in contents:
        await store.history.append(key, "user", content)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("search", True),
        ("SEARCH py", True),
        ("core, store", True),
        ("acme bob", True),
        ("billing/new", True),
        ("naive cafe", True),
        ("NAÏVE", True),
        ("searc", False),
        ("search missing", False),
        ("acme.org", False),
    ],
)
async def test_all_words_must_occur_as_whole_words(store: Remembered, query: str, found: bool) -> None:
    await say(store, "see core/store/search.py, https://example.com/billing/new, bob@acme.dev; naïve café")
    assert await store.found(query) == ([("k", 1)] if found else [])


@pytest.mark.parametrize(
    "query",
    ["", " ", '"', "*", "(", ")", "%_", "^", "-", ":", "\0", "\ud800", "'", ";", "👍", '""', "\\", "+", "{}"],
)
async def test_a_query_without_a_word_finds_nothing(store: Remembered, query: str) -> None:
    await say(store, 'quote " star * and OR not ( ) : ^ - 👍')
    assert await store.found(query) == []


@pytest.mark.parametrize(
    "query", ["AND OR NOT", "NEAR", "words:note", "note OR nothing", '"note" AND NEAR(a b, 2)', "a*"]
)
async def test_nothing_in_a_query_is_an_operator(store: Remembered, query: str) -> None:
    await say(store, "this note")
    assert await store.found(query) == []
    await say(store, query)
    assert await store.found(query) == [("k", 2)]


async def test_only_text_parts_are_searched(store: Remembered) -> None:
    await say(
        store,
        [
            {"type": "text", "text": "zebra"},
            {"type": "image", "url": "horse"},
            {"type": "text", "text": "crossing"},
        ],
    )
    await store.history.append(
        "k", "assistant", None, extra={"tool_calls": [{"id": "donkey"}], "name": "donkey"}
    )
    assert await store.found("zebra crossing") == [("k", 1)]
    for query in ("image", "text", "url", "horse", "donkey"):
        assert await store.found(query) == []


async def test_best_first_then_newest(store: Remembered) -> None:
    await say(store, "billing " + "padding " * 50, "billing", key="a")
    await say(store, "billing", key="b")
    assert await store.found("billing") == [("b", 1), ("a", 2), ("a", 1)]
    await store.history.append("c", "user", "billing", timestamp="2026-01-01T00:00:00Z")
    assert await store.found("billing") == [("b", 1), ("a", 2), ("c", 1), ("a", 1)]
    assert await store.found("billing", limit=2) == [("b", 1), ("a", 2)]
    assert await store.found("billing", session_key="a") == [("a", 2), ("a", 1)]
    assert await store.found("billing", session_key="a", limit=1) == [("a", 2)]
    assert await store.found("billing", session_key="unknown") == []


@pytest.mark.parametrize("limit", [0, -1, 1001, True])
async def test_a_limit_that_is_none(store: Remembered, limit: int) -> None:
    with pytest.raises(InvalidArgument):
        await store.search.search("x", limit=limit)


async def test_a_hit(store: Remembered) -> None:
    await store.history.append("k", "assistant", "the\n billing\tservice", timestamp="2026-01-01T00:00:00Z")
    (hit,) = await store.search.search("billing")
    assert (hit.session_key, hit.seq, hit.role) == ("k", 1, "assistant")
    assert (hit.timestamp, hit.snippet) == ("2026-01-01T00:00:00Z", "the billing service")


async def test_words_too_long_and_messages_too_large_are_stored_whole(store: Remembered) -> None:
    long, large = "x" * 2001, " ".join(f"w{number:06}" for number in range(140_000))
    await say(store, f"{long} short", large)
    assert await store.found("short") == [("k", 1)]
    assert await store.found(long) == []
    assert await store.found(f"{long} short") == []
    assert await store.found("w000000 w128570") == [("k", 2)]
    assert await store.found("w139999") == []
    assert await store.contents("k") == [f"{long} short", large]


async def test_a_query_of_very_many_words(store: Remembered) -> None:
    words = [f"w{number:06}" for number in range(20_000)]
    await say(store, " ".join(words), " ".join(words[:-1]), " ".join(words[1:]))
    assert await store.found(" ".join(words)) == [("k", 1)]
    assert set(await store.found(" ".join(words[1:-1]))) == {("k", 1), ("k", 2), ("k", 3)}
    assert len(await store.found(" ".join(words[1:-1]), limit=2)) == 2
    assert await store.found("w000000 " * 20_000, session_key="k", limit=1) != []


# ---------------------------------------------------------------------------------------------- reindex


async def damage(store: Remembered) -> None:
    """Words of nobody, wrong words, and none at all."""

    def unit(connection: Connection) -> None:
        connection.execute(text("DELETE FROM message_words WHERE rowid % 2 = 0"))
        connection.execute(text("UPDATE message_words SET words = 'wrong' WHERE rowid = 1"))
        for row in (5_000, 9_999):
            connection.execute(
                text("INSERT INTO message_words (rowid, words) VALUES (:row, 'ghost')"), {"row": row}
            )

    await store.database.write(unit)


def index_rows(connection: Connection) -> list[tuple[int, str]]:
    return [
        tuple(row)
        for row in connection.execute(text("SELECT rowid, words FROM message_words ORDER BY rowid"))
    ]


async def test_reindex_rebuilds_what_is_there(store: Remembered) -> None:
    await asyncio.gather(*(store.history.append("k", "user", f"message {number}") for number in range(450)))
    whole = await store.database.read(index_rows)
    await damage(store)
    progress: list[tuple[int, int]] = []
    assert await store.search.reindex(lambda done, total: progress.append((done, total))) == 450
    assert await store.database.read(index_rows) == whole
    assert progress == [(200, 450), (400, 450), (450, 450)]
    assert await store.search.reindex() == 450
    assert await store.database.read(index_rows) == whole


async def test_reindex_of_nothing(store: Remembered) -> None:
    await damage(store)
    assert await store.search.reindex() == 0
    assert await store.database.read(index_rows) == []


async def test_reindex_can_be_interrupted_and_begun_again(store: Remembered) -> None:
    await asyncio.gather(*(store.history.append("k", "user", f"message {number}") for number in range(450)))
    whole = await store.database.read(index_rows)
    await damage(store)
    reindexing: asyncio.Task[int]

    def interrupt(done: int, total: int) -> None:
        reindexing.cancel()

    reindexing = asyncio.create_task(store.search.reindex(interrupt))
    with pytest.raises(asyncio.CancelledError):
        await reindexing
    await store.history.append("other", "user", "fresh")
    assert await store.found("fresh") == [("other", 1)]
    assert len(await store.found("message", limit=1000)) >= 200
    await store.search.reindex()
    rows = await store.database.read(index_rows)
    assert [words for _, words in rows[:-1]] == [words for _, words in whole]
    assert "fresh" in rows[-1][1]


async def test_others_write_between_the_batches(store: Remembered) -> None:
    await asyncio.gather(*(store.history.append("k", "user", f"message {number}") for number in range(450)))
    writing: list[asyncio.Task[int]] = []

    def write(done: int, total: int) -> None:
        writing.append(asyncio.ensure_future(store.history.append("other", "user", f"new {done}")))

    assert await store.search.reindex(write) == 450
    await asyncio.gather(*writing)
    assert len(await store.found("new")) == 3


async def test_another_process_writes_in_the_middle_of_a_batch(postgres: Storage) -> None:
    """What it stores between the reading of a batch and its end stays found, and what it removes is not put back."""
    store = Remembered(postgres)
    backend = postgres.backend()
    link = await asyncio.to_thread(backend.link)
    try:
        await store.history.append("k", "user", "a plum")
        link.begin(marked=False)
        _Batch(0, 10_000)(link.connection)
        await store.history.append("l", "user", "a fig")
        removing = asyncio.ensure_future(store.history.clear("k"))
        pending.of(link.connection).write(link.connection)
        link.commit()
        await removing
        assert await store.found("fig") == [("l", 1)]
        assert await store.found("plum") == []
        rows = await store.database.read(index_rows)
        assert len(rows) == 1, "nothing of what was removed is left"
    finally:
        link.close()
        backend.close()
        await store.database.aclose()


# ---------------------------------------------------------------------------------------------- snippets


@pytest.mark.parametrize(
    ("said", "query", "snippet"),
    [
        ("short text", "text", "short text"),
        ("a" * 100 + " needle " + "b" * 300, "needle", "…" + "a" * 59 + " needle " + "b" * 93 + "…"),
        ("x-" * 200 + "NÉEDLE", "needle", "…" + "x-" * 30 + "NÉEDLE"),
        ("世界，" * 50 + "你好。", "你好", "…" + "世界，" * 20 + "你好。"),
        ("sub needless needle", "needle", "sub needless needle"),
        ("one\r\n\ttwo   three", "two", "one two three"),
        ("", "x", ""),
    ],
)
def test_a_snippet_surrounds_the_first_hit(said: str, query: str, snippet: str) -> None:
    assert snippet_of(said, frozenset(words_of(query))) == snippet


@given(st.text(min_size=1, max_size=400), st.data())
def test_a_snippet_is_a_piece_of_the_text_with_the_hit(said: str, data: st.DataObject) -> None:
    words = words_of(said)
    if not words:
        return
    wanted = data.draw(st.sampled_from(words))
    snippet = snippet_of(said, frozenset({wanted}))
    assert len(snippet) <= 162
    assert "\n" not in snippet
    assert " ".join(snippet.strip("…").split()) in " ".join(said.split())


@given(st.text(max_size=300))
def test_no_word_reaches_across_the_pieces_that_a_snippet_is_found_by(said: str) -> None:
    from core.store.search import _PIECE

    pieces = [word for piece in _PIECE.finditer(said) for word in words_of(piece.group())]
    assert pieces == words_of(unicodedata.normalize("NFC", said))


async def test_one_owners_sessions(store: Remembered) -> None:
    await store.history.append("a", "user", "a ripe plum", owner="ann")
    await store.history.append("b", "user", "a sour plum", owner="bob")
    await store.history.append("c", "user", "nobody's plum")

    async def found(owner: str | None, **options: Any) -> list[str]:
        hits = await store.database.read(lambda connection: find(connection, "plum", owner=owner, **options))
        return sorted(hit.session_key for hit in hits)

    assert await found("ann") == ["a"]
    assert await found("nobody") == []
    assert await found(None) == ["a", "b", "c"]
    assert await found("ann", session_key="b") == ["b"], "the session that is named counts"


async def test_sessions_are_listed_by_key_and_owner(store: Remembered) -> None:
    for number, owner in enumerate(("ann", "bob", "ann", None)):
        await store.history.append(f"k{number}", "user", "x", owner=owner)

    async def listed(**options: Any) -> tuple[list[str], str | None]:
        page = await store.database.read(lambda connection: sessions.page(connection, **options))
        return [each.session_key for each in page.sessions], page.after

    assert await listed() == (["k0", "k1", "k2", "k3"], None)
    assert await listed(limit=2) == (["k0", "k1"], "k1")
    assert await listed(limit=2, after="k1") == (["k2", "k3"], None)
    assert await listed(owner="ann", limit=1) == (["k0"], "k0")
    assert await listed(owner="ann", limit=1, after="k0") == (["k2"], None)
