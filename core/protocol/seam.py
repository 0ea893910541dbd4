"""The seam: what a console may ask of a core, wherever that core runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from core.protocol.answers import (
    AuditPage,
    EventBatch,
    HistoryPage,
    RunBatch,
    SearchHit,
    SessionDetail,
    ViewPart,
)
from core.protocol.commands import AnyCommand, Outcome, Preview
from core.protocol.explanation import Explained, Explanation


class Core(Protocol):
    """A running maitred: in this loop, across a thread border, or across the network.

    Calls that fail raise one class of `core.errors`, the same on every side of the seam.
    """

    def view(self) -> AsyncIterator[ViewPart]:
        """The state at one cursor: a head with counts, the rows, a tail with the cursor."""

    async def events(self, after: str, *, wait: float = 25.0, limit: int = 1000) -> EventBatch:
        """Journal events after the cursor; answers at once if there are any, else when some come or `wait` is over.

        An empty cursor means the oldest event that the journal still holds.
        """

    async def session(self, session_key: str) -> SessionDetail:
        """Everything known of one session; raises SessionNotFound for a key that never was."""

    async def run_events(self, run_id: str, after: int = 0, *, wait: float = 25.0) -> RunBatch:
        """A run's frames after `after`, waiting like `events`; raises RunNotFound."""

    async def history(
        self, session_key: str, *, before: int | None = None, after: int | None = None, limit: int = 100
    ) -> HistoryPage:
        """A page of messages, the newest first page; with `after` the oldest after that number.

        Raises InvalidArgument for a limit outside 1 to 1000, and for both numbers at once.
        """

    async def search(self, query: str, *, limit: int = 20, session_key: str | None = None) -> list[SearchHit]:
        """Messages that hold every word of the query, best first."""

    async def audit(
        self, *, before: int | None = None, limit: int = 100, target: str | None = None
    ) -> AuditPage:
        """The operators' acts, newest first."""

    async def explain(self, kind: Explained, key: str) -> Explanation:
        """Why a user waits (kind seat, the user's id), or why a session is on its model (kind session, its key).

        Raises SessionNotFound for a session that has no pin. Changes nothing.
        """

    async def preview(self, command: AnyCommand) -> Preview:
        """What the command would hit and lose now."""

    async def execute(self, command: AnyCommand) -> Outcome:
        """Carry out a command; a refusal is an answer, not an error."""

    async def aclose(self) -> None:
        """Let go; an embedded core shuts down, a remote one stays."""
