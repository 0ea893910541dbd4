"""The order of a table's rows, kept while rows come, change and go: never sorted again as a whole.

A change costs O(log n), and so does the position of a key; the rows on the screen are read by index. Rows that the
filter does not let pass are known, but have no place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from sortedcontainers import SortedList

from console.state import Key

SortValue = Callable[[Any], Any]
Test = Callable[[Any], bool]


class Order:
    """Rows by key, in the order of a sort value; equal values are ordered by key."""

    def __init__(self, value: SortValue, *, descending: bool = False, test: Test | None = None) -> None:
        self._value = value
        self._descending = descending
        self._test = test
        self._rows: dict[Key, Any] = {}
        self._values: dict[Key, Any] = {}
        self._places: Any = SortedList()
        self._round: Iterator[Key] = iter(())

    def __len__(self) -> int:
        """How many rows have a place."""
        return len(self._places)

    @property
    def known(self) -> int:
        """How many rows there are, shown or not."""
        return len(self._rows)

    def put(self, key: Key, row: Any) -> None:
        """Set a row: it takes its place, or moves to where it belongs now."""
        self._rows[key] = row
        if self._test is not None and not self._test(row):
            self._unplace(key)
            return
        value = self._value(row)
        if key in self._values:
            before = self._values[key]
            if before == value:
                return
            self._places.remove((before, key))
        self._values[key] = value
        self._places.add((value, key))

    def drop(self, key: Key) -> None:
        """A row is gone; dropping an unknown one does nothing."""
        if self._rows.pop(key, None) is not None:
            self._unplace(key)

    def replace(self, rows: Iterable[tuple[Key, Any]]) -> None:
        """Other rows altogether, as after a new view: the one time that everything is sorted."""
        self._rows = dict(rows)
        self._sort()

    def arrange(self, value: SortValue, *, descending: bool, test: Test | None) -> None:
        """Another order or another filter for the same rows."""
        same = value is self._value and test is self._test
        self._value, self._descending, self._test = value, descending, test
        if not same:
            self._sort()

    def next_keys(self, count: int) -> list[Key]:
        """So many of the keys that are known, shown or not; with the next call those that follow, and so on, round."""
        keys = list(islice(self._round, count))
        if len(keys) < count:
            self._round = iter(list(self._rows))
        return keys

    def some(self, count: int) -> Iterator[Any]:
        """So many of the rows, shown or not."""
        return islice(self._rows.values(), count)

    def row(self, key: Key) -> Any | None:
        """The row of that key, shown or not."""
        return self._rows.get(key)

    def key_at(self, index: int) -> Key:
        """The key at a position from the top; raises IndexError."""
        if not 0 <= index < len(self._places):
            raise IndexError(index)
        key: Key = self._places[-1 - index if self._descending else index][1]
        return key

    def keys_between(self, start: int, stop: int) -> Iterator[Key]:
        """The keys of the positions from `start` up to but not including `stop`."""
        count = len(self._places)
        start, stop = max(0, start), min(stop, count)
        if start >= stop:
            return
        if self._descending:
            places = self._places.islice(count - stop, count - start, reverse=True)
        else:
            places = self._places.islice(start, stop)
        for _, key in places:
            yield key

    def position(self, key: Key) -> int | None:
        """Where the row of that key is, from the top; None when it is gone or not shown."""
        if key not in self._values:
            return None
        index: int = self._places.index((self._values[key], key))
        return len(self._places) - 1 - index if self._descending else index

    def _unplace(self, key: Key) -> None:
        if key in self._values:
            self._places.remove((self._values.pop(key), key))

    def _sort(self) -> None:
        test, value = self._test, self._value
        self._values = {key: value(row) for key, row in self._rows.items() if test is None or test(row)}
        self._places = SortedList((value, key) for key, value in self._values.items())
