"""What a database has to offer so that `core.store.database` can work on it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Literal, Protocol

from sqlalchemy import Connection

from core.errors import InvalidArgument, MaitredError, StorageFailed

Meaning = Literal["refused", "contended", "stuck", "lost"]
"""What an exception means for the unit that it came out of.

- ``refused``: the unit, or the database, says no; saying it again helps nobody.
- ``contended``: another writer was in the way; the same unit may well succeed when it runs again.
- ``stuck``: nobody can write for now, because the disk is full, broken or read-only.
- ``lost``: the connection is gone. What was not committed is not kept.
"""


class Link(Protocol):
    """The writer's connection, with the steps of a transaction on it. Belongs to the writer's thread."""

    @property
    def connection(self) -> Connection:
        """What units get; it is inside the transaction that `begin` began."""

    @property
    def changes(self) -> int:
        """How many rows its units have changed; never less than before. Told where units need no marks."""

    @property
    def is_whole(self) -> bool:
        """Whether everything that was done in the transaction can still be kept."""

    def begin(self, *, marked: bool) -> None:
        """Begin a transaction; with `marked` it gets its first mark right away."""

    def mark(self) -> None:
        """Keep what was done since the last mark; `back` comes back to here from now on."""

    def check(self) -> None:
        """Raise when a unit has left the transaction so that nothing of it can be kept."""

    def back(self) -> None:
        """Undo what was done since the last mark."""

    def commit(self) -> None:
        """Make everything durable; raises when the transaction is not whole any more."""

    def rollback(self) -> None:
        """Undo everything, in whatever state the transaction is."""

    def close(self) -> None:
        """Let the connection go; never raises."""


class Backend(Protocol):
    """One kind of database."""

    @property
    def place(self) -> str:
        """Where the database is, for messages: a path or an address, never a secret."""

    @property
    def is_shared(self) -> bool:
        """Whether other processes may write to the database, too."""

    @property
    def needs_marks(self) -> bool:
        """Whether a statement that fails takes the transaction along, unless a mark was set before it."""

    @property
    def largest_group(self) -> int:
        """How many units one transaction may take."""

    @property
    def beat(self) -> float | None:
        """After how many idle seconds the writer looks whether its connection is still there; None: never."""

    def open(self) -> Link:
        """Bring the schema up to date and give the writer its connection; raises StartRefused of some kind."""

    def link(self) -> Link:
        """A new connection for the writer, in place of a lost one; raises what the database says."""

    def reader(self) -> AbstractContextManager[Connection]:
        """A connection that can only read, for one query; for any thread."""

    def meaning(self, error: BaseException) -> Meaning:
        """What an exception from a unit, a query or a step of a transaction means."""

    def reason(self, error: BaseException) -> str | None:
        """What the database said, in one line without secrets; None for what did not come from a database."""

    def is_malformed(self, error: BaseException) -> bool:
        """Whether the fault is the caller's: a text that the database cannot take."""

    def close(self) -> None:
        """Let everything go; the links are closed by then."""


def failure(backend: Backend, error: BaseException, ending: str = "") -> BaseException:
    """What to raise for an error out of a unit or a query: itself, or what the database said, with `ending`."""
    reason = backend.reason(error)
    if reason is None:
        return error
    told: MaitredError = StorageFailed(f"{backend.place}: {reason}{ending}")
    if backend.is_malformed(error):
        told = InvalidArgument("a text has U+0000, which no database keeps; remove it")
    told.__cause__ = error
    return told
