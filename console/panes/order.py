"""The order of a table's rows, kept while rows come, change and go.

A change costs O(log n), and so does the position of a key; the rows on the screen are read by index. Rows that the
filter does not let pass keep their place in the order of all, so that another filter sorts nothing; and what it lets
pass is found bit by bit, from the top, so that the first page of it is there at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from sortedcontainers import SortedList

from console.state import Key

SortValue = Callable[[Any], Any]
Test = Callable[[Any], bool]

_FEW = 8
"""Less than this part of the rows may have come since they were put in the order of their keys."""


class Order:
    """Rows by key, in the order of a sort value; equal values are ordered by key.

    Where there is a test, `sift` goes on finding the rows that pass it until all are tested (`sifting`); what changes
    meanwhile, or is asked for by its key, is tested at once.
    """

    def __init__(self, value: SortValue, *, descending: bool = False, test: Test | None = None) -> None:
        self._value = value
        self._descending = descending
        self._test = test
        self._rows: dict[Key, Any] = {}
        """Mostly in the order of their keys, and what came since behind them."""
        self._came = 0
        """How many those are."""
        self._places: dict[Key, tuple[Any, ...]] = {}
        """By what each row is sorted: the sort value, flat, since that compares faster, and behind it the key."""
        self._all: Any = SortedList()
        self._shown: Any = self._all if test is None else SortedList()
        """Those that pass; the same list as `_all` where there is no test."""
        self._passed: set[Key] = set()
        """The keys in `_shown`, where there is a test."""
        self._untested: Iterator[Key] | None = None
        self._tested = 0
        self._round: Iterator[Key] = iter(())

    def __len__(self) -> int:
        """How many rows are shown."""
        return len(self._shown)

    @property
    def known(self) -> int:
        """How many rows there are, shown or not."""
        return len(self._rows)

    @property
    def sifting(self) -> bool:
        """Whether rows are still to be tested."""
        return self._untested is not None

    @property
    def sifted(self) -> int:
        """How many rows have been tested, while some are still to be."""
        return self._tested

    def put(self, key: Key, row: Any) -> None:
        """Set a row: it takes its place, or moves to where it belongs now."""
        self._rows[key] = row
        value, before = self._value(row), self._places.get(key)
        self._came += before is None
        place = (*value, key) if isinstance(value, tuple) else (value, key)
        if before != place:
            if before is not None:
                self._all.remove(before)
                self._hide(key)
            self._places[key] = place
            self._all.add(place)
        if self._test is not None:
            if self._test(row):
                self._show(key)
            else:
                self._hide(key)

    def drop(self, key: Key) -> None:
        """A row is gone; dropping an unknown one does nothing."""
        if self._rows.pop(key, None) is not None:
            self._hide(key)
            self._all.remove(self._places.pop(key))

    def clear(self) -> None:
        """All rows are gone."""
        self._rows, self._places, self._all, self._came = {}, {}, SortedList(), 0
        self._begin()

    def keys(self) -> set[Key]:
        """The keys of all rows, shown or not."""
        return set(self._rows)

    def arrange(self, value: SortValue, *, descending: bool, test: Test | None) -> None:
        """Another order or another filter for the same rows; where the filter is another one, `sift` has to follow."""
        same_order, same_test = value is self._value, test is self._test and not self.sifting
        self._value, self._descending, self._test = value, descending, test
        if not same_order:
            self._sort()
        if test is None or not same_test:
            self._begin()
        elif not same_order:
            # in order already: from `_passed` they would have to be sorted once more
            self._shown = SortedList([place for place in self._all if place[-1] in self._passed])

    def sift(self, count: int) -> bool:
        """Test so many more rows, from the top; whether some are left to be tested."""
        if self._untested is None:
            return False
        keys = list(islice(self._untested, count))
        for key in keys:
            self._try(key)
        self._tested += len(keys)
        if len(keys) < count:
            self._untested = None
        return self.sifting

    def finish(self) -> None:
        """Test all that are left."""
        while self.sift(len(self._rows) + 1):
            pass

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
        if not 0 <= index < len(self._shown):
            raise IndexError(index)
        key: Key = self._shown[-1 - index if self._descending else index][-1]
        return key

    def keys_between(self, start: int, stop: int) -> Iterator[Key]:
        """The keys of the positions from `start` up to but not including `stop`."""
        count = len(self._shown)
        start, stop = max(0, start), min(stop, count)
        if start >= stop:
            return
        if self._descending:
            places = self._shown.islice(count - stop, count - start, reverse=True)
        else:
            places = self._shown.islice(start, stop)
        for place in places:
            yield place[-1]

    def position(self, key: Key) -> int | None:
        """Where the row of that key is, from the top; None when it is gone or not shown."""
        if key not in self._places:
            return None
        if self._test is not None:
            if self.sifting:
                self._try(key)
            if key not in self._passed:
                return None
        index: int = self._shown.index(self._places[key])
        return len(self._shown) - 1 - index if self._descending else index

    def _try(self, key: Key) -> None:
        """Show a row if it passes; one that went meanwhile is passed over."""
        row = self._rows.get(key)
        if key not in self._passed and row is not None and self._test is not None and self._test(row):
            self._show(key)

    def _show(self, key: Key) -> None:
        if key not in self._passed:
            self._passed.add(key)
            self._shown.add(self._places[key])

    def _hide(self, key: Key) -> None:
        """Take a row out of those that passed; to be called while its place is still known."""
        if key in self._passed:
            self._passed.remove(key)
            self._shown.remove(self._places[key])

    def _sort(self) -> None:
        """Sort by value and key, from the order of the keys: rows that are equal are in order then already."""
        if self._came > len(self._rows) // _FEW:
            self._rows = {key: self._rows[key] for key in sorted(self._rows)}
            self._came = 0
        value, rows = self._value, self._rows
        if isinstance(next(map(value, rows.values()), None), tuple):
            self._places = {key: (*value(row), key) for key, row in rows.items()}
        else:
            self._places = {key: (value(row), key) for key, row in rows.items()}
        self._all = SortedList(self._places.values())

    def _begin(self) -> None:
        """Nothing has been tested by now."""
        self._passed, self._tested = set(), 0
        if self._test is None:
            self._shown, self._untested = self._all, None
            return
        self._shown = SortedList()
        # the keys as they stand now: what changes meanwhile is tested when it does
        self._untested = iter(
            [place[-1] for place in (reversed(self._all) if self._descending else self._all)]
        )
