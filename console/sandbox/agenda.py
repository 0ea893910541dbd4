"""What is due when: a heap of errands, one at a time for each guest, however many wait."""

from __future__ import annotations

import heapq
import itertools
from typing import Literal

import msgspec

from console.sandbox.cast import Guest
from console.sandbox.scenarios import Spell
from console.sandbox.scripts import Doing
from core.turn import Turn

OperatorAct = Literal["abort", "admit", "ban", "unban", "dirty", "forgive", "pause", "resume"]


class Arrive(msgspec.Struct, frozen=True):
    """Somebody comes, at that time (ms) of the plan; `comes` is False for a look at the rate of another hour."""

    at: int
    comes: bool


class Do(msgspec.Struct, frozen=True):
    """A guest does the next thing."""

    guest: Guest
    what: Doing


class WalkOut(msgspec.Struct, frozen=True):
    """A client goes away in the middle of an answer."""

    turn: Turn


class Act(msgspec.Struct, frozen=True):
    """An operator acts on a run, user, project, session or model."""

    action: OperatorAct
    target: str


class Change(msgspec.Struct, frozen=True):
    """A spell begins, or is over."""

    spell: Spell
    begins: bool


Errand = Arrive | Do | WalkOut | Act | Change


class Agenda:
    """Errands by their time in ms; those of the same time in the order in which they were booked."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Errand]] = []
        self._order = itertools.count()

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def next_at(self) -> int | None:
        """When the next one is due."""
        return self._heap[0][0] if self._heap else None

    def book(self, at: int, errand: Errand) -> None:
        """Put it in its place; costs the logarithm of what is booked."""
        heapq.heappush(self._heap, (at, next(self._order), errand))

    def take(self) -> Errand:
        """The next one; there must be one."""
        return heapq.heappop(self._heap)[2]
