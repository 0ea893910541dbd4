"""A played core that counts, words and withholds as a real one does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec

from core.clock import ManualClock, timestamp
from core.protocol import (
    MOST_AHEAD,
    AbortRun,
    AdmitNow,
    AnyCommand,
    Because,
    ClearDirty,
    CloseSession,
    Done,
    EvictSession,
    Explained,
    Explanation,
    MarkDirty,
    Outcome,
    PauseAdmission,
    PinModel,
    Preview,
    Refused,
    ReleasePin,
    ResetStrikes,
    ResumeAdmission,
    RunBatch,
    RunRow,
    SessionDetail,
    ViewPart,
    ViewRows,
    action_of,
)
from core.store.why_model import why_model
from tests.console.fake_core import FakeCore


class BusyCore(FakeCore):
    """A played core that counts what a command would hit, and words its answers as the real one does."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock=clock, epoch="7f3a", events=1_000)
        self.moved = clock
        self.truncated: set[str] = set()
        """Runs whose first frames are no longer kept."""
        self.half = False
        """Whether a view stops in its middle, and never goes on."""

    async def view(self) -> AsyncIterator[ViewPart]:
        async for part in super().view():
            if self.half and isinstance(part, ViewRows):
                yield ViewRows(rows=part.rows[:150])
                await asyncio.Event().wait()
            yield part

    async def session(self, session_key: str) -> SessionDetail:
        detail = await super().session(session_key)
        cost = next((cost for key, cost in self.rows.costs.items() if key.key == session_key), None)
        return msgspec.structs.replace(
            detail,
            owner="ada.kovacs",
            cost=cost,
            seat=self.rows.seats.get("ada.kovacs"),
            config={
                "reasoning_effort": "high",
                "system_prompt": "You are the on-call engineer. " * 6,
                "tone": "terse",
            },
        )

    async def run_events(self, run_id: str, after: int = 0, *, wait: float = 25.0) -> RunBatch:
        batch = await super().run_events(run_id, after, wait=wait)
        if run_id not in self.truncated or after > 0:
            return batch
        first = self.frames[run_id][0]["seq"]
        return msgspec.structs.replace(batch, truncated=True, first_seq=first)

    async def explain(self, kind: Explained, key: str) -> Explanation:
        if kind == "session":
            return why_model(self.rows.pins[key])
        if kind == "run":
            decided = Because(rule="forced", text="it was stopped by force: its agent did not confirm")
            return Explanation(kind="run", key=key, summary=f"{key}: {decided.text}", because=[decided])
        seat, waiting = (
            self.rows.seats[key],
            [each for each in self.rows.seats.values() if each.state == "queued"],
        )
        ahead = [each.user_id for each in waiting if each.ticket < seat.ticket and each.model == seat.model]
        position = f"place {len(ahead) + 1} of {len(waiting)}"
        behind = Because(
            rule="behind",
            text=f"{len(ahead)} come first",
            facts={"position": str(len(ahead) + 1), "depth": str(len(waiting))},
            helps="admit now, which crosses the queue",
        )
        full = Because(
            rule="at_capacity",
            text="all 72 seats are occupied, those in grace among them",
            facts={
                "occupied": "72",
                "maxActive": "72",
                "nextFreeAtTheLatest": timestamp(self.clock.now() + 99_000),
            },
            helps="somebody leaving; nothing crosses this, not even admit now",
        )
        return Explanation(
            kind="seat",
            key=key,
            summary=f"{key} waits for {seat.model}, {position}: {full.text}",
            because=[full, behind],
            ahead=ahead[:MOST_AHEAD],
            ahead_count=len(ahead),
        )

    async def preview(self, command: AnyCommand) -> Preview:
        preview = await super().preview(command)
        runs = [run for run in self.rows.runs.values() if run.ended_at is None and _hits(command, run)]
        turns = (
            f"{len(runs)} running turn{'s' * (len(runs) > 1)} will be cut off" if runs else "no turn is lost"
        )
        targets = f"{preview.targets} target{'s' * (preview.targets != 1)}"
        return msgspec.structs.replace(
            preview,
            turns=len(runs),
            tokens=sum(run.input_tokens + run.output_tokens for run in runs),
            micros=sum(run.micros for run in runs),
            message=f"{action_of(command)}: {targets}; {turns}",
        )

    async def execute(self, command: AnyCommand) -> Outcome:
        match await super().execute(command):
            case Done() as done:
                return msgspec.structs.replace(done, message=_answer(command, done.count))
            case Refused(code="busy"):
                assert isinstance(command, EvictSession)
                text = f"session {command.session_key!r} has a turn; close it instead, which aborts the turn"
                return Refused(command_id=command.command_id, code="session_busy", message=text)
            case refused:
                return refused


def _hits(command: AnyCommand, run: RunRow) -> bool:
    match command:
        case AbortRun(run_id=run_id):
            return run.run_id == run_id
        case CloseSession(session_key=key):
            return run.session_key == key
        case _:
            return False


def _answer(command: AnyCommand, count: int) -> str:  # noqa: PLR0911 - a table
    match command:
        case AbortRun():
            return "abort sent"
        case EvictSession():
            return "session evicted; history, pin and cost stay"
        case CloseSession():
            return "session closed"
        case MarkDirty():
            return f"{count} sessions will be rebuilt at their next use"
        case ClearDirty():
            return "mark taken back"
        case AdmitNow():
            return "admitted"
        case PauseAdmission():
            return f"admission to {command.model or 'every model'} is paused"
        case ResumeAdmission():
            return f"admission to {command.model or 'every model'} goes on"
        case ReleasePin():
            return "repetitions may escalate it again"
        case ResetStrikes():
            return "its strikes are forgotten"
        case PinModel(model=model):
            return f"kept on {model}"
        case _:
            raise AssertionError(f"{action_of(command)} is not played")
