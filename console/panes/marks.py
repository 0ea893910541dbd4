"""Which of a table's rows are marked. Marks belong to keys: they go where their rows go, and with them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from console.panes.order import Order
from console.state import Key


class Marks(Collection[Key]):
    """The keys that are marked, in the order in which they were."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._keys: dict[Key, None] = {}
        self._last: Key | None = None
        """Where a range begins."""

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def __iter__(self) -> Iterator[Key]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def toggle(self, key: Key) -> None:
        """Mark a row, or take its mark back."""
        if key in self._keys:
            del self._keys[key]
            self._last = None
        else:
            self._keys[key] = None
            self._last = key

    def add_range(self, end: Key) -> bool:
        """Mark all rows from the one that was marked last to this one; False when one of them is not shown."""
        at = self._order.position(end)
        begun = None if self._last is None else self._order.position(self._last)
        if at is None or begun is None:
            return False
        self._keys.update(dict.fromkeys(self._order.keys_between(min(at, begun), max(at, begun) + 1)))
        self._last = end
        return True

    def toggle_shown(self) -> None:
        """Mark every row that is shown; when all of them are, take these marks back."""
        shown = self._shown()
        if all(key in self._keys for key in shown):
            self.drop(shown)
        else:
            self._keys.update(dict.fromkeys(shown))
        self._last = None

    def drop(self, keys: Iterable[Key]) -> None:
        """Take the marks of these back, as far as they have some."""
        for key in keys:
            self._keys.pop(key, None)

    @property
    def hidden(self) -> int:
        """How many of the marked rows are not shown."""
        return sum(self._order.position(key) is None for key in self._keys)

    def rows(self) -> list[tuple[Key, Any]]:
        """The marked rows, in the order in which they are shown; those that are not come last."""
        end = len(self._order)

        def place(key: Key) -> int:
            at = self._order.position(key)
            return end if at is None else at

        return [(key, self._order.row(key)) for key in sorted(self._keys, key=place)]

    def picked(self) -> list[Any]:
        """The marked rows, or all that are shown where none is marked, in the order in which they are shown."""
        shown = self._shown()
        if not self._keys:
            return [self._order.row(key) for key in shown]
        keys = dict.fromkeys(key for key in shown if key in self._keys)
        # those that are not shown come last
        return [self._order.row(key) for key in (*keys, *(key for key in self._keys if key not in keys))]

    def _shown(self) -> list[Key]:
        return list(self._order.keys_between(0, len(self._order)))
