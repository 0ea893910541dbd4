"""The words of a text: one function for texts and queries, for any database (behaviours/history.md, decision 7)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from unicodedata import category, normalize

LONGEST_WORD = 2_000
"""Bytes (UTF-8) of the longest word that is indexed; a query with a longer one finds nothing."""

MOST_INDEXED = 900_000
"""Bytes (UTF-8) of words after which indexing a message stops."""

# One step for ASCII, where most texts live: lower case, and a space for whatever is no letter and no digit.
_ASCII = bytes(ord(chr(code).lower()) if chr(code).isalnum() else 0x20 for code in range(128)) + bytes(128)


def words_of(text: str) -> list[str]:
    """The words of a text or a query, in order, with repeats.

    NFKD, case-fold, NFKD, marks (category M) dropped; then every run of letters and decimal digits (L, Nd) is a
    word. So any two canonically or compatibly equal texts have the same words.
    """
    if text.isascii():
        return text.encode().translate(_ASCII).decode().split()
    folded = normalize("NFKD", normalize("NFKD", text).casefold())
    return folded.translate({ord(char): _place(char) for char in set(folded)}).split()


def index_text(text: str) -> str:
    """The words that the index takes of a message's text, joined by spaces.

    Words over `LONGEST_WORD` bytes are left out; the first word that does not fit into `MOST_INDEXED` ends it.
    """
    words = words_of(text)
    if text.isascii() and len(text) <= MOST_INDEXED and max(map(len, words), default=0) <= LONGEST_WORD:
        # where every character is a byte nothing has to be measured word by word
        return " ".join(words)
    return " ".join(_bounded(words))


def _bounded(words: Iterable[str]) -> Iterator[str]:
    left = MOST_INDEXED
    for word in words:
        size = len(word) if word.isascii() else len(word.encode())
        if size > LONGEST_WORD:
            continue
        left -= size
        if left < 0:
            return
        yield word


def _place(char: str) -> str | None:
    """What stands for a folded character: itself in a word, nothing for a mark, else a space."""
    kind = category(char)
    if kind[0] == "L" or kind == "Nd":
        return char
    return None if kind[0] == "M" else " "
