"""How each database keeps the search index, and how a query is put to it (behaviours/history.md, decision 7).

Both keep a table ``message_words`` with a row for each message: `rowid`, the message's id, and `words`, which come
from `core.store.words`. Words are letters and digits only, so none of them can be an operator or end a quotation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec
from sqlalchemy import Connection

from core.store import driver

_MOST_PLACES = 16_383
"""PostgreSQL counts a text's words no further. With places for all of the words the index entry of a message of
`MOST_INDEXED` bytes could also outgrow what a tsvector holds."""


class WordIndex(msgspec.Struct, frozen=True, kw_only=True):
    """The statements of one database, with ``?``, and the forms that words take in them."""

    setup: tuple[str, ...]
    """Makes the index."""
    put: str
    """(message id, entry): index a message, in place of what was there."""
    entry: Callable[[str], str]
    """What is put for words that are joined by spaces."""
    put_staged: str
    """(first number, import id, session key): index the messages that an import has just put into a session."""
    expression: Callable[[Iterable[str]], str]
    """The query for messages that hold all of the words."""
    find: str
    """(expression, most): the best matching messages."""
    find_within: str
    """(expression, session key, most): the same among those of one session."""
    find_owned: str
    """(expression, owner, most): the same among those of one owner's sessions."""


def _places(words: str) -> str:
    """A tsvector as text: each word with its place, by which PostgreSQL ranks."""
    every = words.split(" ")
    placed = [f"{word}:{place}" for place, word in enumerate(every[:_MOST_PLACES], 1)]
    return " ".join(placed + every[_MOST_PLACES:])


_FIND = """
SELECT m.session_key, m.seq, m.role, m.at, m.content
FROM (
    SELECT messages.id AS id, {rank} AS rank, messages.at AS at
    FROM {tables} JOIN messages ON messages.id = message_words.rowid
    WHERE {matches} {{within}}
    ORDER BY 2, 3 DESC, 1 DESC
    LIMIT ?
) AS best JOIN messages AS m ON m.id = best.id
ORDER BY best.rank, best.at DESC, best.id DESC
"""
_WITHIN = "AND messages.session_key = ?"
_OWNED = "AND messages.session_key IN (SELECT session_key FROM sessions WHERE owner = ?)"
_FIND_FTS5 = _FIND.format(rank="message_words.rank", tables="message_words", matches="message_words MATCH ?")
# ts_rank(…, 1): as with bm25, a word counts for less in a long text
_FIND_TSVECTOR = _FIND.format(
    rank="-ts_rank(message_words.words, query, 1)",
    tables="CAST(? AS tsquery) AS query JOIN message_words ON message_words.words @@ query",
    matches="true",
)

_PUT_STAGED = """
INSERT INTO message_words (rowid, words)
SELECT m.id, {entry} FROM staged_messages s JOIN messages m ON m.seq = s.place + ?
WHERE s.import_id = ? AND m.session_key = ? AND s.entry <> ''
ORDER BY s.place
"""

FTS5 = WordIndex(
    # `ascii` keeps words outside ASCII whole
    setup=("CREATE VIRTUAL TABLE message_words USING fts5(words, tokenize='ascii')",),
    put="INSERT OR REPLACE INTO message_words (rowid, words) VALUES (?, ?)",
    entry=str,
    put_staged=_PUT_STAGED.format(entry="s.entry"),
    expression=lambda words: " ".join(f'"{word}"' for word in words),
    find=_FIND_FTS5.format(within=""),
    find_within=_FIND_FTS5.format(within=_WITHIN),
    find_owned=_FIND_FTS5.format(within=_OWNED),
)
"""SQLite's full-text index; its rank is bm25."""

TSVECTOR = WordIndex(
    setup=(
        "CREATE TABLE message_words (rowid BIGINT PRIMARY KEY, words tsvector NOT NULL)",
        "CREATE INDEX message_words_by_word ON message_words USING gin (words)",
    ),
    put=(
        "INSERT INTO message_words (rowid, words) VALUES (?, CAST(? AS tsvector)) "
        "ON CONFLICT (rowid) DO UPDATE SET words = excluded.words"
    ),
    entry=_places,
    put_staged=_PUT_STAGED.format(entry="CAST(s.entry AS tsvector)"),
    expression=lambda words: " & ".join(f"'{word}'" for word in words),
    find=_FIND_TSVECTOR.format(within=""),
    find_within=_FIND_TSVECTOR.format(within=_WITHIN),
    find_owned=_FIND_TSVECTOR.format(within=_OWNED),
)
"""PostgreSQL's."""


def of(connection: Connection) -> WordIndex:
    """The index of the database that a connection leads to."""
    return TSVECTOR if driver.is_shared(connection) else FTS5
