"""What the palette finds: how well a name answers what was typed, and the best of very many names, in steps. Pure.

A house may hold 100,000 sessions. So a `Search` looks at so many names in one step and then gives the loop back; what
is typed meanwhile begins another one. It keeps the best few of every kind, and leaves a kind when there are no better
ones to come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from typing import Literal, NamedTuple, get_args

Kind = Literal["action", "pane", "view", "save", "remove", "session", "run", "user", "model"]
KINDS: tuple[Kind, ...] = get_args(Kind)

MOST = 20
"""So many of each kind of row are found; who wants others types more."""

_HELP = 100
"""Found by what is told of it, and not by its name: behind all that have the name."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the palette; `id` says within its kind, and its core, what is meant."""

    kind: Kind
    id: str
    text: str
    hint: str = ""
    key: str = ""
    """The key that does the same."""
    refusal: str = ""
    """Why it cannot be chosen now."""
    core: int = 0


class Source(NamedTuple):
    """The names of one kind of rows, and what makes a line of one. None among them is no name, and costs a step."""

    kind: Kind
    names: Callable[[], Iterable[str | None]]
    entry: Callable[[str], Entry]


class Asked(NamedTuple):
    """What was typed: words that a name must all hold, and the one kind that is wanted if there is only one."""

    words: tuple[str, ...]
    kind: Kind | None = None


def asked(text: str) -> Asked:
    """Read what was typed. The name of a kind with more behind it wants that kind only: ``user ann``."""
    first, *others = text.casefold().split() or [""]
    if others and first in KINDS:
        return Asked(tuple(others), next(kind for kind in KINDS if kind == first))
    return Asked((first, *others) if first else ())


def rank(name: str, words: Sequence[str]) -> int | None:
    """How well a name answers the words, the less the better; None when one of them is not in it."""
    folded, total = name.casefold(), 0
    if folded == " ".join(words):
        return -1
    for word in words:
        at = folded.find(word)
        if at < 0:
            return None
        if at and folded[at - 1].isalnum() and not _begins_a_word(folded, word, at):
            total += 2
        elif at:
            total += 1
    return total


def _begins_a_word(folded: str, word: str, at: int) -> bool:
    while (at := folded.find(word, at + 1)) > 0:
        if not folded[at - 1].isalnum():
            return True
    return False


class Search:
    """One search, from its first step to its last."""

    def __init__(self, text: str, entries: Sequence[Entry], sources: Sequence[Source]) -> None:
        """`entries` are few and looked at at once; where nothing was typed they are the answer."""
        self._asked = asked(text)
        self._kept: dict[Kind, dict[int, list[tuple[Source, str]]]] = {}
        self._full: set[Kind] = set()
        self._best = len(self._asked.words) - 1
        """Of several words only one begins a name."""
        self._entries = self._among(entries)
        self._names = self._all_names(sources) if self._asked.words else iter(())
        self.done = False
        """Whether there is nothing left to look at."""

    def step(self, count: int) -> bool:
        """Look at so many more names; answers whether there are no others."""
        for _ in range(count):
            looked_at = next(self._names, None)
            if looked_at is None:
                self.done = True
                break
            source, name = looked_at
            found = None if name is None else rank(name, self._asked.words)
            if name is None or found is None:
                continue
            kept = self._kept.setdefault(source.kind, {}).setdefault(found, [])
            if len(kept) < MOST:
                kept.append((source, name))
                if len(kept) == MOST and found <= self._best:
                    self._full.add(source.kind)
        return self.done

    def found(self) -> list[Entry]:
        """The best of what was looked at, the best first."""
        rows: list[tuple[int, Entry]] = []
        for kept in self._kept.values():
            best = ((place, source, name) for place in sorted(kept) for source, name in kept[place])
            rows += [(place, source.entry(name)) for place, source, name in islice(best, MOST)]
        # what has names of its own choosing comes behind what everybody knows, and the shorter name is the nearer one
        rows.sort(key=lambda each: (each[0], KINDS.index(each[1].kind), len(each[1].text), each[1].text))
        return [entry for _, entry in merge(self._entries, rows, key=lambda each: each[0])]

    def _among(self, entries: Sequence[Entry]) -> list[tuple[int, Entry]]:
        found: list[tuple[int, Entry]] = []
        for entry in entries:
            if self._asked.kind not in (None, entry.kind):
                continue
            place = rank(entry.text, self._asked.words)
            if place is None and rank(f"{entry.text} {entry.hint}", self._asked.words) is not None:
                place = _HELP
            if place is not None:
                found.append((place, entry))
        return sorted(found, key=lambda each: each[0])

    def _all_names(self, sources: Sequence[Source]) -> Iterator[tuple[Source, str | None]]:
        for source in sources:
            if self._asked.kind not in (None, source.kind):
                continue
            for name in source.names():
                if source.kind in self._full:
                    break
                yield source, name
