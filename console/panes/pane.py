"""What a pane is, as data: where its rows come from, its columns, its order, and what commands can aim at.

The table widget draws any `Pane`; a new one is a new value, not a new widget. Cells are drawn for visible rows
only and pass through `console.text` there, so that a pane may hand over what strangers wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from console.actions import Target
from console.state import Changed, ConsoleState, Key

R = TypeVar("R")
S = TypeVar("S")

Tone = Literal["", "dim", "good", "warn", "bad", "accent", "strong"]
"""What a cell means; the theme says how it looks. A tone never stands alone: a glyph or a word says the same."""


Raw = Mapping[str, object]
"""Values by their names in the protocol, as they came: exact, money in micro-USD, times as timestamps."""


class Cell(NamedTuple):
    """One figure or word, and what it means."""

    text: str
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Column(Generic[R]):
    """One column: how wide (in cells), how important (0 is never dropped), what it shows, how it sorts.

    `cell` takes the row and the core's time in milliseconds. `grow` is its share of the width that is left over.
    `sort` gives values that compare with one another.
    """

    id: str
    title: str
    width: int
    cell: Callable[[R, int], Cell]
    sort: Callable[[R], Any]
    align: Literal["left", "right"] = "left"
    priority: int = 0
    grow: int = 0
    ideal: int = 0
    """The width, where it grows, that it should have before columns that matter less come in."""
    sort_across: Callable[[R], Any] | None = None
    """How it sorts among rows of several cores, where what it sorts by otherwise is each core's own."""
    raw: Callable[[R, int], Raw] | None = None
    """What its cell says, for machines; without it that is the cell's text, by the column's id."""
    also: tuple[str, ...] = ()
    """What other panes call it: a filter may, too."""

    def values(self, row: R, now: int) -> Raw:
        """What its cell says, for machines."""
        return {self.id: self.cell(row, now).text} if self.raw is None else self.raw(row, now)


class Fact(NamedTuple):
    """One line of the panel beside the table."""

    label: str
    text: str
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Pane(Generic[R, S]):
    """One pane over `S`, which is one core's state, or several cores.

    `changed` says which of its keys to look at again; `row` gives None for a row that is gone.
    """

    id: str
    title: str
    columns: tuple[Column[R], ...]
    sort: str
    descending: bool
    keys: Callable[[S], Iterable[Key]]
    row: Callable[[S, Any], R | None]
    changed: Callable[[Changed], set[Key]]
    search: Callable[[R], str]
    facts: Callable[[R, int], list[Fact]]
    target: Callable[[S, R], Target]
    empty: tuple[str, ...]
    worth: tuple[str, ...] = ("abort", "evict", "dirty")
    """The ids of the actions on a row that the footer names first."""
    scopes: tuple[str, ...] = ()
    """The kinds of rows that it can be narrowed to, as `scope_of` calls them; none: all its rows are of one kind."""
    scope_of: Callable[[R], str] = lambda row: ""
    follow: bool = False
    """Whether the top stays in sight, with no cursor, until the operator moves it."""
    house_wide: bool = False
    """Whether all instances of one house tell the same rows."""
    stale: Callable[[R], bool] = lambda row: False
    """Whether a row may no longer be so, while others are."""

    def named(self, name: str) -> Column[R] | None:
        """The column that a filter calls so: by its id, else by its heading, else as other panes call it."""
        wanted = name.lower()
        for names in (
            lambda each: (each.id,),
            lambda each: (each.title.lower(),),
            lambda each: each.also,
        ):
            found = next((each for each in self.columns if wanted in names(each)), None)
            if found is not None:
                return found
        return None

    def column(self, column_id: str) -> Column[R]:
        """The column of that id; raises KeyError."""
        for column in self.columns:
            if column.id == column_id:
                return column
        raise KeyError(column_id)


def session_target(state: ConsoleState, session_key: str, *, run_id: str | None = None) -> Target:
    """What commands can aim at for a session key: its live session if there is one, and its run."""
    session = state.rows.sessions.get(session_key)
    if run_id is None and session is not None:
        run_id = session.run_id
    run = state.rows.runs.get(run_id) if run_id is not None else None
    latest = run or state.rows.runs.get(state.rows.latest.get(session_key, ""))
    pin = state.rows.pins.get(session_key)
    return Target(
        label=session_key,
        session_key=session_key,
        generation=session.generation if session is not None else None,
        run_id=run_id,
        run_ended=run is not None and run.ended_at is not None,
        project=session.project if session is not None else None,
        dirty=session is not None and session.dirty is not None,
        user_id=latest.user_id if latest is not None else None,
        pinned=pin.model if pin is not None else None,
        explicit=pin is not None and pin.explicit,
        strikes=pin.strikes if pin is not None else 0,
        explains=("session", session_key),
    )
