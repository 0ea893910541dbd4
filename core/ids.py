"""New ids: 32 hex digits that nobody can guess."""

from __future__ import annotations

import os

_SIZE = 16
_AT_ONCE = 256


class Ids:
    """Draws its randomness for many ids at once: each draw gives the interpreter away, to get it back later."""

    def __init__(self) -> None:
        self._block = b""
        self._at = 0

    def new(self) -> str:
        """An id that was never given out before."""
        if self._at == len(self._block):
            self._block, self._at = os.urandom(_SIZE * _AT_ONCE), 0
        start, self._at = self._at, self._at + _SIZE
        return self._block[start : self._at].hex()
