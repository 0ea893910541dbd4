"""The way of one command, from top to bottom: known already? check and act, audit, tell.

A refusal is an answer like any other: it is audited and told as well. The effect itself is shown by the events of
the part that acted.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from typing import assert_never

from core.admission import WaitingRoom
from core.agents import Directory
from core.clock import Clock
from core.errors import (
    InternalError,
    InvalidArgument,
    MaitredError,
    NotFound,
    SessionBusy,
    SessionNotFound,
    TargetGone,
)
from core.journal import Journal
from core.protocol import (
    AbortRun,
    Acted,
    AdmitNow,
    AnyCommand,
    BanUser,
    ClearDirty,
    CloseSession,
    Done,
    EndSeat,
    EvictSession,
    MarkDirty,
    Outcome,
    PauseAdmission,
    PinModel,
    Preview,
    Refused,
    ReleasePin,
    ResetStrikes,
    ResumeAdmission,
    RunRow,
    UnbanUser,
    action_of,
    target_of,
)
from core.protocol.commands import LONGEST_ID
from core.protocol.outdated import outdates
from core.router import HeldBy, SessionRouter
from core.runs import RunRegistry
from core.store import audit
from core.store.database import Database
from core.store.pins import Pins
from core.turn import ChatSession

_REMEMBERED = 10_000

_INSTEAD_OF_EVICTING: dict[HeldBy, str] = {
    "turn": "close it instead, which aborts the turn",
    "maintenance": "evict it when that is over, or close it instead, which waits for the end of that",
    "rebuild": "evict the new one when it is there, or close it instead, which gives up the new one too",
    "departure": "there is nothing left to do",
    "shutdown": "there is nothing left to do",
}

_log = logging.getLogger(__name__)


class Operator:
    """Carries out the commands of operators."""

    def __init__(
        self,
        *,
        waiting_room: WaitingRoom,
        router: SessionRouter[ChatSession],
        runs: RunRegistry,
        pins: Pins,
        directory: Directory,
        database: Database,
        journal: Journal,
        clock: Clock,
    ) -> None:
        self._waiting_room = waiting_room
        self._router = router
        self._runs = runs
        self._pins = pins
        self._directory = directory
        self._database = database
        self._journal = journal
        self._clock = clock
        self._outcomes: OrderedDict[str, asyncio.Future[Outcome]] = OrderedDict()

    async def execute(self, command: AnyCommand, actor: str) -> Outcome:
        """Carry out a command once, whoever repeats it and however often."""
        _check_id(command.command_id)
        known = self._outcomes.get(command.command_id)
        if known is None:
            known = asyncio.ensure_future(self._once(command, actor))
            self._outcomes[command.command_id] = known
            while len(self._outcomes) > _REMEMBERED:
                self._outcomes.popitem(last=False)
        try:
            return await asyncio.shield(known)
        except MaitredError:
            # it could not even be written down, so nobody may take it for done: a repeat tries again
            self._outcomes.pop(command.command_id, None)
            raise

    async def preview(self, command: AnyCommand) -> Preview:
        """What the command would hit and lose now; changes nothing."""
        _check_id(command.command_id)
        targets = self._targets(command)
        lost = self._lost(command)
        turns = (
            "no turn is lost"
            if not lost
            else f"{len(lost)} running turn{'s' * (len(lost) > 1)} will be cut off"
        )
        return Preview(
            cursor=self._journal.cursor,
            targets=len(targets),
            turns=len(lost),
            tokens=sum(run.input_tokens + run.output_tokens for run in lost),
            micros=sum(run.micros for run in lost),
            message=f"{action_of(command)}: {len(targets)} target{'s' * (len(targets) != 1)}; {turns}",
        )

    def _lost(self, command: AnyCommand) -> list[RunRow]:
        """The running turns that the command would cut off."""
        match command:
            case AbortRun(run_id=run_id):
                run = self._runs.get(run_id)
            case CloseSession(session_key=key):
                run = self._runs.current(key)
            case _:
                return []
        row = self._runs.row(run) if run is not None and not run.ended else None
        return [row] if row is not None else []

    def _targets(self, command: AnyCommand) -> list[str]:
        """What a command is aimed at: session keys, or the one run, user or model that it names."""
        match command:
            case MarkDirty(session_key=None):
                return [
                    row.session_key
                    for row in self._router.rows()
                    if command.all or row.project == command.project
                ]
            case _:
                return [target_of(command)]

    async def _once(self, command: AnyCommand, actor: str) -> Outcome:
        stored = await self._database.read(
            lambda connection: audit.outcome_of(connection, command.command_id)
        )
        if stored is not None:
            return stored
        try:
            self._check_preview(command)
            count, message = await self._act(command, actor)
            outcome: Outcome = Done(command_id=command.command_id, count=count, message=message)
        except MaitredError as error:
            outcome = Refused(command_id=command.command_id, code=error.code, message=error.message)
        except Exception:
            _log.exception("command %s (%s) failed", command.command_id, action_of(command))
            outcome = Refused(
                command_id=command.command_id,
                code=InternalError.code,
                message="maitred made a mistake in this command; the log has the details",
            )
        now, session_key = self._clock.now(), self._session_of(command)
        await self._database.write(
            lambda connection: audit.record_command(
                connection, command, outcome, actor=actor, at=now, session_key=session_key
            )
        )
        self._journal.append(
            Acted(
                command_id=command.command_id,
                actor=actor,
                action=action_of(command),
                target=target_of(command),
                reason=command.reason,
                outcome="done" if isinstance(outcome, Done) else outcome.code,
                message=outcome.message,
            )
        )
        return outcome

    def _session_of(self, command: AnyCommand) -> str | None:
        """The session of the run that a command is aimed at; None where it names no run, or one that is forgotten."""
        run = self._runs.get(command.run_id) if isinstance(command, AbortRun) else None
        return run.session_key if run is not None else None

    async def _act(self, command: AnyCommand, actor: str) -> tuple[int, str]:
        """Act through the part that owns the target: how many were hit, and what to tell."""
        match command:
            case AbortRun() | EvictSession() | CloseSession() | MarkDirty() | ClearDirty():
                return await self._act_on_sessions(command, actor)
            case PauseAdmission() | ResumeAdmission() | AdmitNow() | EndSeat() | BanUser() | UnbanUser():
                return await self._act_on_admission(command, actor)
            case ReleasePin() | ResetStrikes() | PinModel():
                return await self._act_on_pins(command)
            case _ as never:
                assert_never(never)

    async def _act_on_sessions(
        self, command: AbortRun | EvictSession | CloseSession | MarkDirty | ClearDirty, actor: str
    ) -> tuple[int, str]:
        count, message = 1, ""
        match command:
            case AbortRun(run_id=run_id, reason=reason):
                self._runs.abort(run_id, reason or f"by {actor}")
                message = "abort sent"
            case EvictSession(session_key=key, generation=generation):
                count, message = await self._evict(key, generation)
            case CloseSession(session_key=key, generation=generation):
                self._check_generation(key, generation)
                if await self._router.close(key, generation) == "gone":
                    raise TargetGone(f"session {key!r} is gone or was rebuilt since; look again")
                message = "session closed"
            case MarkDirty():
                count, message = self._mark(command)
            case ClearDirty(session_key=key, generation=generation):
                self._check_generation(key, generation)
                cleared = self._router.clear_dirty(key, generation)
                count, message = int(cleared), "mark taken back" if cleared else "there was no mark"
            case _ as never:
                assert_never(never)
        return count, message

    async def _act_on_admission(
        self,
        command: PauseAdmission | ResumeAdmission | AdmitNow | EndSeat | BanUser | UnbanUser,
        actor: str,
    ) -> tuple[int, str]:
        message = ""
        match command:
            case PauseAdmission(model=model):
                await self._waiting_room.pause(model, actor=actor)
                message = f"admission to {model or 'every model'} is paused"
            case ResumeAdmission(model=model):
                await self._waiting_room.resume(model, actor=actor)
                message = f"admission to {model or 'every model'} goes on"
            case AdmitNow(user_id=user_id):
                await self._waiting_room.admit_now(user_id)
                message = "admitted"
            case EndSeat(user_id=user_id):
                if not await self._waiting_room.end_seat(user_id):
                    raise NotFound(f"user {user_id!r} has no seat")
                message = "seat ended"
            case BanUser(user_id=user_id, reason=reason):
                await self._waiting_room.ban(user_id, actor=actor, reason=reason)
                message = "banned"
            case UnbanUser(user_id=user_id, reason=reason):
                await self._waiting_room.unban(user_id, actor=actor, reason=reason)
                message = "unbanned"
            case _ as never:
                assert_never(never)
        return 1, message

    async def _act_on_pins(self, command: ReleasePin | ResetStrikes | PinModel) -> tuple[int, str]:
        key, pin, message = command.session_key, None, ""
        match command:
            case ReleasePin():
                pin, message = await self._pins.release(key), "pin released"
            case ResetStrikes():
                pin, message = await self._pins.reset_strikes(key), "strikes forgotten"
            case PinModel(model=model):
                _ = self._directory.find(model)
                if self._router.row(key) is None and self._pins.get(key) is None:
                    raise SessionNotFound(
                        f"session {key!r} is not live and has no pin: nothing is to be kept"
                    )
                pin = await self._pins.override(key, model)
                message = f"stays on {model} until it is released, or a request names another model"
            case _ as never:
                assert_never(never)
        if pin is None:
            raise NotFound(f"session {key!r} has no pin")
        return 1, message

    async def _evict(self, key: str, generation: int | None) -> tuple[int, str]:
        match await self._router.evict(key, generation):
            case "evicted":
                return 1, "session evicted; history, pin and cost stay"
            case "busy":
                raise self._busy(key)
            case "gone":
                raise TargetGone(f"session {key!r} is gone or was rebuilt since; look again")
            case _ as never:
                assert_never(never)

    def _busy(self, key: str) -> SessionBusy:
        """Why a session was not evicted, which the router has said in this very step."""
        hold = self._router.hold_of(key)
        assert hold is not None
        return SessionBusy(f"session {key!r} {hold.text}; {_INSTEAD_OF_EVICTING[hold.by]}")

    def _mark(self, command: MarkDirty) -> tuple[int, str]:
        given = [command.session_key is not None, command.project is not None, command.all]
        if sum(given) != 1:
            raise InvalidArgument("mark exactly one of sessionKey, project or all", path="$.sessionKey")
        if command.session_key is not None:
            self._check_generation(command.session_key, command.generation)
        marked = self._router.mark_dirty(
            session_key=command.session_key, project=command.project, all=command.all, reason=command.reason
        )
        if command.session_key is not None and not marked:
            raise SessionNotFound(f"there is no live session {command.session_key!r}")
        return marked, f"{marked} sessions will be rebuilt at their next use"

    def _check_preview(self, command: AnyCommand) -> None:
        """Raises TargetGone for a command whose targets are others than its preview counted."""
        if command.cursor:
            events = self._journal.since(command.cursor)
            if events is None or any(outdates(event, command) for event in events):
                raise TargetGone(
                    f"what {action_of(command)} would hit has changed since it was counted; look again"
                )

    def _check_generation(self, key: str, generation: int | None) -> None:
        row = self._router.row(key)
        if row is None or generation not in (None, row.generation):
            raise TargetGone(f"session {key!r} is gone or was rebuilt since; look again")


def _check_id(command_id: str) -> None:
    """Raises InvalidArgument for an id that the audit could not keep; after the act it would be too late."""
    if not 0 < len(command_id) <= LONGEST_ID or not (command_id.isascii() and command_id.isprintable()):
        raise InvalidArgument(
            f"$.commandId: expected an id of your own, such as a UUID, of at most {LONGEST_ID} characters",
            path="$.commandId",
        )
