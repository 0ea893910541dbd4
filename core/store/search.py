"""Full-text search over the words that `core.store.words` makes (behaviours/history.md, decision 7).

How the index is kept and asked is `core.store.word_index`; nothing else in the store knows of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Set
from itertools import islice

import msgspec
from sqlalchemy import Connection

from core.clock import timestamp
from core.protocol import SearchHit
from core.store import driver, pending, word_index
from core.store.database import Database
from core.store.message import check_key, check_limit, text_of
from core.store.words import LONGEST_WORD, index_text, words_of

_BATCH = 200
_MOST_MATCHED = 500
_ALL = 2**62
_SNIPPET = 160
_BEFORE_HIT = 60

# Pieces that no word reaches across: white space, ASCII's and the general and CJK punctuation.
_PIECE = re.compile(r"[^\s!-/:-@\[-`{-~\u2000-\u206f\u3000-\u3004\u3008-\u3020\uff00-\uff0f]+")

# Every change of the index is deferred to the end of the transaction, so that they all happen in order.
_FORGOTTEN = "SELECT id FROM messages WHERE session_key = ? AND seq > ? AND seq < ?"
_FORGET = "DELETE FROM message_words WHERE rowid = ?"
_NEXT_BATCH = "SELECT id, content FROM messages WHERE id > ? AND id <= ? ORDER BY id LIMIT ?"
_UNINDEX_BETWEEN = """
DELETE FROM message_words WHERE rowid > ? AND rowid <= ?
AND rowid NOT IN (SELECT id FROM messages WHERE id > ? AND id <= ?)
"""
_UNINDEX_STRAY = (
    "DELETE FROM message_words WHERE rowid > ? AND rowid NOT IN (SELECT id FROM messages WHERE id > ?)"
)


def index(connection: Connection, message_id: int, words: str) -> None:
    """Put a new message's words into the index, in the transaction that stores the message."""
    if words:
        kept = word_index.of(connection)
        pending.defer(connection, kept.put, (message_id, kept.entry(words)))


def forget(connection: Connection, session_key: str, after: int, before: int) -> None:
    """Take a session's messages with numbers between the two out of the index; they are still stored."""
    for forgotten in driver.rows(connection, _FORGOTTEN, (session_key, after, before)):
        pending.defer(connection, _FORGET, forgotten)


def index_stored(connection: Connection, message_id: int, content: str) -> None:
    """Put a stored message into the index, by its content as it is stored (JSON)."""
    index(connection, message_id, index_text(text_of(msgspec.json.decode(content))))


def entry_of(connection: Connection, words: str) -> str:
    """The words as the index takes them; what is staged with it goes into the index by `index_staged`."""
    return word_index.of(connection).entry(words) if words else ""


def index_staged(connection: Connection, import_id: str, session_key: str, first_seq: int) -> None:
    """Put into the index what an import has just put into a session, under numbers from `first_seq` on."""
    kept = word_index.of(connection)
    pending.defer(connection, kept.put_staged, (first_seq, import_id, session_key))


def find(
    connection: Connection,
    query: str,
    *,
    limit: int = 20,
    session_key: str | None = None,
    owner: str | None = None,
) -> list[SearchHit]:
    """Messages that hold every word of the query as a whole word: best first, then newest.

    They are those of one session where that is named, else of one owner's sessions, else of all.
    A query without a word, or with one too long to be indexed, finds nothing. Raises InvalidArgument for a limit
    outside 1 to 1000 or a bad key.
    """
    check_limit(limit)
    if session_key is not None:
        check_key(session_key)
    wanted = dict.fromkeys(words_of(query))
    if not wanted or any(len(word.encode()) > LONGEST_WORD for word in wanted):
        return []
    matched = _match(connection, list(wanted), limit, session_key, owner)
    return [_hit(found, wanted.keys()) for found in matched]


class _Found(msgspec.Struct, frozen=True):
    """A message that was found."""

    session_key: str
    seq: int
    role: str
    at: int
    content: str

    @property
    def text(self) -> str:
        return text_of(msgspec.json.decode(self.content))


class Search:
    """Search and rebuilding of the index, on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def search(self, query: str, *, limit: int = 20, session_key: str | None = None) -> list[SearchHit]:
        """See `find`."""
        return await self._database.read(
            lambda connection: find(connection, query, limit=limit, session_key=session_key)
        )

    async def reindex(self, progress: Callable[[int, int], None] | None = None) -> int:
        """Index every message anew, in batches between which others write; answers how many.

        `progress` is told (done, of) after every batch. Cancelling the task stops between two batches; each batch
        is whole or not begun, so search works all the while, and after an interruption.
        """
        total, last = await self._database.read(_extent)
        done, reached = 0, 0
        while reached < last:
            count, reached = await self._database.write(_Batch(reached, last))
            done += count
            if progress is not None:
                progress(done, max(done, total))
        await self._database.write(lambda connection: _sweep(connection, last))
        return done


class _Batch(msgspec.Struct, frozen=True):
    """The unit of work that indexes the next messages after an id, up to `last`; answers how many, and up to where."""

    after: int
    last: int

    def __call__(self, connection: Connection) -> tuple[int, int]:
        # held, so that nobody removes one meanwhile whose words would then be put back
        batch = driver.held(connection, _NEXT_BATCH, (self.after, self.last, _BATCH))
        reached = batch[-1][0] if len(batch) == _BATCH else self.last
        # Whatever stands in the index between two messages is of none, and goes too; but only what is of none in that
        # very moment: another process may have stored a message there since the batch was read.
        between = (self.after, reached)
        pending.defer(connection, _UNINDEX_BETWEEN, between * 2)
        for message_id, content in batch:
            pending.defer(connection, _FORGET, (message_id,))
            index_stored(connection, message_id, content)
        return len(batch), reached


def _extent(connection: Connection) -> tuple[int, int]:
    count, last = driver.rows(connection, "SELECT count(*), coalesce(max(id), 0) FROM messages", ())[0]
    return count, last


def _sweep(connection: Connection, last: int) -> None:
    """Take out what stands in the index after the last message and belongs to none."""
    pending.defer(connection, _UNINDEX_STRAY, (last, last))


def _match(
    connection: Connection, wanted: list[str], limit: int, session_key: str | None, owner: str | None
) -> list[_Found]:
    """The rows of the hits. FTS5 takes quadratic time over very many words: the shortest ones are looked for here."""
    wanted.sort(key=len, reverse=True)
    rest = set(wanted[_MOST_MATCHED:])
    kept = word_index.of(connection)
    expression = kept.expression(wanted[:_MOST_MATCHED])
    most = _ALL if rest else limit
    if session_key is not None:
        rows = driver.each(connection, kept.find_within, (expression, session_key, most))
    elif owner is not None:
        rows = driver.each(connection, kept.find_owned, (expression, owner, most))
    else:
        rows = driver.each(connection, kept.find, (expression, most))
    found = (_Found(*row) for row in rows)
    if not rest:
        return list(found)
    return list(islice((each for each in found if rest.issubset(index_text(each.text).split())), limit))


def _hit(found: _Found, wanted: Set[str]) -> SearchHit:
    return SearchHit(
        session_key=found.session_key,
        seq=found.seq,
        role=found.role,
        timestamp=timestamp(found.at),
        snippet=snippet_of(found.text, wanted),
    )


def snippet_of(text: str, wanted: Set[str]) -> str:
    """About 160 code points of the text around the first of the wanted words, in one line; `…` is what was cut."""
    hit = next(
        (piece for piece in _PIECE.finditer(text) if not wanted.isdisjoint(words_of(piece.group()))), None
    )
    start = max(0, hit.start() - _BEFORE_HIT) if hit is not None else 0
    end = start + _SNIPPET
    line = " ".join(text[start:end].split())
    return f"{'…' if start else ''}{line}{'…' if end < len(text) else ''}"
