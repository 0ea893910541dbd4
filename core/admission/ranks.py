"""Numbers in order, each with its rank at hand. No I/O.

They are kept in pieces of bounded length, with the rank of each piece's first number beside it; so a rank is two
bisections. An addition or a removal touches one piece. The pieces' own ranks are counted anew when the next rank is
asked for, but not after an addition at the end, as nearly all are.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from itertools import accumulate, chain

_LONGEST = 2000


class Ranks:
    """Distinct numbers in ascending order."""

    def __init__(self) -> None:
        self._pieces: list[list[int]] = []
        self._lasts: list[int] = []
        self._starts: list[int] = []
        """How many numbers come before each piece; empty when that must be counted anew."""
        self._count = 0

    def __iter__(self) -> Iterator[int]:
        """All of them in order."""
        return chain.from_iterable(self._pieces)

    @property
    def first(self) -> int:
        """The least of them; raises IndexError when there is none."""
        return self._pieces[0][0]

    def add(self, number: int) -> None:
        """Put a number in that is not there yet."""
        self._count += 1
        if not self._lasts:
            self._pieces, self._lasts, self._starts = [[number]], [number], [0]
            return
        place = min(bisect_left(self._lasts, number), len(self._lasts) - 1)
        piece = self._pieces[place]
        insort(piece, number)
        self._lasts[place] = piece[-1]
        if place != len(self._lasts) - 1 or len(piece) > _LONGEST:
            self._starts = []
        if len(piece) > _LONGEST:
            half = len(piece) // 2
            self._pieces[place : place + 1] = [piece[:half], piece[half:]]
            self._lasts[place : place + 1] = [piece[half - 1], piece[-1]]

    def remove(self, number: int) -> None:
        """Take out a number that is there; raises KeyError for another."""
        place = bisect_left(self._lasts, number)
        piece = self._pieces[place] if place < len(self._pieces) else []
        within = bisect_left(piece, number)
        if within == len(piece) or piece[within] != number:
            raise KeyError(number)
        self._count -= 1
        del piece[within]
        if piece:
            self._lasts[place] = piece[-1]
        else:
            del self._pieces[place], self._lasts[place]
        self._starts = []

    def rank(self, number: int) -> int:
        """How many of them are not greater than a number."""
        place = bisect_left(self._lasts, number)
        if place == len(self._lasts):
            return self._count
        if not self._starts:
            self._starts = [0, *accumulate(map(len, self._pieces[:-1]))]
        return self._starts[place] + bisect_right(self._pieces[place], number)
