"""The journal's events: everything the core decides, in order. view + later events = the state now.

Whoever decides makes the event; the journal gives it its `seq` and its time. No event carries message content.
"""

from __future__ import annotations

from typing import Literal

from core.protocol.rows import (
    CostRow,
    FindingRow,
    PinRow,
    QueueRow,
    RunRow,
    SeatRow,
    SessionRow,
    Timestamp,
    Wire,
)


class Event(Wire, frozen=True, kw_only=True, tag_field="kind"):
    """A decision. `seq` counts up within one epoch; both are filled in by the journal."""

    seq: int = 0
    at: Timestamp = ""


class QueueChanged(Event, frozen=True, kw_only=True, tag="queue_changed"):
    """The figures of one model's queue are now these."""

    queue: QueueRow


class SeatChanged(Event, frozen=True, kw_only=True, tag="seat_changed"):
    """A seat was requested, taken over, switched, admitted (and by what way), its time ended, or its user is banned.

    ``revived`` is one that had ended, and whose time goes on because the clock was set back.
    """

    what: Literal[
        "queued",
        "switched",
        "taken_over",
        "admitted",
        "admitted_now",
        "ended",
        "revived",
        "banned",
        "unbanned",
    ]
    seat: SeatRow


class SeatGone(Event, frozen=True, kw_only=True, tag="seat_gone"):
    """A seat is no more: given up, past its grace, its user banned, nobody asked for it, its model gone."""

    what: Literal["ended", "expired", "evicted", "abandoned", "model_gone"]
    user_id: str
    model: str


class SessionChanged(Event, frozen=True, kw_only=True, tag="session_changed"):
    """A live session was built, rebuilt, marked, reserved for maintenance, or its slot taken or freed."""

    what: Literal[
        "created",
        "rebuilt",
        "merged",
        "turn_began",
        "turn_ended",
        "marked_dirty",
        "cleared_dirty",
        "maintenance_began",
        "maintenance_ended",
    ]
    session: SessionRow


class SessionGone(Event, frozen=True, kw_only=True, tag="session_gone"):
    """A live session was evicted; its history, pin and cost stay. A rebuild is no departure."""

    session_key: str
    generation: int
    reason: Literal["idle", "closed", "capacity", "operator", "shutdown"]


class RunChanged(Event, frozen=True, kw_only=True, tag="run_changed"):
    """A run began, stalled, came back to life, is being aborted, or ended.

    ``upstream_closed`` comes while it is being aborted, or after an abort that was forced: the connection to its
    agent is closed, nothing more is produced or paid for.
    """

    what: Literal["started", "stalled", "revived", "aborting", "upstream_closed", "ended"]
    run: RunRow
    reason: str = ""


class Progress(Event, frozen=True, kw_only=True, tag="progress"):
    """Four times a second: the runs that moved since the last one, with their latest figures."""

    runs: list[RunRow]


class RunGone(Event, frozen=True, kw_only=True, tag="run_gone"):
    """An ended run is no longer kept for replay."""

    run_id: str
    session_key: str


class PinChanged(Event, frozen=True, kw_only=True, tag="pin_changed"):
    """A session was pinned, struck, forgiven, escalated or released."""

    what: Literal["pinned", "touched", "struck", "forgiven", "escalated", "released", "reset"]
    pin: PinRow


class PinGone(Event, frozen=True, kw_only=True, tag="pin_gone"):
    """A pin expired, was cleared, or made room for others; what the session cost stays."""

    what: Literal["expired", "cleared", "dropped"]
    session_key: str


class CostChanged(Event, frozen=True, kw_only=True, tag="cost_changed"):
    """Usage was booked: the new totals of everything it counts for."""

    session_key: str
    micros: int
    estimated: bool
    costs: list[CostRow]


class FindingChanged(Event, frozen=True, kw_only=True, tag="finding_changed"):
    """The reconciler found a contradiction or knows more of it, released what was dead or could not, or it is gone."""

    what: Literal["found", "released", "kept", "gone"]
    finding: FindingRow
    message: str = ""


class Acted(Event, frozen=True, kw_only=True, tag="acted"):
    """An operator acted (or was refused): who, what, on which target, why, and how it ended."""

    command_id: str
    actor: str
    action: str
    target: str
    reason: str
    outcome: str
    message: str


class Noticed(Event, frozen=True, kw_only=True, tag="noticed"):
    """Something an operator should know of that belongs to no row."""

    level: Literal["info", "warning", "error"]
    code: str
    message: str


AnyEvent = (
    QueueChanged
    | SeatChanged
    | SeatGone
    | SessionChanged
    | SessionGone
    | RunChanged
    | Progress
    | RunGone
    | PinChanged
    | PinGone
    | CostChanged
    | FindingChanged
    | Acted
    | Noticed
)
