"""What a core answers to questions: batches of events, details, pages."""

from __future__ import annotations

from typing import Any

import msgspec

from core.protocol.events import AnyEvent
from core.protocol.rows import AnyRow, CostRow, PinRow, RunRow, SeatRow, SessionRow, Timestamp, Wire


class ViewHead(Wire, frozen=True, kw_only=True, tag_field="part", tag="head"):
    """The first part of a view: whose it is, and how many rows of each kind will come."""

    house: str
    instance: str
    epoch: str
    version: str
    now: Timestamp
    counts: dict[str, int]


class ViewRows(Wire, frozen=True, kw_only=True, tag_field="part", tag="rows"):
    """At most 500 rows."""

    rows: list[AnyRow]


class ViewTail(Wire, frozen=True, kw_only=True, tag_field="part", tag="tail"):
    """The end of a view; events after `cursor` continue it."""

    cursor: str


ViewPart = ViewHead | ViewRows | ViewTail

ROWS_PER_PART = 500


class EventBatch(Wire, frozen=True, kw_only=True):
    """Events after a cursor, oldest first. With `gap` the cursor is too old or of another epoch: take a new view."""

    events: list[AnyEvent]
    cursor: str
    gap: bool
    now: Timestamp


class RunBatch(Wire, frozen=True, kw_only=True):
    """A run's frames after a seq, each the JSON that subscribers get. `truncated`: older ones are gone."""

    run_id: str
    session_key: str
    events: list[msgspec.Raw]
    truncated: bool
    first_seq: int
    last_seq: int
    ended: bool


class Message(Wire, frozen=True, kw_only=True):
    """One message of a session; `content` is text or structured parts, `partial` that it was broken off."""

    seq: int
    role: str
    content: Any
    timestamp: Timestamp
    partial: bool = False
    run_id: str | None = None
    extra: dict[str, Any] | None = None


class HistoryPage(Wire, frozen=True, kw_only=True, omit_defaults=True):
    """Messages in ascending order, read backwards or forwards.

    `before` asks for the page that precedes the newest ones, `after` for the one that follows the oldest; None where
    there is none, or where the page was read the other way.
    """

    session_key: str
    messages: list[Message]
    before: int | None
    after: int | None = None


class SearchHit(Wire, frozen=True, kw_only=True):
    """One message that holds every word of a query; `snippet` is plain text."""

    session_key: str
    seq: int
    role: str
    timestamp: Timestamp
    snippet: str


class AuditEntry(Wire, frozen=True, kw_only=True):
    """Who did what to which target, when, why, and how it ended. Never message content."""

    id: int
    at: Timestamp
    actor: str
    action: str
    target: str
    outcome: str
    reason: str = ""
    detail: dict[str, Any] = {}


class AuditPage(Wire, frozen=True, kw_only=True):
    """The newest entries before an id, newest first; `before` asks for the page that precedes them."""

    entries: list[AuditEntry]
    before: int | None


class StoredSession(Wire, frozen=True, kw_only=True):
    """What is stored of one session, live or not: whose it is, and how many messages it has."""

    session_key: str
    owner: str | None
    project: str | None
    created_at: Timestamp
    updated_at: Timestamp
    messages: int


class SessionsPage(Wire, frozen=True, kw_only=True):
    """Stored sessions in the order of their keys; `after` asks for the page that follows them."""

    sessions: list[StoredSession]
    after: str | None


class SessionDetail(Wire, frozen=True, kw_only=True):
    """All that is known of one session key, live or not."""

    session_key: str
    owner: str | None
    session: SessionRow | None
    pin: PinRow | None
    cost: CostRow | None
    run: RunRow | None
    seat: SeatRow | None
    messages: int
    config: dict[str, str]
    next_seq: int = 1
    """The number that the next message will get: the `messages` that there are have smaller ones."""


class ImportBegun(Wire, frozen=True, kw_only=True):
    """An import waits for messages; `staged` of them are there already, and need not be sent again."""

    import_id: str
    session_key: str
    staged: int


class ImportStaged(Wire, frozen=True, kw_only=True):
    """So many messages of an import are there, and durable."""

    import_id: str
    staged: int


class Imported(Wire, frozen=True, kw_only=True):
    """The session's history is what was imported: so many messages."""

    import_id: str
    session_key: str
    messages: int


class ImportDropped(Wire, frozen=True, kw_only=True):
    """Nothing is left of the import."""

    import_id: str


class ReindexProgress(Wire, frozen=True, kw_only=True, tag_field="part", tag="progress"):
    """So many of the messages are indexed anew."""

    done: int
    of: int


class Reindexed(Wire, frozen=True, kw_only=True, tag_field="part", tag="reindexed"):
    """The end: the index was rebuilt from so many messages."""

    messages: int


class ReindexFailed(Wire, frozen=True, kw_only=True, tag_field="part", tag="failed"):
    """The end before its time: what was rebuilt stays, and rebuilding can begin again."""

    code: str
    message: str


ReindexPart = ReindexProgress | Reindexed | ReindexFailed
