"""Where the words of a query stand in a text, so that the screen can mark them. Pure.

A core finds words, not characters (behaviours/history.md, decision 7): folded by NFKD and case, without marks. What
is marked here is what a core finds by.
"""

from __future__ import annotations

import re
from collections.abc import Set
from unicodedata import category, normalize

# Pieces that no word reaches across: white space, ASCII's and the general and CJK punctuation.
_PIECE = re.compile(r"[^\s!-/:-@\[-`{-~\u2000-\u206f\u3000-\u3004\u3008-\u3020\uff00-\uff0f]+")
_ASCII_WORD = re.compile(r"[a-z0-9]+")


def words(text: str) -> set[str]:
    """The words of a text or a query, folded as a core folds them."""
    if text.isascii():
        return set(_ASCII_WORD.findall(text.lower()))
    folded = normalize("NFKD", normalize("NFKD", text).casefold())
    return set("".join(map(_place, folded)).split())


def marked(text: str, wanted: Set[str]) -> list[tuple[str, bool]]:
    """The text in pieces, in order, each with whether it holds one of the wanted words."""
    if not wanted:
        return [(text, False)] if text else []
    pieces: list[tuple[str, bool]] = []
    told = 0
    for piece in _PIECE.finditer(text):
        if wanted.isdisjoint(words(piece.group())):
            continue
        if piece.start() > told:
            pieces.append((text[told : piece.start()], False))
        pieces.append((piece.group(), True))
        told = piece.end()
    if told < len(text):
        pieces.append((text[told:], False))
    return pieces


def _place(char: str) -> str:
    """What stands for a folded character: itself in a word, nothing for a mark, else a space."""
    kind = category(char)
    if kind[0] == "L" or kind == "Nd":
        return char
    return "" if kind[0] == "M" else " "
