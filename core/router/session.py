"""A live session as the router keeps it, and what it asks of the ones who build them."""

from __future__ import annotations

from typing import Generic, Literal, Protocol, TypeVar

import msgspec

from core.clock import timestamp
from core.errors import InvalidArgument
from core.protocol import SessionRow, Wire
from core.router.slot import kind_of

EvictionReason = Literal["idle", "closed", "dirty_recreate", "capacity", "operator", "shutdown"]


class Context(msgspec.Struct, frozen=True):
    """What a session is for: its key, its project (None: none yet), the channel it was last reached by ("": none)."""

    session_key: str
    project: str | None = None
    channel: str = ""

    def merged(self, project: str | None, channel: str) -> Context:
        """With what a later call says: the first project that is not empty stays, the last channel that is not wins.

        behaviours/router.md, decision 13.
        """
        merged = Context(self.session_key, self.project or project or None, channel or self.channel)
        return self if merged == self else merged


def check_key(session_key: str) -> None:
    """Raises InvalidArgument for an empty key; any other is valid."""
    if not session_key:
        raise InvalidArgument("a session key must not be empty", path="$.sessionKey")


class LiveSession(Protocol):
    """What is behind a key: an agent's conversation."""

    async def abort(self, reason: str) -> None:
        """Stop what it is doing; the turn unwinds by itself."""

    async def dispose(self) -> None:
        """Give back what it holds. Called once, and nothing after it."""

    def summary(self) -> str:
        """One line for a list; "" is one."""


S = TypeVar("S", bound=LiveSession)


class SessionFactory(Protocol[S]):
    """Builds sessions; whatever it raises becomes SessionUnavailable."""

    async def create(self, context: Context) -> S:
        """A session for a key that has none."""

    async def recreate(self, context: Context, previous: S) -> S:
        """A replacement for a dirty session, which stays in use until this returns and is disposed after."""


class Entry(msgspec.Struct, Generic[S], frozen=True):
    """A session as it was handed out."""

    session: S
    generation: int
    project: str | None
    channel: str


class Eviction(Wire, frozen=True, kw_only=True):
    """A session has left, or (`dirty_recreate`) was replaced; `snapshot` is how it stood."""

    session_key: str
    generation: int
    reason: EvictionReason
    snapshot: SessionRow


class Listed(Wire, frozen=True, kw_only=True):
    """A session in a list."""

    session_key: str
    generation: int
    project_key: str | None
    channel_key: str
    summary: str
    last_modified: str


class SessionPage(Wire, frozen=True, kw_only=True):
    """Sessions in the order of their creation; `next_cursor` continues, None is the end."""

    sessions: list[Listed]
    next_cursor: str | None


class Live(Generic[S]):
    """One cached session. It stays the same object over rebuilds, in its place of the created order.

    `last_used` is monotonic milliseconds, `created_at` and `last_used_at` are wall milliseconds.
    """

    __slots__ = (
        "context",
        "created_at",
        "dirty",
        "generation",
        "last_used",
        "last_used_at",
        "order",
        "row",
        "session",
    )

    def __init__(
        self, session: S, context: Context, *, generation: int, order: int, created_at: int, dirty: str | None
    ) -> None:
        self.session = session
        self.context = context
        self.generation = generation
        self.order = order
        self.created_at = created_at
        self.last_used = 0
        self.last_used_at = created_at
        self.dirty = dirty
        self.row: SessionRow | None = None
        """As it was shown last; None when that is no longer true."""

    @property
    def key(self) -> str:
        """Its session key."""
        return self.context.session_key

    def entry(self) -> Entry[S]:
        """What a caller gets."""
        return Entry(self.session, self.generation, self.context.project, self.context.channel)

    def row_with(self, run_id: str | None, maintenance: str | None) -> SessionRow:
        """As a view shows it, with its turn or what it is reserved for; the same object until something changes."""
        if self.row is None:
            self.row = SessionRow(
                session_key=self.key,
                generation=self.generation,
                kind=kind_of(self.key),
                project=self.context.project,
                channel=self.context.channel,
                run_id=run_id,
                dirty=self.dirty,
                created_at=timestamp(self.created_at),
                last_used_at=timestamp(self.last_used_at),
                maintenance=maintenance,
            )
        return self.row

    def listed(self) -> Listed:
        """As a list shows it; a session that cannot sum itself up is shown by its key (decision 11)."""
        try:
            summary = self.session.summary()
        except Exception:
            summary = None
        return Listed(
            session_key=self.key,
            generation=self.generation,
            project_key=self.context.project,
            channel_key=self.context.channel,
            summary=summary if isinstance(summary, str) else self.key,
            last_modified=timestamp(self.last_used_at),
        )
