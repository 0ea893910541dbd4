"""Rows to show: one maker a kind, with everything that a test does not care about filled in."""

from __future__ import annotations

from typing import Any

import msgspec

from core.protocol import CostRow, FindingRow, PinRow, QueueRow, RunRow, SeatRow, SessionRow

AT = "2026-04-17T12:00:00Z"


def a_queue(model: str = "gpt-mini", **changes: Any) -> QueueRow:
    row = QueueRow(
        model=model,
        name=model,
        tier="SIMPLE",
        waiting=0,
        seated=1,
        draining=0,
        instant_admit_capacity=10,
        max_active=0,
        health="healthy",
        paused_reason=None,
        oldest_queued_at=None,
        tick_ms=15_000,
    )
    return msgspec.structs.replace(row, **changes)


def a_seat(user_id: str = "ann", **changes: Any) -> SeatRow:
    row = SeatRow(
        user_id=user_id,
        model="gpt-mini",
        access_tier="full",
        state="active",
        queued_at=AT,
        admitted_at=AT,
        expires_at="2026-04-17T13:00:00Z",
    )
    return msgspec.structs.replace(row, **changes)


def a_session(session_key: str = "api:ann/1", **changes: Any) -> SessionRow:
    row = SessionRow(
        session_key=session_key,
        generation=1,
        kind="user",
        project=None,
        channel="api",
        run_id=None,
        dirty=None,
        created_at=AT,
        last_used_at=AT,
    )
    return msgspec.structs.replace(row, **changes)


def a_run(run_id: str = "run-1", **changes: Any) -> RunRow:
    row = RunRow(
        run_id=run_id,
        session_key="api:ann/1",
        user_id="ann",
        provider="upstream",
        model="gpt-mini",
        state="running",
        started_at=AT,
        ended_at=None,
        exit_code=None,
        first_seq=1,
        last_seq=0,
        buffered_bytes=0,
        subscribers=1,
        input_tokens=0,
        output_tokens=0,
        micros=0,
    )
    return msgspec.structs.replace(row, **changes)


def a_pin(session_key: str = "api:ann/1", **changes: Any) -> PinRow:
    row = PinRow(
        session_key=session_key,
        model="gpt-mini",
        tier="SIMPLE",
        explicit=False,
        escalated=False,
        strikes=0,
        run=1,
        repeat_limit=3,
        request_count=1,
        last_used_at=AT,
    )
    return msgspec.structs.replace(row, **changes)


def a_cost(key: str = "api:ann/1", **changes: Any) -> CostRow:
    row = CostRow(
        scope="session",
        key=key,
        micros=0,
        estimated_micros=0,
        input_tokens=0,
        output_tokens=0,
        cached_tokens=0,
        updated_at=AT,
    )
    return msgspec.structs.replace(row, **changes)


def a_finding(key: str = "run-1", **changes: Any) -> FindingRow:
    row = FindingRow(
        kind="slot_without_run",
        key=key,
        session_key="api:ann/1",
        user_id=None,
        since=AT,
        evidence="the run has ended and still holds the slot; no turn leads it",
        proven=True,
    )
    return msgspec.structs.replace(row, **changes)
