"""A core that is played: rows in, commands written down, and events out that say what the commands did."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, assert_never

import msgspec

from console.state import Rows
from core.clock import Clock, SystemClock, timestamp
from core.errors import CoreUnreachable, RunNotFound, SessionNotFound
from core.journal import Journal
from core.protocol import (
    AbortRun,
    Acted,
    AdmitNow,
    AnyCommand,
    AnyEvent,
    AnyRow,
    AuditEntry,
    AuditPage,
    BanUser,
    ClearDirty,
    CloseSession,
    Done,
    EndSeat,
    EventBatch,
    EvictSession,
    Explained,
    Explanation,
    HistoryPage,
    MarkDirty,
    Message,
    Outcome,
    PauseAdmission,
    PinChanged,
    PinModel,
    Preview,
    QueueChanged,
    Refused,
    ReleasePin,
    ResetStrikes,
    ResumeAdmission,
    RunBatch,
    RunChanged,
    SearchHit,
    SeatChanged,
    SeatGone,
    SessionChanged,
    SessionDetail,
    SessionGone,
    UnbanUser,
    ViewHead,
    ViewPart,
    ViewRows,
    ViewTail,
    action_of,
    target_of,
)
from core.protocol.answers import ROWS_PER_PART
from core.store.message import text_of
from core.store.search import snippet_of
from core.store.words import words_of


class FakeCore:
    """Plays the `Core` protocol. `executed` holds every command that reached it; `down` makes every call fail."""

    def __init__(
        self,
        *rows: AnyRow,
        clock: Clock | None = None,
        epoch: str = "e1",
        events: int = 1_000,
        house: str = "house",
    ) -> None:
        self.house = house
        self.clock = clock or SystemClock()
        self.rows = Rows()
        self.journal = Journal(self.clock, epoch, max_events=events, max_bytes=1 << 24)
        self.executed: list[AnyCommand] = []
        self.previewed: list[AnyCommand] = []
        self.explanations: dict[str, Explanation] = {}
        self.audited: list[AuditEntry] = []
        self.messages: dict[str, list[Message]] = {}
        self.frames: dict[str, list[dict[str, Any]]] = {}
        self.histories: list[tuple[int | None, int | None]] = []
        """What was asked for of histories: before, after."""
        self.searched: list[str] = []
        self.slow = asyncio.Event()
        """While it is cleared, nobody gets an answer about messages, or what a command would lose."""
        self.slow.set()
        self.down = False
        self.closed = 0
        self.views = 0
        for row in rows:
            self.rows.put(row)

    # ------------------------------------------------------------------------------------------- what a test does

    def happen(self, *events: AnyEvent) -> None:
        """Something happened in the core."""
        for event in events:
            match event:
                case RunChanged():
                    self.rows.put(event.run)
                case SessionChanged():
                    self.rows.put(event.session)
                case SessionGone():
                    self.rows.sessions.pop(event.session_key, None)
                case SeatChanged():
                    self.rows.put(event.seat)
                case SeatGone():
                    self.rows.seats.pop(event.user_id, None)
                case QueueChanged():
                    self.rows.put(event.queue)
                case PinChanged():
                    self.rows.put(event.pin)
                case _:
                    pass
            self.journal.append(event)

    def restart(self, epoch: str) -> None:
        """The core lost its journal and begins a new epoch."""
        self.journal = Journal(self.clock, epoch, max_events=1_000, max_bytes=1 << 24)

    # ---------------------------------------------------------------------------------------------- the protocol

    async def view(self) -> AsyncIterator[ViewPart]:
        self._reach()
        self.views += 1
        rows = self.rows
        all_rows: list[AnyRow] = [
            *rows.queues.values(),
            *rows.seats.values(),
            *rows.sessions.values(),
            *rows.pins.values(),
            *rows.costs.values(),
            *rows.runs.values(),
            *rows.findings.values(),
        ]
        yield ViewHead(
            house=self.house,
            instance="local",
            epoch=self.journal.epoch,
            version="0",
            now=timestamp(self.clock.now()),
            counts={"rows": len(all_rows)},
        )
        for start in range(0, len(all_rows), ROWS_PER_PART):
            yield ViewRows(rows=all_rows[start : start + ROWS_PER_PART])
        yield ViewTail(cursor=self.journal.cursor)

    async def events(self, after: str, *, wait: float = 25.0, limit: int = 1000) -> EventBatch:
        self._reach()
        batch = await self.journal.read(after, wait=min(wait, 0.2), limit=limit)
        self._reach()
        return batch

    async def session(self, session_key: str) -> SessionDetail:
        self._reach()
        session = self.rows.sessions.get(session_key)
        if session is None:
            raise SessionNotFound(f"nothing is known of {session_key}")
        return SessionDetail(
            session_key=session_key,
            owner="ann",
            session=session,
            pin=self.rows.pins.get(session_key),
            cost=None,
            run=self.rows.runs.get(session.run_id) if session.run_id else None,
            seat=None,
            messages=len(self.messages.get(session_key, [])),
            config={"thinking": "high"},
        )

    async def run_events(self, run_id: str, after: int = 0, *, wait: float = 25.0) -> RunBatch:
        self._reach()
        run = self.rows.runs.get(run_id)
        if run is None:
            raise RunNotFound(f"run {run_id} is not known")
        frames = [frame for frame in self.frames.get(run_id, []) if frame["seq"] > after]
        if not frames and run.ended_at is None:
            await self.clock.sleep(0.05)
        return RunBatch(
            run_id=run_id,
            session_key=run.session_key,
            events=[msgspec.Raw(msgspec.json.encode(frame)) for frame in frames],
            truncated=False,
            first_seq=1,
            last_seq=len(self.frames.get(run_id, [])),
            ended=run.ended_at is not None,
        )

    async def history(
        self, session_key: str, *, before: int | None = None, after: int | None = None, limit: int = 100
    ) -> HistoryPage:
        self._reach()
        self.histories.append((before, after))
        await self.slow.wait()
        self._reach()
        held = self.messages.get(session_key, [])
        if after is not None:
            found = [message for message in held if message.seq > after]
            more = found[limit - 1].seq if len(found) > limit else None
            return HistoryPage(session_key=session_key, messages=found[:limit], before=None, after=more)
        found = [message for message in held if before is None or message.seq < before]
        newest = found[-limit:]
        return HistoryPage(
            session_key=session_key,
            messages=newest,
            before=newest[0].seq if len(found) > len(newest) else None,
        )

    async def search(self, query: str, *, limit: int = 20, session_key: str | None = None) -> list[SearchHit]:
        """Every message that holds all words of the query, the newest first."""
        self._reach()
        self.searched.append(query)
        await self.slow.wait()
        self._reach()
        wanted = set(words_of(query))
        hits = [
            SearchHit(
                session_key=key,
                seq=message.seq,
                role=message.role,
                timestamp=message.timestamp,
                snippet=snippet_of(text, wanted),
            )
            for key, messages in self.messages.items()
            for message in messages
            if wanted
            and session_key in (None, key)
            and wanted.issubset(words_of(text := text_of(message.content)))
        ]
        return sorted(hits, key=lambda hit: (hit.timestamp, hit.seq), reverse=True)[:limit]

    async def audit(
        self, *, before: int | None = None, limit: int = 100, target: str | None = None
    ) -> AuditPage:
        self._reach()
        entries = [entry for entry in reversed(self.audited) if target is None or entry.target == target]
        return AuditPage(entries=entries, before=None)

    async def explain(self, kind: Explained, key: str) -> Explanation:
        self._reach()
        told = self.explanations.get(key)
        if told is None:
            raise SessionNotFound(f"nothing is known of {key!r}")
        return told

    async def preview(self, command: AnyCommand) -> Preview:
        self._reach()
        await self.slow.wait()
        self.previewed.append(command)
        targets = 1
        if isinstance(command, MarkDirty) and command.session_key is None:
            targets = len(self._marked(command))
        return Preview(
            cursor=self.journal.cursor, targets=targets, turns=1, tokens=1234, micros=5678, message=""
        )

    async def execute(self, command: AnyCommand) -> Outcome:
        self._reach()
        self.executed.append(command)
        outcome = self._carry_out(command)
        message, code = outcome.message, "done" if isinstance(outcome, Done) else "refused"
        action, target = action_of(command), target_of(command)
        self.audited.append(
            AuditEntry(
                id=len(self.audited) + 1,
                at=timestamp(self.clock.now()),
                actor="operator",
                action=action,
                target=target,
                outcome=code,
                reason=command.reason,
            )
        )
        self.happen(
            Acted(
                command_id=command.command_id,
                actor="operator",
                action=action,
                target=target,
                reason=command.reason,
                outcome=code,
                message=message,
            )
        )
        return outcome

    async def aclose(self) -> None:
        self.closed += 1

    # --------------------------------------------------------------------------------------------------- its acts

    def _reach(self) -> None:
        if self.down:
            raise CoreUnreachable("connection refused by http://127.0.0.1:8484")

    def _carry_out(self, command: AnyCommand) -> Outcome:
        match command:
            case AbortRun(run_id=run_id):
                run = self.rows.runs.get(run_id)
                if run is None or run.ended_at is not None:
                    return self._refuse(command, "no_active_run", f"run {run_id} has ended")
                aborting = msgspec.structs.replace(run, state="aborting")
                ended = msgspec.structs.replace(
                    run, state="aborted", ended_at=timestamp(self.clock.now()), exit_code=0
                )
                self.happen(RunChanged(what="aborting", run=aborting))
                self.happen(RunChanged(what="upstream_closed", run=aborting))
                self.happen(RunChanged(what="ended", run=ended))
                session = self.rows.sessions.get(run.session_key)
                if session is not None:
                    self.happen(
                        SessionChanged(
                            what="turn_ended", session=msgspec.structs.replace(session, run_id=None)
                        )
                    )
                return Done(command_id=command.command_id, count=1, message="aborted")
            case EvictSession() | CloseSession():
                return self._end(command)
            case MarkDirty():
                marked = self._marked(command)
                for key in marked:
                    dirty = msgspec.structs.replace(
                        self.rows.sessions[key], dirty=command.reason or "operator"
                    )
                    self.happen(SessionChanged(what="marked_dirty", session=dirty))
                return Done(command_id=command.command_id, count=len(marked), message=f"{len(marked)} marked")
            case ClearDirty(session_key=key):
                clean = msgspec.structs.replace(self.rows.sessions[key], dirty=None)
                self.happen(SessionChanged(what="cleared_dirty", session=clean))
                return Done(command_id=command.command_id, count=1, message="cleared")
            case (
                AdmitNow(user_id=user_id)
                | EndSeat(user_id=user_id)
                | BanUser(user_id=user_id)
                | UnbanUser(user_id=user_id)
            ):
                return self._seat(command, user_id)
            case PauseAdmission(model=model) | ResumeAdmission(model=model):
                for queue in list(self.rows.queues.values()):
                    if model in (None, queue.model):
                        held = isinstance(command, PauseAdmission)
                        reason: Any = "paused" if held else None
                        changed = msgspec.structs.replace(queue, paused=held, paused_reason=reason)
                        self.happen(QueueChanged(queue=changed))
                return Done(command_id=command.command_id, count=1, message="done")
            case ReleasePin() | ResetStrikes() | PinModel():
                return self._pin(command)
            case _:
                assert_never(command)

    def _pin(self, command: ReleasePin | ResetStrikes | PinModel) -> Outcome:
        pin = self.rows.pins.get(command.session_key)
        if pin is None:
            return self._refuse(command, "pin_not_found", f"{command.session_key} has no pin")
        match command:
            case ReleasePin():
                event = PinChanged(what="released", pin=msgspec.structs.replace(pin, explicit=False))
            case ResetStrikes():
                event = PinChanged(what="reset", pin=msgspec.structs.replace(pin, strikes=0, run=0))
            case PinModel(model=model):
                chosen = msgspec.structs.replace(pin, explicit=True, model=model)
                event = PinChanged(what="pinned", pin=chosen)
            case _:
                assert_never(command)
        self.happen(event)
        return Done(command_id=command.command_id, count=1, message="done")

    def _seat(self, command: AnyCommand, user_id: str) -> Outcome:
        seat = self.rows.seats.get(user_id)
        at = timestamp(self.clock.now())
        match command:
            case AdmitNow() if seat is not None:
                let_in = msgspec.structs.replace(seat, state="active", admitted_at=at, expires_at=at)
                self.happen(SeatChanged(what="admitted_now", seat=let_in))
            case EndSeat() if seat is not None:
                self.happen(SeatGone(what="ended", user_id=user_id, model=seat.model))
            case BanUser() if seat is not None:
                self.happen(SeatChanged(what="banned", seat=msgspec.structs.replace(seat, banned=True)))
            case UnbanUser() if seat is not None:
                self.happen(SeatChanged(what="unbanned", seat=msgspec.structs.replace(seat, banned=False)))
            case _ if seat is None and not isinstance(command, BanUser):
                return self._refuse(command, "not_found", "no seat")
        return Done(command_id=command.command_id, count=1, message="done")

    def _end(self, command: EvictSession | CloseSession) -> Outcome:
        session = self.rows.sessions.get(command.session_key)
        if session is None or session.generation != command.generation:
            return self._refuse(command, "gone", "the session has died or was reborn")
        if session.run_id is not None:
            match command:
                case EvictSession():
                    return self._refuse(command, "busy", "a turn is running")
                case CloseSession():
                    self._carry_out(AbortRun(command_id="", run_id=session.run_id))
                case _:
                    assert_never(command)
        reason: Any = "operator" if isinstance(command, EvictSession) else "closed"
        self.happen(
            SessionGone(session_key=session.session_key, generation=session.generation, reason=reason)
        )
        return Done(command_id=command.command_id, count=1, message="disposed")

    def _marked(self, command: MarkDirty) -> list[str]:
        return [
            key
            for key, row in self.rows.sessions.items()
            if command.all
            or key == command.session_key
            or (command.project is not None and row.project == command.project)
        ]

    def _refuse(self, command: AnyCommand, code: str, message: str) -> Refused:
        return Refused(command_id=command.command_id, code=code, message=message)
