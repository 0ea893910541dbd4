"""The window on a table's rows and the cursor in it, while rows come, move and go.

The cursor belongs to a key. Rows may move under it, and it moves with its row; when its row goes, it is lost rather
than given to the neighbour, so that a key pressed at that moment hits nothing. A window that was scrolled holds the
rows that are looked at, while others come and go above it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from console.panes.order import Order
from console.state import Key


class Viewport:
    """So many rows of an order as fit on the screen, and one of them chosen.

    Until the operator has moved the cursor, it is on the first row, whichever that is; or nowhere, where the top is
    followed.
    """

    def __init__(self, order: Order, *, follow: bool = False) -> None:
        self.top = 0
        self.lost = False
        self.strayed = False
        """The cursor has gone to another row by itself, which no key has confirmed yet."""
        self._order = order
        self._follow = follow
        self._cursor: Key | None = None
        self._chosen = False
        """Whether the cursor is where the operator has put it."""
        self._index = 0
        self._height = 1

    def __len__(self) -> int:
        return len(self._order)

    # ---------------------------------------------------------------------------------------- cursor

    @property
    def cursor(self) -> Key | None:
        """The key that the cursor is on; None when there is none, or its row went."""
        return self._cursor

    @property
    def position(self) -> int | None:
        """Where the cursor is, from the top."""
        return None if self._cursor is None else self._order.position(self._cursor)

    def selected(self) -> Any | None:
        """The row under the cursor."""
        return None if self._cursor is None else self._order.row(self._cursor)

    def move(self, by: int) -> None:
        """Move the cursor by so many rows; a lost cursor comes back where it was lost."""
        at = self.position
        self.move_to(self._index if at is None else at + by)

    def move_to(self, index: int) -> None:
        """Move the cursor to a position from the top, or as near as there is one."""
        if not len(self):
            return
        self._index = max(0, min(index, len(self) - 1))
        self._cursor = self._order.key_at(self._index)
        self.lost, self.strayed, self._chosen = False, False, True
        self.reveal()

    def confirm(self) -> bool:
        """Whether the cursor stands where the operator knows it to be; from now on it does."""
        strayed, self.strayed = self.strayed, False
        return not strayed

    def release(self) -> None:
        """To the top; where that is followed, the cursor is let go."""
        self.top = 0
        if self._follow:
            self._cursor, self._index, self.lost, self._chosen = None, 0, False, False
        else:
            self.move_to(0)

    # ---------------------------------------------------------------------------------------- window

    def resize(self, height: int) -> None:
        """So many rows fit on the screen."""
        if height != self._height:
            was_visible = self.visible
            self._height = max(1, height)
            self._clamp()
            if was_visible:
                self.reveal()

    def scroll(self, by: int) -> None:
        """Move the window and leave the cursor where it is."""
        self.top += by
        self._clamp()

    def window(self) -> list[tuple[Key, Any]]:
        """The rows on the screen, from the top."""
        return [(key, self._order.row(key)) for key in self._keys_on_screen()]

    @property
    def visible(self) -> bool:
        """Whether the cursor is on the screen."""
        at = self.position
        return at is not None and self.top <= at < self.top + self._height

    def reveal(self) -> None:
        """Scroll as little as brings the cursor onto the screen."""
        at = self.position
        if at is not None:
            self.top = min(self.top, at)
            self.top = max(self.top, at - self._height + 1)
        self._clamp()

    def _keys_on_screen(self) -> Iterator[Key]:
        return self._order.keys_between(self.top, self.top + self._height)

    def _looked_at(self) -> list[Key]:
        """The keys of what is on the screen, and of the cursor."""
        keys = list(self._keys_on_screen())
        return keys if self._cursor is None else [*keys, self._cursor]

    # ------------------------------------------------------------------------------- while rows change

    @contextmanager
    def _holding(self) -> Iterator[None]:
        """Rows change in here, and what is looked at does not move on the screen."""
        anchor = self._anchor()
        yield
        self._settle(anchor)

    def _rearranged(self) -> None:
        """Other rows are shown, or in another order: the cursor stays on its row, which comes into sight."""
        if self._chosen and self.position is None:
            # the operator's own filter hides the row, or it was lost before: choose anew among what is shown
            self._cursor, self._index, self.top, self._chosen, self.lost = None, 0, 0, False, False
        self._settle(None)
        self.strayed = False
        self.reveal()

    def _return_to(self, cursor: Key | None, top: int) -> None:
        """Look at what was looked at; a row that has gone meanwhile leaves the cursor lost where it was."""
        at = None if cursor is None else self._order.position(cursor)
        if at is not None:
            self.move_to(at)
        elif cursor is None:
            self._cursor, self._chosen, self.lost = None, False, False
            self._settle(None)
        else:
            self._cursor, self._chosen, self.lost = None, True, True
        self.top = top
        self._clamp()
        if self.top != top:
            self.reveal()  # the filter has not gone so far by now

    def _anchor(self) -> tuple[Key, int] | None:
        """What must not move on the screen: at the top nothing, else the cursor, else the first row in sight."""
        if self.top == 0 or not len(self):
            return None
        at = self.position
        if at is not None and self._cursor is not None and self.visible:
            return self._cursor, at - self.top
        return self._order.key_at(min(self.top, len(self) - 1)), 0

    def _settle(self, anchor: tuple[Key, int] | None) -> None:
        if anchor is not None:
            at = self._order.position(anchor[0])
            if at is not None:
                self.top = at - anchor[1]
        self._clamp()
        if not self._chosen:
            self._stay_at_top()
            return
        at = self.position
        if at is not None:
            self._index = at
        elif self._cursor is not None:
            self._cursor, self.lost = None, True
        if not len(self):
            self.lost = self._chosen = False

    def _stay_at_top(self) -> None:
        """A cursor that nobody has moved is on the first row, whichever that is."""
        before = self._cursor
        if not self._follow:
            self._cursor, self._index = (self._order.key_at(0) if len(self) else None), 0
            self.strayed = self.strayed or before not in (None, self._cursor)

    def _clamp(self) -> None:
        self.top = max(0, min(self.top, len(self) - self._height))
