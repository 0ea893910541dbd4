"""The rows of a view: what is true now, one frozen struct a thing, replaced when it changes.

Times are wire timestamps (``2026-04-17T12:00:00Z``), money is whole micro-USD (1 USD = 1,000,000), tokens and
bytes are counts. A field that is None is not known or does not apply.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Timestamp = str
"""``YYYY-MM-DDTHH:MM:SS[.mmm]Z``; made and read by `core.clock`."""

Tier = Literal["SIMPLE", "MEDIUM", "COMPLEX", "REASONING"]
AccessTier = Literal["full", "limited"]
Health = Literal["healthy", "degraded", "unhealthy"]
PausedReason = Literal["closed", "paused", "degraded", "unhealthy"]
TurnKind = Literal["user", "cron", "always_on"]
CostScope = Literal["session", "user", "project", "model", "day"]
RunState = Literal["running", "stalled", "aborting", "completed", "failed", "aborted", "interrupted"]
"""A run that ended is `completed` (exit code 0), `failed`, `aborted` or `interrupted` (cut off by a close)."""


class Wire(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What travels: immutable, keyword-only, camelCase as JSON."""


class Row(Wire, frozen=True, kw_only=True, tag_field="row"):
    """A thing in the view."""


class QueueRow(Row, frozen=True, kw_only=True, tag="queue", gc=False):
    """One model's queue and seats. Capacities of 0 mean: none by that way (instant), no ceiling (max_active).

    `paused` says that an operator holds it, whatever else does; `paused_reason` is the gravest of all. Every
    `tick_ms` the ticks let `admits_per_tick` in, which gives the wait at each place. `context_tokens` is how much the
    model reads at once, 0 where that is not known.
    """

    model: str
    name: str
    tier: Tier
    waiting: int
    seated: int
    draining: int
    instant_admit_capacity: int
    max_active: int
    health: Health
    paused_reason: PausedReason | None
    oldest_queued_at: Timestamp | None
    paused: bool = False
    admits_per_tick: int = 1
    tick_ms: int = 0
    context_tokens: int = 0


class SeatRow(Row, frozen=True, kw_only=True, tag="seat", gc=False):
    """One user's place. `ended` is a seat in its grace. Instance ids are secrets and never in a view.

    Those who are queued for a model come in the order of their `ticket`; the banned are skipped.
    """

    user_id: str
    model: str
    access_tier: AccessTier
    state: Literal["queued", "active", "ended"]
    queued_at: Timestamp
    admitted_at: Timestamp | None
    expires_at: Timestamp | None
    ticket: int = 0
    banned: bool = False


class SessionRow(Row, frozen=True, kw_only=True, tag="session", gc=False):
    """One live session of the router. `run_id` is the turn in its slot; `dirty` the reason of its mark.

    `maintenance` is what it is reserved for, during which no turn begins.
    """

    session_key: str
    generation: int
    kind: TurnKind
    project: str | None
    channel: str
    run_id: str | None
    dirty: str | None
    created_at: Timestamp
    last_used_at: Timestamp
    maintenance: str | None = None


class PinRow(Row, frozen=True, kw_only=True, tag="pin", gc=False):
    """The model and tier a session stays on. `run` counts equal requests in a row; at `repeat_limit` it escalates."""

    session_key: str
    model: str
    tier: Tier
    explicit: bool
    escalated: bool
    strikes: int
    run: int
    repeat_limit: int
    request_count: int
    last_used_at: Timestamp


class CostRow(Row, frozen=True, kw_only=True, tag="cost", gc=False):
    """What one session, user, project, model or day has cost so far; `estimated_micros` is the part not reported.

    A day's key is its date in UTC, ``2026-04-17``.
    """

    scope: CostScope
    key: str
    micros: int
    estimated_micros: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    updated_at: Timestamp


class Follower(Wire, frozen=True, kw_only=True, gc=False):
    """Somebody who follows a run, and the number of the last event that they were given."""

    name: str
    seq: int


class RunRow(Row, frozen=True, kw_only=True, tag="run", gc=False):
    """One run: where its log stands, who follows it, what it used so far; `estimated` until that is reported.

    The buffer holds `first_seq` to `last_seq`; `buffer_percent` says how full it is by the bound that is nearer. Of
    the `subscribers` the slowest stand in `followers`, the slowest first.

    `tool` is the one in use, as far as the events tell; of a run that has ended, the one that its answer calls.
    `approval` is what waits for somebody to allow it, "" where that has no name.
    """

    run_id: str
    session_key: str
    user_id: str | None
    provider: str
    model: str | None
    state: RunState
    started_at: Timestamp
    ended_at: Timestamp | None
    exit_code: int | None
    first_seq: int
    last_seq: int
    buffered_bytes: int
    subscribers: int
    input_tokens: int
    output_tokens: int
    micros: int
    estimated: bool = False
    buffer_percent: int = 0
    followers: list[Follower] = []
    tool: str | None = None
    approval: str | None = None


FindingKind = Literal[
    "seat_without_instance",
    "slot_without_run",
    "run_without_slot",
    "agent_without_session",
    "upstream_without_run",
]


class FindingRow(Row, frozen=True, kw_only=True, tag="finding", gc=False):
    """Two parts of the house that contradict each other, as the reconciler found them.

    `key` tells apart what is of one kind: a user, run or session, or a session with a number of its own. What is
    `proven` dead is released once it has lasted; the rest is only told.
    """

    kind: FindingKind
    key: str
    session_key: str | None
    user_id: str | None
    since: Timestamp
    evidence: str
    proven: bool


AnyRow = QueueRow | SeatRow | SessionRow | PinRow | CostRow | RunRow | FindingRow
