"""A long list of texts that is read with a cursor: what is in sight, and where moving leads. Pure.

The place is held by an item's key, never by a line's number, so that nothing jumps when something is put before it.
Items are laid out block by block, and only the blocks that are in sight or crossed: a reel costs what is drawn, not
what its items hold.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple, Protocol

from console.panes.pane import Tone

_LAID_OUT = 512
"""How many blocks are remembered as they were laid out."""


class Span(NamedTuple):
    """A piece of a line; `marked` is for what was searched for."""

    text: str
    tone: Tone = ""
    marked: bool = False


class Line(NamedTuple):
    """One line on the screen, with what stands before it."""

    head: str
    spans: tuple[Span, ...]


class Item(Protocol):
    """One text of the list. `chooses` says whether the cursor may stand on it.

    `block` gives at least one line, for a width in cells; `weight` is about how many lines there are in all.
    """

    @property
    def key(self) -> Hashable: ...
    @property
    def chooses(self) -> bool: ...
    def blocks(self) -> int: ...
    def block(self, number: int, cells: int) -> Sequence[Line]: ...
    def weight(self, cells: int) -> int: ...


class Spot(NamedTuple):
    """A line: which item, which of its blocks, which line of that."""

    item: int
    block: int = 0
    line: int = 0


class _Anchor(NamedTuple):
    key: Hashable
    block: int
    line: int


class Reel:
    """The items, the cursor and the first line in sight; `resize` it before anything is asked."""

    def __init__(self) -> None:
        self.items: Sequence[Item] = ()
        self.cursor: Hashable = None
        self._at: dict[Hashable, int] = {}
        self._cells, self._height = 80, 1
        self._top: _Anchor | None = None
        """None: at the end, whatever comes."""
        self._laid: dict[tuple[Hashable, int], Sequence[Line]] = {}
        self._weights: list[int] = []

    # ------------------------------------------------------------------------------------------ what there is

    def put(self, items: Sequence[Item], *, follow: bool = True) -> None:
        """These instead of what there was; what is in sight stays where it is.

        With `follow` whoever stands on the last item, at the end, goes along to the new end.
        """
        follow = follow and self.at_end and self.cursor == self._last_key()
        held = None if follow else self._held()
        above = held is not None and held[1] > 0 and self._first() == Spot(0)
        self.items = items
        self._at = {item.key: n for n, item in enumerate(items)}
        self.forget()
        if held is not None and held[0].key in self._at:
            if above and held[0].key == next((item.key for item in items if item.chooses), None):
                self._put_top(Spot(0))  # what stands above all items is read from its beginning
            else:
                self.put_at(*held[0], held[1])
        elif self._top is not None and self._top.key not in self._at:
            self._top = None
        if follow or self.cursor not in self._at:
            self.cursor = self._last_key()

    def resize(self, cells: int, height: int) -> None:
        """The room there is: the width of a line in cells, and how many lines."""
        if (cells, height) != (self._cells, self._height):
            if cells != self._cells:
                self.forget()
            self._cells, self._height = max(2, cells), max(1, height)

    def forget(self) -> None:
        """Lay out anew: the items say something else now."""
        self._laid.clear()
        self._weights = []

    @property
    def at_end(self) -> bool:
        """Whether the last line is in sight and what is added there will be, too."""
        return self._top is None

    @property
    def chosen(self) -> Item | None:
        """What the cursor is on."""
        at = self._at.get(self.cursor)
        return None if at is None else self.items[at]

    # --------------------------------------------------------------------------------------------- what is seen

    def window(self) -> list[tuple[Hashable, Line]]:
        """The lines in sight, each with the key of its item."""
        return [(self.items[spot.item].key, line) for spot, line in self._in_sight()]

    def shows(self, key: Hashable) -> bool:
        """Whether a line of that item is in sight."""
        return any(shown == key for shown, _ in self.window())

    def bar(self) -> tuple[int, int]:
        """The first line in sight, and how many there are in all, for a scroll bar; about, and never in need of all."""
        if not self.items:
            return 0, 0
        first, last = self._first(), self._end()
        after, left = self._step(first, self._height - 1)
        if first == Spot(0) and (left or after == last):
            return 0, self._height
        if not self._weights:
            self._weights = list(accumulate((item.weight(self._cells) for item in self.items), initial=0))
        count = max(self._weights[-1], self._height + 1)
        most = count - self._height
        if first == Spot(0):
            return 0, count
        if after == last:
            return most, count
        item = self.items[first.item]
        begun = item.weight(self._cells) * first.block // item.blocks() + first.line
        return min(max(1, self._weights[first.item] + begun), max(1, most - 1)), count

    # ------------------------------------------------------------------------------------------------- moving

    def move(self, by: int) -> None:
        """One step down or up: on through an item that is longer than what is in sight, else to the next one."""
        at = self._at.get(self.cursor)
        if at is None:
            return
        if by > 0:
            self._down(at)
        else:
            self._up(at)

    def page(self, by: int) -> None:
        """A page down or up, and the cursor with it."""
        self.scroll(by * max(1, self._height - 1))

    def scroll(self, by: int) -> None:
        """So many lines down, or up when negative; a cursor that falls out of sight is drawn along."""
        if not self.items:
            return
        spot, left = self._step(self._first(), by)
        self._put_top(spot)
        at = self._at.get(self.cursor)
        seen = self.window()
        keys = [key for key in dict.fromkeys(key for key, _ in seen) if self.items[self._at[key]].chooses]
        if not keys or at is None:
            return
        if left or self._first() != spot:  # against an end
            self.cursor = keys[-1] if by > 0 else keys[0]
        elif self.cursor not in keys:
            self.cursor = keys[0] if self._at[keys[0]] > at else keys[-1]

    def home(self) -> None:
        """To the first item."""
        if self.items:
            self._put_top(Spot(0))
            self.cursor = next((item.key for item in self.items if item.chooses), None)

    def end(self) -> None:
        """To the end, and on with it."""
        self._top = None
        self.cursor = self._last_key()

    def choose(self, key: Hashable) -> None:
        """Put the cursor on this item, where it may stand; nothing scrolls."""
        at = self._at.get(key)
        if at is not None and self.items[at].chooses:
            self.cursor = key

    def reveal(self, key: Hashable) -> None:
        """Bring as much of an item into sight as there is room for, its beginning first, with the least movement."""
        at = self._at.get(key)
        if at is None:
            return
        begin = Spot(at)
        tail, left = self._step(begin, self._height - 1)
        end = self._end_of(at)
        tail = end if left else min(tail, end)
        first = self._first()
        last, _ = self._step(first, self._height - 1)
        if begin < first:
            self._put_top(begin)
        elif tail > last:
            self._put_top(self._step(tail, 1 - self._height)[0])

    def put_at(self, key: Hashable, block: int, line: int, row: int) -> None:
        """Have this line of an item stand in that row of the screen, as far as there is something above it."""
        at = self._at.get(key)
        if at is not None:
            block = min(block, self.items[at].blocks() - 1)
            line = min(line, len(self._lines(at, block)) - 1)
            self._put_top(self._step(Spot(at, block, line), -row)[0])

    def row_of(self, key: Hashable) -> int | None:
        """The row that an item begins in; 0 when it begins above, None when it is not in sight."""
        return next((row for row, (shown, _) in enumerate(self.window()) if shown == key), None)

    # ------------------------------------------------------------------------------------------------- inside

    def _in_sight(self) -> Iterator[tuple[Spot, Line]]:
        if not self.items:
            return
        item, block, line = self._first()
        left = self._height
        while item < len(self.items) and left:
            for n, each in enumerate(self._lines(item, block)[line : line + left], line):
                yield Spot(item, block, n), each
                left -= 1
            line, block = 0, block + 1
            if block >= self.items[item].blocks():
                item, block = item + 1, 0

    def _held(self) -> tuple[_Anchor, int] | None:
        """The first line of an item proper, and the row that it stands in."""
        for row, (spot, _) in enumerate(self._in_sight()):
            item = self.items[spot.item]
            if item.chooses:
                return _Anchor(item.key, spot.block, spot.line), row
        return None

    def _down(self, at: int) -> None:
        last, _ = self._step(self._first(), self._height - 1)
        end = self._end_of(at)
        if end > last:
            self.scroll_lines(1)
            return
        following = next((n for n in range(at + 1, len(self.items)) if self.items[n].chooses), None)
        if following is None:
            self.end()
            return
        self.cursor = self.items[following].key
        self.reveal(self.cursor)
        if following == self._last():
            # what stands below the last one comes into sight with it, where there is room for both
            beginning = self._step(self._end(), 1 - self._height)[0]
            if beginning <= Spot(following):
                self._put_top(beginning)

    def _up(self, at: int) -> None:
        first = self._first()
        if first > Spot(at):
            self.scroll_lines(-1)
            return
        before = next((n for n in range(at - 1, -1, -1) if self.items[n].chooses), None)
        if before is None:
            self._put_top(Spot(0))
            return
        self.cursor = self.items[before].key
        begin, end = Spot(before), self._end_of(before)
        last, left = self._step(begin, self._height - 1)
        if first > begin and (left or last >= end):
            self._put_top(begin)
        elif first > end:
            # it is longer than the screen: one reads on upwards from its end
            self._put_top(end)

    def scroll_lines(self, by: int) -> None:
        """So many lines down or up, and nothing else."""
        self._put_top(self._step(self._first(), by)[0])

    def _put_top(self, spot: Spot) -> None:
        """That line on top; at the end as soon as everything below it is in sight."""
        after, left = self._step(spot, self._height - 1)
        if left or after == self._end():
            self._top = None
        else:
            self._top = _Anchor(self.items[spot.item].key, spot.block, spot.line)

    def _first(self) -> Spot:
        """The first line in sight."""
        if self._top is not None:
            item = self._at[self._top.key]
            block = min(self._top.block, self.items[item].blocks() - 1)
            spot = Spot(item, block, min(self._top.line, len(self._lines(item, block)) - 1))
            _, left = self._step(spot, self._height - 1)
            if not left:
                return spot
        return self._step(self._end(), 1 - self._height)[0]

    def _end(self) -> Spot:
        return self._end_of(len(self.items) - 1)

    def _end_of(self, item: int) -> Spot:
        block = self.items[item].blocks() - 1
        return Spot(item, block, len(self._lines(item, block)) - 1)

    def _last(self) -> int | None:
        return next((n for n in range(len(self.items) - 1, -1, -1) if self.items[n].chooses), None)

    def _last_key(self) -> Hashable:
        last = self._last()
        return None if last is None else self.items[last].key

    def _step(self, spot: Spot, by: int) -> tuple[Spot, int]:
        """So many lines on or back; and how many of them there were not."""
        item, block, line = spot
        while by > 0:
            room = len(self._lines(item, block)) - 1 - line
            if by <= room:
                return Spot(item, block, line + by), 0
            if block + 1 < self.items[item].blocks():
                following = (item, block + 1)
            elif item + 1 < len(self.items):
                following = (item + 1, 0)
            else:
                return Spot(item, block, line + room), by - room
            by -= room + 1
            (item, block), line = following, 0
        while by < 0:
            if -by <= line:
                return Spot(item, block, line + by), 0
            if block > 0:
                before = (item, block - 1)
            elif item > 0:
                before = (item - 1, self.items[item - 1].blocks() - 1)
            else:
                return Spot(item, block, 0), -by - line
            by += line + 1
            (item, block), line = before, len(self._lines(*before)) - 1
        return Spot(item, block, line), 0

    def _lines(self, item: int, block: int) -> Sequence[Line]:
        key = (self.items[item].key, block)
        laid = self._laid.get(key)
        if laid is None:
            if len(self._laid) >= _LAID_OUT:
                self._laid.clear()
            laid = self._laid[key] = self.items[item].block(block, self._cells)
        return laid
