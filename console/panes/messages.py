"""Messages as a reel's items: line by line with the role before the first one, and long ones folded. Pure.

A message is cut into blocks of a few thousand characters, and only those in sight are made neutral and broken into
lines. So one of a megabyte costs what is drawn of it, folded or not.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import msgspec

from console import units
from console.panes.matches import marked, words
from console.panes.pane import Tone
from console.panes.reel import Line, Span
from console.text import neutral, width, wrap
from core.protocol import Message

LINES = 12
"""A message of more lines is folded."""

SHOWN = 10
"""Of a folded one so many lines are shown."""

_BLOCK = 2_000
"""Characters that are laid out at once."""
_COUNTED = 20_000
"""Up to so many characters the lines that a fold hides are counted, beyond that they are reckoned."""
_CALL_LIMIT = 500
_ROLES: dict[str, Tone] = {"user": "accent", "assistant": "", "system": "dim", "tool": "dim"}
_BROKEN_OFF = "✗ broken off here"
_MARGINS = 4
"""The cells that no text stands in: two on the left, one after the head, and the scroll bar's."""


@dataclass(slots=True)
class Folds:
    """Which messages are unfolded: all or none, but for some."""

    all_open: bool = False
    others: set[int] = field(default_factory=set)

    def is_open(self, seq: int) -> bool:
        """Whether all lines of that message are shown."""
        return self.all_open is not (seq in self.others)

    def turn(self, seq: int) -> None:
        """Unfold that message, or fold it again."""
        self.others ^= {seq}

    def turn_all(self) -> None:
        """Unfold all, or fold all again."""
        self.all_open, self.others = not self.all_open, set()


class MessageItem:
    """One message. `hint` says at the fold how it is unfolded; what `wanted` names is marked in the text."""

    chooses = True

    def __init__(
        self, message: Message, folds: Folds, *, hint: str = "", wanted: Set[str] = frozenset()
    ) -> None:
        self.message = message
        self._folds = folds
        self._hint = hint
        self._wanted = wanted
        self._cut: list[tuple[str, Tone]] | None = None

    @property
    def key(self) -> Hashable:
        return self.message.seq

    def blocks(self) -> int:
        return len(self._blocks) if self._open else 1

    def block(self, number: int, cells: int) -> Sequence[Line]:
        if self._open:
            return self._laid_out(number, cells, first=number == 0)
        shown: list[Line] = []
        for n in range(len(self._blocks)):
            shown += self._laid_out(n, cells, first=n == 0)
            if len(shown) > LINES:
                return self._folded(shown, cells)
        return shown

    def weight(self, cells: int) -> int:
        lines = _reckoned(_plain(self.message.content), self._room(cells)) + len(_calls(self.message))
        return lines if self._open else min(lines, LINES)

    def is_long(self, cells: int) -> bool:
        """Whether there is anything to fold."""
        lines = 0
        for n in range(len(self._blocks)):
            lines += len(self._laid_out(n, cells, first=False))
            if lines > LINES:
                return True
        return False

    def place_of_match(self, cells: int) -> tuple[int, int]:
        """The block and the line of what is marked first; of the beginning when nothing is."""
        for n, (text, _) in enumerate(self._blocks):
            if self._wanted.isdisjoint(words(text)):
                continue
            for line, laid in enumerate(self._laid_out(n, cells, first=False)):
                if any(span.marked for span in laid.spans):
                    return n, line
        return 0, 0

    @property
    def _open(self) -> bool:
        return self._folds.is_open(self.message.seq)

    @property
    def _head(self) -> str:
        return neutral(f"{units.clock_time(self.message.timestamp)} {self.message.role:<9.9}")

    def _room(self, cells: int) -> int:
        return max(2, cells - width(self._head) - _MARGINS)

    @property
    def _blocks(self) -> list[tuple[str, Tone]]:
        """Cut when somebody first looks at it."""
        if self._cut is None:
            self._cut = list(_blocks_of(self.message))
        return self._cut

    def _laid_out(self, number: int, cells: int, *, first: bool) -> list[Line]:
        text, tone = self._blocks[number]
        head, room = self._head, self._room(cells)
        laid: list[Line] = []
        for raw in text.splitlines() or [""]:
            for line in wrap(neutral(raw.replace("\t", "    "), 4 * _BLOCK), room):
                before = head if first and not laid else " " * width(head)
                laid.append(Line(before, self._spans(line, tone)))
        return laid

    def _spans(self, line: str, tone: Tone) -> tuple[Span, ...]:
        if not self._wanted:
            return (Span(line, tone),)
        return tuple(Span(text, tone, found) for text, found in marked(line, self._wanted))

    def _folded(self, shown: list[Line], cells: int) -> list[Line]:
        blank = " " * width(self._head)
        partial = self.message.partial
        if sum(len(text) for text, _ in self._blocks) <= _COUNTED:
            lines = sum(len(self._laid_out(n, cells, first=False)) for n in range(len(self._blocks)))
            about = ""
        else:
            lines, about = (
                sum(_reckoned(text, self._room(cells)) for text, _ in self._blocks),
                "about ",
            )
        # what is said of a message that broke off stays below the fold
        left = lines - SHOWN - partial
        fold = [Line(blank, (Span(f"… {about}{units.count(left)} more lines{self._hint}", "dim"),))]
        if partial:
            fold.append(Line(blank, (Span(_BROKEN_OFF, "warn"),)))
        return [*shown[:SHOWN], *fold]


class NoteItem:
    """A line between the messages that the cursor passes over."""

    chooses = False

    def __init__(self, key: Hashable, text: str, tone: Tone = "dim") -> None:
        self.key = key
        self._text = text
        self._tone: Tone = tone

    def blocks(self) -> int:
        return 1

    def block(self, number: int, cells: int) -> Sequence[Line]:
        return [Line("", (Span(line, self._tone),)) for line in wrap(neutral(self._text), cells - _MARGINS)]

    def weight(self, cells: int) -> int:
        return 1


def _reckoned(text: str, room: int) -> int:
    """About how many lines a text takes, at the cost of a look."""
    return max(1, text.count("\n") + len(text) // room)


def _blocks_of(message: Message) -> Iterator[tuple[str, Tone]]:
    """The text of a message, the tools it calls, and that it broke off; in blocks, each with its tone."""
    calls = _calls(message)
    text = _plain(message.content)
    # one that only calls tools says nothing, and has no line for that
    if text or not calls:
        tone = _ROLES.get(message.role, "")
        for block in _cut(text):
            yield block, tone
    if calls:
        for block in _cut("\n".join(calls)):
            yield block, "accent"
    if message.partial:
        yield _BROKEN_OFF, "warn"


def _cut(text: str) -> Iterator[str]:
    """The text in blocks, each ending with a line, or at least with a word, where one ends in it."""
    at = 0
    while len(text) - at > _BLOCK:
        end = text.rfind("\n", at, at + _BLOCK)
        if end <= at:
            end = text.rfind(" ", at + 1, at + _BLOCK)
        end = at + _BLOCK if end <= at else end + 1
        yield text[at:end]
        at = end
    if at < len(text) or not text:
        yield text[at:]


def _calls(message: Message) -> list[str]:
    """The tools that a message calls, one a line."""
    called = (message.extra or {}).get("tool_calls")
    told: list[str] = []
    for call in called if isinstance(called, list) else ():
        match call:
            case {"function": {"name": str(name), "arguments": str(arguments)}}:
                told.append(f"→ {name} {arguments}"[:_CALL_LIMIT].replace("\n", " "))
            case _:
                told.append(f"→ {_json(call)}"[:_CALL_LIMIT])
    return told


def _plain(content: Any) -> str:
    """A message's text; of structured parts the texts, and the kinds of the others."""
    match content:
        case str():
            return content
        case None:
            return ""
        case list():
            return "\n".join(_plain(part) for part in content)
        case {"type": "text", "text": str(text)}:
            return text
        case {"type": str(kind)}:
            return f"[{kind}]"
        case _:
            return _json(content)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode("utf-8", "replace")
