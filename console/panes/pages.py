"""The messages of a session that are held, out of all there are: pages put together, and the far end let go. Pure.

What is held has no hole in it: from one message on, every following one up to another. `before` and `after` are the
numbers that the pages beyond either end are asked for with; None where there is nothing more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from core.protocol import HistoryPage, Message

PAGE = 100
"""Messages that are asked for at once."""

MOST, MOST_CHARACTERS = 600, 8_000_000
"""More than that is not held; it is read again when somebody goes back there."""

_LEAST = PAGE + PAGE // 2
"""So many stay however long they are: what was just read, and what is in sight beside it."""


@dataclass(slots=True)
class Pages:
    """Ascending; nothing is held before the first page has come."""

    messages: list[Message] = field(default_factory=list)
    before: int | None = None
    after: int | None = None

    def newest(self, page: HistoryPage) -> None:
        """The newest page was read anew. What went before it stays as far as it joins on."""
        first = page.messages[0].seq if page.messages else None
        if page.before is None or first is None:
            # it is all there is: whatever was held before it has been removed
            self.messages, self.before = list(page.messages), page.before
        elif not self.messages or self.messages[-1].seq < first:
            self.messages, self.before = list(page.messages), page.before
        else:
            held = [message for message in self.messages if message.seq < first]
            self.messages = [*held, *page.messages]
            self.before = self.before if held else page.before
        self.after = None
        self._let_go_of_the_first()

    def around(self, older: HistoryPage, newer: HistoryPage) -> None:
        """Begin anew in the middle: a page that ends with some message, and the one that follows it."""
        self.messages = [*older.messages, *newer.messages]
        self.before, self.after = older.before, newer.after

    def older(self, page: HistoryPage) -> None:
        """The page before the first message that is held."""
        self.messages = [*page.messages, *self.messages]
        self.before = page.before
        gone = self._too_many(reversed_=True)
        if gone:
            self.messages = self.messages[:-gone]
            self.after = self.messages[-1].seq

    def newer(self, page: HistoryPage) -> None:
        """The page after the last message that is held."""
        self.messages = [*self.messages, *page.messages]
        self.after = page.after
        self._let_go_of_the_first()

    def _let_go_of_the_first(self) -> None:
        gone = self._too_many(reversed_=False)
        if gone:
            self.messages = self.messages[gone:]
            self.before = self.messages[0].seq

    def _too_many(self, *, reversed_: bool) -> int:
        """How many are too many, counted from the first one or from the last one."""
        sizes = [_size(message.content) for message in self.messages]
        if reversed_:
            sizes.reverse()
        left, gone = sum(sizes), 0
        while (len(sizes) - gone > MOST or left > MOST_CHARACTERS) and len(sizes) - gone > _LEAST:
            left -= sizes[gone]
            gone += 1
        return gone


def _size(content: Any) -> int:
    """About how many characters it holds, without looking far into it."""
    match content:
        case str():
            return len(content)
        case list():
            return sum(_size(part) for part in content)
        case {"text": str(text)}:
            return len(text)
        case _:
            return 0


def is_held(messages: Sequence[Message], seq: int) -> bool:
    """Whether the message of that number is among them."""
    return any(message.seq == seq for message in messages)
