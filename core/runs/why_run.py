"""Why a run stands or ended as it did. Pure. behaviours/runs.md, decisions 4, 9, 11 and 12."""

from __future__ import annotations

from typing import assert_never

from core.clock import spoken
from core.protocol import Because, Explanation, RunRow
from core.runs.run import Run


def why_run(
    run: Run, row: RunRow, *, monotonic: float, stall_seconds: float, abort_seconds: float
) -> Explanation:
    """The rule that decided, and what else is known. `row` is the run as a view shows it now."""
    because = [_decided(run, row, monotonic, stall_seconds, abort_seconds)]
    if row.approval is not None and row.ended_at is None:
        because.insert(
            0,
            Because(
                rule="approval",
                text=f"somebody is asked to allow {row.approval or 'what it wants to do'}; until then it waits",
                helps="an answer where the agent asks, or aborting the run",
            ),
        )
    if run.dropped:
        because.append(
            Because(
                rule="dropped",
                text="events came after its end, and were dropped",
                facts={"dropped": str(run.dropped)},
                helps="an agent that hears of the end: it is told with every answer",
            )
        )
    return Explanation(
        kind="run",
        key=run.id,
        summary=f"{run.session_key}: {because[0].text}",
        because=because,
    )


def _decided(run: Run, row: RunRow, monotonic: float, stall_seconds: float, abort_seconds: float) -> Because:
    asked = {"reason": run.abort_reason} if run.abort_reason else {}
    silent = spoken(run.silent_ms(monotonic) / 1000)
    match row.state:
        case "running":
            return Because(
                rule="running",
                text=f"it runs; its last event came {silent} ago",
                facts={"events": str(row.last_seq), "stallSeconds": f"{stall_seconds:g}"},
                helps=f"its end, aborting it, or {stall_seconds:g} s of silence, which make it stalled",
            )
        case "stalled":
            return Because(
                rule="stalled",
                text=f"nothing has come from it for {silent}",
                facts={"events": str(row.last_seq), "stallSeconds": f"{stall_seconds:g}"},
                helps="its next event, or aborting it",
            )
        case "aborting":
            return Because(
                rule="aborting",
                text="somebody wants it stopped, and its agent has not confirmed that yet",
                facts=asked | {"abortSeconds": f"{abort_seconds:g}"},
                helps=f"the agent's end; after {abort_seconds:g} s it is forced",
            )
        case "aborted" if row.exit_code == 0:
            return Because(rule="aborted", text="it was stopped, and its agent confirmed that", facts=asked)
        case "aborted":
            return Because(
                rule="forced",
                text=f"it was stopped by force: its agent did not confirm within {abort_seconds:g} s, or runs "
                "elsewhere and hears of it with its next call",
                facts=asked,
                helps="nothing is needed: its slot is free, and what the agent still sends is dropped",
            )
        case "interrupted":
            return Because(
                rule="interrupted",
                text="it was cut off: its session was closed, or the core left, while it ran",
                facts=asked,
                helps="sending the request again",
            )
        case "failed":
            return Because(
                rule="failed",
                text=f"its agent ended it with exit code {row.exit_code}",
                facts={"exitCode": str(row.exit_code), "upstream": run.provider},
                helps="what it said last, which is among its events",
            )
        case "completed":
            return Because(
                rule="completed",
                text="its agent ended it with success",
                facts={"events": str(row.last_seq)},
            )
        case _:
            assert_never(row.state)
