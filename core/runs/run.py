"""A run: what a turn produces. Its state and the rules about it, pure (behaviours/runs.md)."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import msgspec

from core.protocol import RunState
from core.runs.activity import IDLE
from core.runs.log import RunEvent, RunLog

RunStatus = Literal["running", "completed", "aborted", "interrupted"]
"""How a run stands in the database (decision 12)."""

_encode = msgspec.json.Encoder().encode


class Used(NamedTuple):
    """What a run has used so far: tokens, micro-USD, and whether that is an estimate."""

    input_tokens: int = 0
    output_tokens: int = 0
    micros: int = 0
    estimated: bool = False


_SMALLEST, _LARGEST = -(2**31), 2**31 - 1


class Run:
    """One run. Times of day are milliseconds since 1970; `last_event` is monotonic seconds.

    Whoever holds one reads it; only the registry changes it.
    """

    __slots__ = (
        "abort_reason",
        "aborted",
        "activity",
        "dropped",
        "ended_at",
        "exit_code",
        "id",
        "interrupted",
        "last_event",
        "last_producer_seq",
        "log",
        "model",
        "provider",
        "session_key",
        "stalled",
        "started_at",
        "used",
        "user_id",
    )

    def __init__(
        self,
        run_id: str,
        session_key: str,
        provider: str,
        *,
        user_id: str | None,
        model: str | None,
        started_at: int,
        last_event: float,
        log: RunLog,
    ) -> None:
        self.id = run_id
        self.session_key = session_key
        self.provider = provider
        self.user_id = user_id
        self.model = model
        self.started_at = started_at
        self.ended_at: int | None = None
        self.exit_code: int | None = None
        self.aborted = False
        self.interrupted = False
        self.stalled = False
        self.abort_reason: str | None = None
        self.last_event = last_event
        self.last_producer_seq: int | None = None
        self.activity = IDLE
        self.dropped = 0
        self.used = Used()
        self.log = log

    @property
    def ended(self) -> bool:
        """Whether its `complete` has been given out."""
        return self.ended_at is not None

    @property
    def abort_requested(self) -> bool:
        """Whether somebody wants it stopped, or has stopped it."""
        return self.abort_reason is not None

    @property
    def state(self) -> RunState:
        """How a view shows it."""
        if self.ended_at is None:
            if self.abort_requested:
                return "aborting"
            return "stalled" if self.stalled else "running"
        if self.interrupted:
            return "interrupted"
        if self.aborted:
            return "aborted"
        return "completed" if self.exit_code == 0 else "failed"

    @property
    def status(self) -> RunStatus:
        """How the database keeps it; the exit code beside it tells a failure from a success."""
        if self.ended_at is None:
            return "running"
        if self.interrupted:
            return "interrupted"
        return "aborted" if self.aborted else "completed"

    def is_repeat(self, producer_seq: int | None) -> bool:
        """Whether a publisher has been answered for this number, or a later one, before (decision 14)."""
        return (
            producer_seq is not None
            and self.last_producer_seq is not None
            and producer_seq <= self.last_producer_seq
        )

    def silent_ms(self, monotonic: float) -> int:
        """For how many whole milliseconds nothing has come from it."""
        return round((monotonic - self.last_event) * 1000)


def head_of(run_id: str, session_key: str) -> bytes:
    """What every frame of a run begins with, up to the number."""
    return b'{"runId":%b,"sessionKey":%b,"seq":' % (_encode(run_id), _encode(session_key))


def frame(run: Run, event: RunEvent) -> bytes:
    """An event as it goes over the wire: ``{"runId":…,"sessionKey":…,"seq":N,`` and its own fields (decision 1)."""
    return run.log.frame(event)


def is_truncated(log: RunLog, after: int) -> bool:
    """Whether a replay from `after` has a gap in front (decision 2)."""
    return after + 1 < log.first and log.last > after


def position(after: object) -> int:
    """The seq a reader says it has: a number is cut to a whole one, and below 0, or none at all, counts as 0.

    >>> position(2.9), position(-3), position("x")
    (2, 0, 0)
    """
    if isinstance(after, bool) or not isinstance(after, int | float) or not math.isfinite(after):
        return 0
    return max(0, math.floor(after))


def exit_code_of(value: object) -> int:
    """An agent's exit code; 1 for whatever is no whole number that a process could exit with."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not _SMALLEST <= value <= _LARGEST:
        return 1
    return value


def terminal_payload(
    provider: str,
    *,
    exit_code: int,
    aborted: bool,
    interrupted: bool = False,
    fields: dict[str, object] | None = None,
) -> bytes:
    """The payload of a run's one `complete`; `fields` are an agent's own, for which the house's word wins."""
    event: dict[str, object] = {"kind": "complete", "provider": provider, **(fields or {})}
    event["exitCode"] = exit_code
    event["success"] = exit_code == 0 and not aborted
    event["aborted"] = aborted
    if interrupted:
        event["interrupted"] = True
    return _encode(event)
