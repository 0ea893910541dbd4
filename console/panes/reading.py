"""How a pane's rows come from what it draws from into their order: what changed at once, very many bit by bit."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain, islice
from typing import Any

from console.panes.order import Order
from console.panes.pane import Pane
from console.state import Changed, Key

_MANY = 1_000
"""From how many changed rows on it is looked at whether reading all of them anew is cheaper."""

_READ_FIRST, _READ_AT_ONCE = 2_000, 100
"""Rows that are read before the first picture of a pane, and of a large one then with each step."""


class Reading:
    """Reads rows anew: those that changed, and all of them after a new view.

    Nothing is read before `catch_up`. Of a large pane all is only begun there, and `go_on` has to follow; rows that
    were known stay meanwhile, and who asks for one of them has it read before (`early`).
    """

    def __init__(
        self, pane: Pane[Any, Any], order: Order, gone: Callable[[Iterable[Key]], None] = lambda keys: None
    ) -> None:
        """`gone` hears of the keys whose rows are no more; it may hear of them twice."""
        self._pane = pane
        self._order = order
        self._gone = gone
        self._source: Any = None
        """What was read from last."""
        self._pending: set[Key] = set()
        self._renew = True
        self._unread: Iterator[Key] | None = None
        """The keys whose rows are still to be read anew."""
        self._to_read = self._read = 0

    @property
    def pending(self) -> int:
        """How many rows are known to have changed and are not being read yet."""
        return len(self._pending)

    @property
    def percent(self) -> int | None:
        """How far it is; None when nothing is left to `go_on` with."""
        return None if self._unread is None else 100 * self._read // self._to_read

    def note(self, changed: Changed, *, frozen: bool) -> None:
        """Remember what changed; what is frozen counts every row of it, until it is read."""
        if changed.everything:
            self._renew = True
            self._pending.clear()
        if not self._renew:
            self._pending |= self._pane.changed(changed)
            if not frozen and len(self._pending) > max(_MANY, self._order.known // 2):
                # a pane that nobody looks at would else collect keys for as long as the console runs
                self._renew = True
                self._pending.clear()

    def turn_to(self, source: Any, again: Collection[Key] = ()) -> bool:
        """Read from here from now on, and these rows as if they had changed; whether `catch_up` has to follow."""
        self._source = source
        self._pending.update(again)
        return bool(self._renew or self._pending or self._unread is not None)

    def catch_up(self, looked_at: Callable[[], Iterable[Key]]) -> None:
        """Read what changed; where that is much, what is looked at then, and of the rest the first."""
        keys, self._pending = self._pending, set()
        if self._renew:
            self._renew = False
            self._unread, self._to_read, self._read = None, 0, 0
            self._read_later(self._all_keys())
        elif len(keys) > _READ_FIRST:
            self._read_later(keys)
        else:
            for key in keys:
                self._take(key)
        if self._unread is not None:
            for key in looked_at():
                self._take(key)

    def go_on(self) -> bool:
        """Read more rows, so few that a slice of time holds many such steps; whether some are left."""
        return self._read_more(_READ_AT_ONCE)

    def finish(self) -> None:
        """Read all that are left."""
        self._read_more(self._to_read)

    def early(self, key: Key) -> None:
        """Have the row of a key that is asked for, if its turn has not come yet."""
        if self._unread is not None:
            self._take(key)

    def _all_keys(self) -> list[Key]:
        """The keys of what there is, behind those that are gone."""
        keys = list(self._pane.keys(self._source))
        gone = self._order.keys().difference(keys)
        self._gone(gone)
        if len(gone) == self._order.known:
            self._order.clear()
            return keys
        return [*gone, *keys]

    def _read_later(self, keys: Collection[Key]) -> None:
        self._unread = chain(self._unread or (), keys)
        self._to_read += len(keys)
        self._read_more(_READ_FIRST)

    def _read_more(self, count: int) -> bool:
        if self._unread is None:
            return False
        keys = list(islice(self._unread, count))
        for key in keys:
            self._take(key)
        self._read += len(keys)
        if self._read >= self._to_read:
            self._unread, self._to_read, self._read = None, 0, 0
        return self._unread is not None

    def _take(self, key: Key) -> None:
        """Show a row as it is now, or no longer."""
        row = self._pane.row(self._source, key)
        if row is not None:
            self._order.put(key, row)
        else:
            self._order.drop(key)
            self._gone((key,))
