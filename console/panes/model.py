"""What one pane shows right now: its rows in order, its cursor, its filter, its marks. It knows no terminal.

Where rows come from is `reading`'s, where they stand is `order`'s, what is in sight of them is `viewport`'s; here the
operator's choices are, and what they mean for each of these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from console.actions import Target
from console.panes.columns import Arrangement, shown
from console.panes.filter import Fault, Filter, parse
from console.panes.marks import Marks
from console.panes.order import Order
from console.panes.pane import Pane
from console.panes.reading import Reading
from console.panes.viewport import Viewport
from console.state import Changed, Key

_TESTED_AGAIN = 500
"""Of a filter that goes by the time so many rows are tested again with each frame, in turn."""

_TESTED_FIRST, _TESTED_AT_ONCE = 1_500, 150
"""Rows that another filter goes through before the first picture of it, and then with each step."""


class HowFar(NamedTuple):
    """How far a pane is with what it does bit by bit."""

    doing: str
    percent: int


class Held(NamedTuple):
    """How a pane is shown: what is needed to show it so again."""

    filter: str
    scope: str
    sort: str
    descending: bool
    cursor: Key | None
    top: int
    columns: Arrangement


class PaneModel(Viewport):
    """One pane of one console; kept while others are shown, so that filter and cursor are there on the way back."""

    def __init__(
        self,
        pane: Pane[Any, Any],
        *,
        only: Callable[[Any], bool] | None = None,
        now: Callable[[], int] = lambda: 0,
    ) -> None:
        """`only` lets rows through whatever the filter says; `now` is the time in milliseconds that filters go by."""
        order = Order(pane.column(pane.sort).sort, descending=pane.descending, test=only)
        super().__init__(order, follow=pane.follow)
        self.pane = pane
        self.columns = pane.columns
        """The columns that are to be shown, as far as there is room, in their order; see `show_columns`."""
        self.arrangement = Arrangement()
        self.sort = pane.sort
        self.descending = pane.descending
        self.filter = ""
        self.fault: Fault | None = None
        """What is wrong with the filter's text; meanwhile the one before is in force."""
        self.in_force = ""
        self.scope = ""
        """The kind of rows that is shown, of the pane's `scopes`; none is all."""
        self.marks = Marks(order)
        self._reading = Reading(pane, order, gone=self.marks.drop)
        self._frozen = False
        self._only = only
        self._test = only
        self._now = now
        self._parsed = Filter(None)

    # ------------------------------------------------------------------------------------------ data

    def note(self, changed: Changed) -> None:
        """Remember what changed; nothing is looked at until the pane is drawn."""
        self._reading.note(changed, frozen=self._frozen)

    @property
    def frozen(self) -> bool:
        """Whether it stays as it is, whatever changes."""
        return self._frozen

    @frozen.setter
    def frozen(self, frozen: bool) -> None:
        if frozen:
            self._read_all()
        self._frozen = frozen

    @property
    def held_back(self) -> int:
        """How many rows changed since the pane was frozen."""
        return self._reading.pending if self._frozen else 0

    def catch_up(self, state: Any) -> None:
        """Take over what changed in what the pane draws from, unless it is frozen.

        After a new view all is read anew. Of a large pane that is only begun here, and `go_on` has to follow; what is
        looked at is read at once, and so is what changes meanwhile.
        """
        if self._frozen:
            return
        again = self._order.next_keys(_TESTED_AGAIN) if self._parsed.timed else ()
        if self._reading.turn_to(state, again):
            with self._holding():
                self._reading.catch_up(self._looked_at)

    def _read_all(self) -> None:
        if self._reading.percent is not None:
            with self._holding():
                self._reading.finish()

    @property
    def no_columns(self) -> tuple[str, ...]:
        """What the filter says before a colon as if it were a column, and the pane has none of that name."""
        return self._parsed.no_columns

    @property
    def progress(self) -> HowFar | None:
        """What it does bit by bit, and how far it is; None when nothing is left to do."""
        read = self._reading.percent
        if read is not None:
            return HowFar("read", read)
        if self._order.sifting:
            return HowFar("filtered", 100 * self._order.sifted // max(1, self.known))
        return None

    def go_on(self) -> bool:
        """Read and filter more rows, a step so small that many fit between two keys; whether some are left."""
        with self._holding():
            reading = self._reading.go_on()
            sifting = self._order.sift(_TESTED_AT_ONCE)
        return reading or sifting

    def _finish(self) -> None:
        """Who counts on all rows waits for them."""
        self._read_all()
        self._order.finish()

    # ---------------------------------------------------------------------------------------- columns

    def show_columns(self, arrangement: Arrangement) -> None:
        """Show these columns; rows are sorted and filtered by hidden ones all the same."""
        self.arrangement = arrangement
        self.columns = shown(self.pane.columns, arrangement)

    # ----------------------------------------------------------------------------------- order, filter

    def sort_by(self, column_id: str, *, descending: bool) -> None:
        """Another order; the cursor stays on its row, which comes into sight."""
        self.sort, self.descending = column_id, descending
        self._arrange()

    def filter_by(self, text: str) -> None:
        """Another filter; an empty one shows everything, and with a faulty one the one before stays in force."""
        self.filter = text
        parsed = parse(self.pane, text, self._now)
        if isinstance(parsed, Fault):
            self.fault = parsed
            return
        self.fault, self._parsed, self.in_force = None, parsed, text
        self._retest()
        self._arrange()

    def next_scope(self) -> str:
        """Show the next kind of rows, and after the last one all of them; answers which. Needs a pane with scopes."""
        scopes = ("", *self.pane.scopes)
        self.scope = scopes[(scopes.index(self.scope) + 1) % len(scopes)]
        self._retest()
        self._arrange()
        return self.scope

    def _in_scope(self) -> Callable[[Any], bool] | None:
        scope, scope_of = self.scope, self.pane.scope_of
        return (lambda row: scope_of(row) == scope) if scope else None

    def _retest(self) -> None:
        tests = [each for each in (self._only, self._in_scope(), self._parsed.test) if each]
        self._test = (lambda row: all(each(row) for each in tests)) if tests else None

    def _arrange(self) -> None:
        self._order.arrange(self.pane.column(self.sort).sort, descending=self.descending, test=self._test)
        self._order.sift(_TESTED_FIRST)
        self._rearranged()

    def hold(self) -> Held:
        """How it is shown now."""
        cursor = self._cursor if self._chosen else None
        how = (self.in_force, self.scope, self.sort, self.descending)
        return Held(*how, cursor, self.top, self.arrangement)

    def show_as(self, held: Held) -> None:
        """Show it as it was; a row that has gone meanwhile leaves the cursor lost where it was."""
        self.scope, self.sort, self.descending = held.scope, held.sort, held.descending
        self.show_columns(held.columns)
        self.filter_by(held.filter)
        if held.cursor is not None:
            self._reading.early(held.cursor)
        self._return_to(held.cursor, held.top)

    # ------------------------------------------------------------------------------------------- rows

    @property
    def known(self) -> int:
        """How many rows there are, with those that the filter hides."""
        return self._order.known

    def some(self, count: int) -> Iterator[Any]:
        """So many of the rows that are known, shown or not."""
        return self._order.some(count)

    def knows(self, key: Key) -> bool:
        """Whether there is a row of that key, shown or not."""
        self._reading.early(key)
        return self._order.row(key) is not None

    def position_of(self, key: Key) -> int | None:
        """Where the row of that key is, from the top; None when it is gone or hidden."""
        self._reading.early(key)
        return self._order.position(key)

    def target(self, state: Any) -> Target | None:
        """What a command pressed now would aim at, as it was drawn."""
        row = self.selected()
        return None if row is None else self.pane.target(state, row)

    # ------------------------------------------------------------------------------------------ marks

    def toggle_mark(self) -> None:
        """Mark the row under the cursor, or take its mark back."""
        if self._cursor is not None:
            self.marks.toggle(self._cursor)

    def mark_range(self) -> bool:
        """Mark all rows from the one that was marked last to the cursor; False when there is no such one in sight."""
        self._finish()
        return self._cursor is not None and self.marks.add_range(self._cursor)

    def mark_shown(self) -> None:
        """Mark every row that the filter shows; when all of them are, take these marks back."""
        self._finish()
        self.marks.toggle_shown()

    def unmark(self, keys: Iterable[Key]) -> None:
        """Take these marks back."""
        self.marks.drop(keys)

    def marked(self) -> list[tuple[Key, Any]]:
        """The marked rows, in the order in which they are shown; those that the filter hides come last."""
        return self.marks.rows()

    def picked(self) -> list[Any]:
        """The marked rows, or all that are shown where none is marked, in the order in which they are shown."""
        self._finish()
        return self.marks.picked()

    @property
    def marked_hidden(self) -> int:
        """How many of the marked rows the filter hides."""
        return self.marks.hidden
