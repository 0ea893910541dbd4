"""One pane over several cores: the rows of all of them in one order, each with the instance that it belongs to.

A pane is written for one core and knows nothing of others; `merged` makes of it one whose keys, rows and targets
also say which core they are of. Each cell is drawn by its own core's time. What instances of one house share, each
of them tells; such rows are taken from the one that speaks for the house.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from console.actions import Target
from console.panes.pane import Cell, Column, Fact, Pane, Raw
from console.state import At, Changed, ConsoleState, Table

R = TypeVar("R")

_WIDEST = 16
"""A column of names has no more cells than this."""

HOUSE_WIDE: frozenset[Table] = frozenset({"queues", "seats", "pins", "costs"})
"""What all instances of one house tell alike; runs, sessions, findings and the journal are each one's own."""


class Source(Protocol):
    """One of the cores, as far as a pane asks for it."""

    @property
    def number(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def state(self) -> ConsoleState: ...
    @property
    def stale(self) -> bool: ...
    def now(self) -> int: ...


class Sources(Protocol):
    """All of them."""

    def __getitem__(self, number: int, /) -> Source: ...
    def __iter__(self) -> Iterator[Source]: ...
    @property
    def speakers(self) -> frozenset[int]: ...


class RowOf(NamedTuple, Generic[R]):
    """A row, and the number of the core that it is of."""

    core: int
    row: R


def merged(pane: Pane[R, ConsoleState], sources: Sources) -> Pane[RowOf[R], Sources]:
    """The pane over all of these; see the module's docstring."""

    def keys(cores: Sources) -> Iterable[At]:
        for core in cores:
            if not pane.house_wide or core.number in cores.speakers:
                for key in pane.keys(core.state):
                    yield At(core.number, key)

    def row(cores: Sources, key: Any) -> RowOf[R] | None:
        number, inner = key
        if pane.house_wide and number not in cores.speakers:
            return None
        found = pane.row(cores[number].state, inner)
        return None if found is None else RowOf(number, found)

    def target(cores: Sources, placed: RowOf[R]) -> Target:
        core = cores[placed.core]
        return replace(pane.target(core.state, placed.row), core=core.number, instance=core.name)

    def facts(placed: RowOf[R], _now: int) -> list[Fact]:
        core = sources[placed.core]
        return [Fact("instance", core.name), *pane.facts(placed.row, core.now())]

    def changed(what: Changed) -> set[Any]:
        return {At(what.core, key) for key in pane.changed(what)}

    return Pane(
        id=pane.id,
        title=pane.title,
        columns=(_instance(sources), *(_over(column, sources) for column in pane.columns)),
        sort=pane.sort,
        descending=pane.descending,
        keys=keys,
        row=row,
        changed=changed,
        search=lambda placed: f"{sources[placed.core].name} {pane.search(placed.row)}",
        facts=facts,
        target=target,
        empty=pane.empty,
        worth=pane.worth,
        scopes=pane.scopes,
        scope_of=lambda placed: pane.scope_of(placed.row),
        follow=pane.follow,
        house_wide=pane.house_wide,
        stale=lambda placed: sources[placed.core].stale,
    )


def of_rows(only: Callable[[R], bool]) -> Callable[[RowOf[R]], bool]:
    """A test of rows, for rows that say whose they are."""
    return lambda placed: only(placed.row)


def _instance(sources: Sources) -> Column[RowOf[Any]]:
    longest = max(len(source.name) for source in sources)
    return Column(
        "instance",
        "INSTANCE",
        max(len("INSTANCE"), min(_WIDEST, longest)),
        lambda placed, now: Cell(sources[placed.core].name, "accent"),
        lambda placed: placed.core,
        raw=lambda placed, now: {"instance": sources[placed.core].name},
    )


def _over(column: Column[R], sources: Sources) -> Column[RowOf[R]]:
    def cell(placed: RowOf[R], _now: int) -> Cell:
        return column.cell(placed.row, sources[placed.core].now())

    def raw(placed: RowOf[R], _now: int) -> Raw:
        return column.values(placed.row, sources[placed.core].now())

    merged_sort = column.sort_across or column.sort
    return Column(
        column.id,
        column.title,
        column.width,
        cell,
        lambda placed: merged_sort(placed.row),
        column.align,
        column.priority,
        column.grow,
        column.ideal,
        raw=raw,
        also=column.also,
    )
