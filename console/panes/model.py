"""What one pane shows right now: its rows in order, its cursor, its filter, its window. It knows no terminal.

The cursor belongs to a key. Rows may move under it, and it moves with its row; when its row goes, it is lost rather
than given to the neighbour, so that a key pressed at that moment hits nothing. A window that was scrolled holds the
rows that are looked at, while others come and go above it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain, islice
from typing import Any, NamedTuple

from console.actions import Target
from console.panes.columns import Arrangement, shown
from console.panes.filter import Fault, Filter, parse
from console.panes.order import Order
from console.panes.pane import Pane
from console.state import Changed, Key

_TESTED_AGAIN = 500
"""Of a filter that goes by the time so many rows are tested again with each frame, in turn."""

_MANY = 1_000
"""From how many changed rows on it is looked at whether reading all of them anew is cheaper."""

_TESTED_FIRST, _TESTED_AT_ONCE = 1_500, 1_000
"""Rows that another filter goes through before the first picture of it, and then between two keys."""

_READ_FIRST, _READ_AT_ONCE = 2_000, 700
"""Rows that are read before the first picture of a pane, and of a large one then between two keys."""


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


class PaneModel:
    """One pane of one console; kept while others are shown, so that filter and cursor are there on the way back."""

    def __init__(
        self,
        pane: Pane[Any, Any],
        *,
        only: Callable[[Any], bool] | None = None,
        now: Callable[[], int] = lambda: 0,
    ) -> None:
        """`only` lets rows through whatever the filter says; `now` is the time in milliseconds that filters go by."""
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
        self._frozen = False
        self.top = 0
        self.lost = False
        self.strayed = False
        """The cursor has gone to another row by itself, which no key has confirmed yet."""
        self._chosen = False
        self.marks: dict[Key, None] = {}
        """The keys that are marked, in the order in which they were."""
        self._marked_last: Key | None = None
        self._only = only
        self._test = only
        self._now = now
        self._parsed = Filter(None)
        self._order = Order(pane.column(pane.sort).sort, descending=pane.descending, test=only)
        self._cursor: Key | None = None
        self._index = 0
        self._height = 1
        self._pending: set[Key] = set()
        self._renew = True
        self._source: Any = None
        """What the pane was drawn from last."""
        self._unread: Iterator[Key] | None = None
        """The keys whose rows are still to be read anew; meanwhile those that were known stay, and are shown."""
        self._to_read = self._read = 0

    # ------------------------------------------------------------------------------------------ data

    def note(self, changed: Changed) -> None:
        """Remember what changed; nothing is looked at until the pane is drawn."""
        if changed.everything:
            self._renew = True
            self._pending.clear()
        if not self._renew:
            self._pending |= self.pane.changed(changed)
            if not self.frozen and self._too_many():
                # a pane that nobody looks at would else collect keys for as long as the console runs
                self._renew = True
                self._pending.clear()

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
        return len(self._pending) if self.frozen else 0

    def catch_up(self, state: Any) -> None:
        """Take over what changed in what the pane draws from, unless it is frozen.

        After a new view all is read anew. Of a large pane that is only begun here, and `go_on` has to follow; what is
        looked at is read at once, and so is what changes meanwhile.
        """
        if self.frozen:
            return
        self._source = state
        again = self._order.next_keys(_TESTED_AGAIN) if self._parsed.timed else ()
        if not (self._renew or self._pending or again or self._unread is not None):
            return
        self._pending.update(again)
        anchor = self._anchor()
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
            for key in self._looked_at():
                self._take(key)
        self._settle(anchor)

    def _all_keys(self) -> list[Key]:
        """The keys of what there is, behind those that are gone; marks of these are taken back."""
        keys = list(self.pane.keys(self._source))
        gone = self._order.keys().difference(keys)
        self.unmark(gone.intersection(self.marks))
        if len(gone) == self._order.known:
            self._order.clear()
            return keys
        return [*gone, *keys]

    def _looked_at(self) -> list[Key]:
        keys = list(self._order.keys_between(self.top, self.top + self._height))
        return keys if self._cursor is None else [*keys, self._cursor]

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

    def _read_all(self) -> None:
        if self._unread is not None:
            anchor = self._anchor()
            self._read_more(self._to_read)
            self._settle(anchor)

    def _read_early(self, key: Key) -> None:
        """Have the row of a key that is asked for, if its turn has not come yet."""
        if self._unread is not None:
            self._take(key)

    def _take(self, key: Key) -> None:
        """Show a row as it is now, or no longer."""
        row = self.pane.row(self._source, key)
        if row is not None:
            self._order.put(key, row)
        else:
            self._order.drop(key)
            self.marks.pop(key, None)

    @property
    def no_columns(self) -> tuple[str, ...]:
        """What the filter says before a colon as if it were a column, and the pane has none of that name."""
        return self._parsed.no_columns

    @property
    def progress(self) -> HowFar | None:
        """What it does bit by bit, and how far it is; None when nothing is left to do."""
        if self._unread is not None:
            return HowFar("read", 100 * self._read // self._to_read)
        if self._order.sifting:
            return HowFar("filtered", 100 * self._order.sifted // max(1, self.known))
        return None

    def go_on(self) -> bool:
        """Read and filter more rows, so few that no key waits for it; whether some are left."""
        anchor = self._anchor()
        reading = self._read_more(_READ_AT_ONCE)
        sifting = self._order.sift(_TESTED_AT_ONCE)
        self._settle(anchor)
        return reading or sifting

    def _finish(self) -> None:
        """Who counts on all rows waits for them."""
        self._read_all()
        self._order.finish()

    def _too_many(self) -> bool:
        return len(self._pending) > max(_MANY, self._order.known // 2)

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
        if self._chosen and self.position is None:
            # the operator's own filter hides the row, or it was lost before: choose anew among what is shown
            self._cursor, self._index, self.top, self._chosen, self.lost = None, 0, 0, False, False
        self._settle(None)
        self.strayed = False
        self.reveal()

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
        at = None if held.cursor is None else self.position_of(held.cursor)
        if at is not None:
            self.move_to(at)
        elif held.cursor is None:
            self._cursor, self._chosen, self.lost = None, False, False
            self._settle(None)
        else:
            self._cursor, self._chosen, self.lost = None, True, True
        self.top = held.top
        self._clamp()
        if self.top != held.top:
            self.reveal()  # the filter has not gone so far by now

    # ---------------------------------------------------------------------------------------- cursor

    @property
    def cursor(self) -> Key | None:
        """The key that the cursor is on; None when there is none, or its row went."""
        return self._cursor

    @property
    def position(self) -> int | None:
        """Where the cursor is, from the top."""
        return None if self._cursor is None else self._order.position(self._cursor)

    def position_of(self, key: Key) -> int | None:
        """Where the row of that key is, from the top; None when it is gone or hidden."""
        self._read_early(key)
        return self._order.position(key)

    def knows(self, key: Key) -> bool:
        """Whether there is a row of that key, shown or not."""
        self._read_early(key)
        return self._order.row(key) is not None

    def selected(self) -> Any | None:
        """The row under the cursor."""
        return None if self._cursor is None else self._order.row(self._cursor)

    def target(self, state: Any) -> Target | None:
        """What a command pressed now would aim at, as it was drawn."""
        row = self.selected()
        return None if row is None else self.pane.target(state, row)

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
        """To the top; a pane that follows lets the cursor go."""
        self.top = 0
        if self.pane.follow:
            self._cursor, self._index, self.lost, self._chosen = None, 0, False, False
        else:
            self.move_to(0)

    # ----------------------------------------------------------------------------------------- marks

    def toggle_mark(self) -> None:
        """Mark the row under the cursor, or take its mark back."""
        key = self._cursor
        if key is None:
            return
        if key in self.marks:
            del self.marks[key]
            self._marked_last = None
        else:
            self.marks[key] = None
            self._marked_last = key

    def mark_range(self) -> bool:
        """Mark all rows from the one that was marked last to the cursor; False when there is no such one in sight."""
        self._finish()
        at, last = self.position, self._marked_last
        begun = None if last is None else self._order.position(last)
        if at is None or begun is None:
            return False
        for key in self._order.keys_between(min(at, begun), max(at, begun) + 1):
            self.marks[key] = None
        self._marked_last = self._cursor
        return True

    def mark_shown(self) -> None:
        """Mark every row that the filter shows; when all of them are, take these marks back."""
        self._finish()
        shown = list(self._order.keys_between(0, len(self)))
        if all(key in self.marks for key in shown):
            for key in shown:
                del self.marks[key]
        else:
            self.marks.update(dict.fromkeys(shown))
        self._marked_last = None

    def unmark(self, keys: Iterable[Key]) -> None:
        """Take these marks back."""
        for key in keys:
            self.marks.pop(key, None)

    def marked(self) -> list[tuple[Key, Any]]:
        """The marked rows, in the order in which they are shown; those that the filter hides come last."""
        end = len(self)

        def place(key: Key) -> int:
            at = self._order.position(key)
            return end if at is None else at

        keys = sorted(self.marks, key=place)
        return [(key, self._order.row(key)) for key in keys]

    def picked(self) -> list[Any]:
        """The marked rows, or all that are shown where none is marked, in the order in which they are shown."""
        self._finish()
        shown = self._order.keys_between(0, len(self))
        if not self.marks:
            return [self._order.row(key) for key in shown]
        keys = dict.fromkeys(key for key in shown if key in self.marks)
        # those that the filter hides come last
        return [self._order.row(key) for key in (*keys, *(key for key in self.marks if key not in keys))]

    @property
    def marked_hidden(self) -> int:
        """How many of the marked rows the filter hides."""
        return sum(self._order.position(key) is None for key in self.marks)

    # ---------------------------------------------------------------------------------------- window

    def __len__(self) -> int:
        return len(self._order)

    @property
    def known(self) -> int:
        """How many rows there are, with those that the filter hides."""
        return self._order.known

    def some(self, count: int) -> Iterator[Any]:
        """So many of the rows that are known, shown or not."""
        return self._order.some(count)

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
        keys = self._order.keys_between(self.top, self.top + self._height)
        return [(key, self._order.row(key)) for key in keys]

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
        if not self.pane.follow:
            self._cursor, self._index = (self._order.key_at(0) if len(self) else None), 0
            self.strayed = self.strayed or before not in (None, self._cursor)

    def _clamp(self) -> None:
        self.top = max(0, min(self.top, len(self) - self._height))
