"""Why a session is live, dirty, kept or gone. Pure. behaviours/router.md, decisions 7, 8, 10 and 12."""

from __future__ import annotations

from typing import assert_never

from core.clock import parse_timestamp, spoken, timestamp
from core.protocol import Because, SessionRow
from core.router.farewells import Farewell
from core.router.session import EvictionReason


def why_live(row: SessionRow, now: int, idle_seconds: float) -> list[Because]:
    """What keeps a live session where it is, and what will become of it; `now` is wall milliseconds."""
    facts = {"generation": str(row.generation), "built": row.created_at, "lastUsed": row.last_used_at}
    if row.maintenance is not None:
        because = [
            Because(
                rule="reserved",
                text=f"it is reserved for {row.maintenance}: no turn begins, and nothing evicts it meanwhile",
                facts=facts,
                helps="the end of that, or closing the session",
            )
        ]
    elif row.run_id is not None:
        because = [
            Because(
                rule="busy",
                text="a turn is in its slot; the next one waits or is refused, and nothing evicts it meanwhile",
                facts={"run": row.run_id, "kind": row.kind, **facts},
                helps="the end of the turn, aborting it, or closing the session",
            )
        ]
    else:
        left = idle_seconds - (now - parse_timestamp(row.last_used_at)) / 1000
        when = f"in about {spoken(left)}" if left > 0 else "with the next sweep"
        because = [
            Because(
                rule="idle",
                text=f"it serves no turn; unless one begins, it is evicted {when}",
                facts={"idleSeconds": f"{idle_seconds:g}", **facts},
                helps="a turn; its history, pin and cost stay in any case",
            )
        ]
    if row.dirty is not None:
        because.append(
            Because(
                rule="dirty",
                text=f"it is rebuilt at its next use: {row.dirty}",
                helps="its next turn, or clearing the mark",
            )
        )
    return because


def why_gone(farewell: Farewell, idle_seconds: float) -> Because:
    """Why a session is not live any more."""
    return Because(
        rule=f"gone_{farewell.reason}",
        text=_why(farewell.reason, idle_seconds),
        facts={
            "at": timestamp(farewell.at),
            "generation": str(farewell.session.generation),
            "lastUsed": farewell.session.last_used_at,
        },
        helps="its next turn, which builds it again with its history, pin and cost",
    )


def _why(reason: EvictionReason, idle_seconds: float) -> str:
    match reason:
        case "idle":
            return f"it was evicted after {spoken(idle_seconds)} without a turn"
        case "closed":
            return "it was closed: its turn was aborted, and it was disposed"
        case "dirty_recreate":
            return "it was replaced by one that was built anew"
        case "capacity":
            return "it was evicted to make room: it had been idle the longest when the cap was reached"
        case "operator":
            return "an operator evicted it"
        case "shutdown":
            return "the core was leaving"
        case _:
            assert_never(reason)
