"""The way of one turn, from top to bottom.

    gate        is this user's seat active, for this model, from this instance
    claim       take the session's slot for this run
    choose      fingerprint, strikes, perhaps a higher tier: the model to ask
    start       a run begins, and is recorded with the messages that are new
    serve       the live session asks its agent; every event goes into the run
    account     usage becomes money, the answer becomes a message: one transaction
    finish      the run ends, the slot is free

Whatever raises after `claim` frees the slot; after `start` it also ends the run, exactly once. A turn is a task of
the core: a client only follows its run, and its going away is no more than a reason to stop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from typing import Any

import msgspec
from sqlalchemy import Connection

from core.admission import WaitingRoom
from core.agents import AgentRequest, Answer, Directory
from core.chat_session import ChatSession
from core.checkpoints import Checkpoints
from core.clock import Clock
from core.errors import GateRefused, InternalError, MaitredError, SessionBusy, SessionNotFound, ShuttingDown
from core.protocol import AccessTier
from core.router import SessionRouter
from core.runs import Run, RunRegistry
from core.store import run_records, sessions
from core.store.acknowledged import acknowledged
from core.store.choice import Choice
from core.store.costs import Booked, Costs
from core.store.database import Database
from core.store.fingerprint import turn_fingerprint
from core.store.history import append_in, reconcile
from core.store.message import Prepared, clean_message, prepare
from core.store.pins import Pins
from core.store.prices import PriceList, Usage, estimate
from core.store.sessions import Stamp

_BUSY_RETRY_MS = 1000

_log = logging.getLogger(__name__)


class TurnRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One chat completion, as the front door understood it. `model` None lets the session's pin decide."""

    user_id: str
    session_key: str
    instance_id: str | None = None
    email: str | None = None
    access_tier: AccessTier = "full"
    project: str | None = None
    channel: str = "api"
    own_key: bool = True
    """The key was made from the user, so nobody else can have it."""
    model: str | None
    body: dict[str, msgspec.Raw]
    messages: list[dict[str, Any]]
    stream: bool
    include_usage: bool


class Turn:
    """A turn under way. Wait for `begun` (or its refusal), follow the run, then look at `error`."""

    def __init__(self, request: TurnRequest, run_id: str) -> None:
        self.request = request
        self.run_id = run_id
        self.answer = Answer()
        self.begun: asyncio.Future[Run] = asyncio.get_running_loop().create_future()
        self.ended = asyncio.Event()
        self.error: MaitredError | None = None
        self.choice: Choice | None = None
        self.provider = ""
        self.micros = 0
        self.stopped: str | None = None
        """The reason of the abort that cut it off."""
        self.interrupted = False
        """It was cut off because the core is leaving."""
        self._serving: asyncio.Task[Any] | None = None
        self._served = False

    @property
    def run(self) -> Run:
        """The turn's run, from `begun` on."""
        return self.begun.result()

    @property
    def model(self) -> str:
        """The model that was chosen; empty before that."""
        return self.choice.model if self.choice is not None else ""

    def cut(self, reason: str) -> None:
        """Stop serving, now: the agent's connection is closed on the way out. Too late, it does nothing."""
        if self.stopped is None and not self._served:
            self.stopped = reason
            if self._serving is not None:
                self._serving.cancel()

    async def serve(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` so that `cut` ends it, and nothing of the turn around it."""
        if self.stopped is not None:
            work.close()
            return
        self._serving = asyncio.current_task()
        assert self._serving is not None
        try:
            await work
        except asyncio.CancelledError:
            # a cut cancels this very task; any other cancelling is not ours to swallow
            if self.stopped is None or self._serving.uncancel():
                raise
        finally:
            self._serving, self._served = None, True


class Turns:
    """Takes requests and leads each through its turn."""

    def __init__(
        self,
        *,
        waiting_room: WaitingRoom,
        router: SessionRouter[ChatSession],
        runs: RunRegistry,
        pins: Pins,
        costs: Costs,
        prices: PriceList,
        database: Database,
        directory: Directory,
        epoch: str,
        fallback_model: str,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._waiting_room = waiting_room
        self._router = router
        self._runs = runs
        self._pins = pins
        self._costs = costs
        self._prices = prices
        self._database = database
        self._directory = directory
        self._epoch = epoch
        self._fallback_model = fallback_model
        self._clock = clock
        self._new_id = new_id
        self._tasks: dict[asyncio.Task[None], Turn] = {}
        self._leaving = False

    def open(self, request: TurnRequest) -> Turn:
        """Start a turn; raises ShuttingDown when the core takes no more."""
        if self._leaving:
            raise ShuttingDown(
                "maitred is leaving and takes no new turns; try another instance, or again shortly"
            )
        turn = Turn(request, self._new_id())
        task = asyncio.create_task(self._lead(turn), name=f"turn {turn.run_id}")
        self._tasks[task] = turn
        task.add_done_callback(self._tasks.pop)
        return turn

    def stop(self, turn: Turn, reason: str) -> None:
        """Abort a turn, wherever it is; one that has ended is left alone."""
        if not turn.begun.done():
            turn.cut(reason)
        elif turn.begun.exception() is None and not turn.run.ended:
            self._runs.abort(turn.run_id, reason)

    async def drain(self, seconds: float) -> None:
        """Take no new turns, wait for the running ones, then cut off what is left."""
        self._leaving = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    async def aclose(self) -> None:
        """Cut off what still runs and wait until it has unwound."""
        self.cut_all()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def cut_all(self) -> None:
        """Take no new turns and cut off the running ones, as interrupted."""
        self._leaving = True
        for turn in self._tasks.values():
            turn.interrupted = True
            turn.cut("maitred was stopped")

    async def _lead(self, turn: Turn) -> None:
        key = turn.request.session_key
        try:
            await self._gate(turn)
            await self._claim(turn)
            try:
                await self._work(turn)
            finally:
                self._router.end_turn(key, turn.run_id)
        except MaitredError as error:
            turn.error = error
        except Exception:
            _log.exception("turn %s failed", turn.run_id)
            turn.error = InternalError("maitred made a mistake in this turn; the log has the details")
        finally:
            if not turn.begun.done():
                turn.begun.set_exception(turn.error or InternalError("the turn was stopped before it began"))
                turn.begun.exception()  # a client that has left asks for it no more
            turn.ended.set()

    async def _gate(self, turn: Turn) -> None:
        request = turn.request
        answer = await self._waiting_room.pass_turn(
            request.user_id,
            request.instance_id,
            self._requested(request),
            access_tier=request.access_tier,
            email=request.email,
        )
        if not answer.ok:
            raise GateRefused(
                answer.code or "gate_refused",
                answer.http_status,
                answer.message,
                retry_after_ms=answer.retry_after_ms,
            )

    async def _claim(self, turn: Turn) -> None:
        request = turn.request
        if not request.own_key:
            session = await self._database.read(
                lambda connection: sessions.look(connection, request.session_key)
            )
            if session is not None and session.owner not in (None, request.user_id):
                raise SessionNotFound(f"there is no session {request.session_key!r} for this user")
        began = self._router.begin_turn(
            request.session_key,
            turn.run_id,
            project=request.project,
            stop=lambda reason: self.stop(turn, reason),
        )
        if not began:
            raise SessionBusy(
                f"session {request.session_key!r} has a turn already; wait for its end, or abort it",
                retry_after_ms=_BUSY_RETRY_MS,
            )

    async def _work(self, turn: Turn) -> None:
        """choose, start, serve, account, finish; from the start on the run is guarded."""
        run = self._start(turn, self._choose(turn.request))
        try:
            opening = self._open(turn)
            turn.begun.set_result(run)
            turn.error = await self._guarded(turn, opening)
            await opening
            await self._account(turn)
        except MaitredError as error:
            turn.error = turn.error or error
        finally:
            self._finish(turn)

    def _choose(self, request: TurnRequest) -> Choice:
        def may_use(model: str) -> bool:
            return self._waiting_room.may_use(request.user_id, model, request.access_tier)

        return self._pins.foresee(
            request.session_key,
            request.model,
            turn_fingerprint(request.messages),
            may_use,
            fallback=self._fallback_model,
        )

    def _start(self, turn: Turn, choice: Choice) -> Run:
        request = turn.request
        name, _ = self._directory.find(choice.model)
        turn.choice, turn.provider = choice, name
        return self._runs.start(
            request.session_key,
            name,
            user_id=request.user_id,
            model=choice.model,
            stop=turn.cut,
            run_id=turn.run_id,
            recorded=False,
        )

    def _open(self, turn: Turn) -> asyncio.Future[None]:
        """Write the start down: the run's record, and the messages that the history does not have yet."""
        request, now = turn.request, self._clock.now()
        start = run_records.RunStart(
            run_id=turn.run_id,
            session_key=request.session_key,
            user_id=request.user_id,
            provider=turn.provider,
            model=turn.model,
            epoch=self._epoch,
            started_at=now,
        )
        stamp = self._stamp(request, now)

        def unit(connection: Connection) -> None:
            reconcile(connection, request.session_key, request.messages, stamp, run_id=turn.run_id)
            run_records.start(connection, start)

        return self._database.submit(unit)

    async def _guarded(self, turn: Turn, opening: asyncio.Future[None]) -> MaitredError | None:
        """Serve, and answer what went wrong."""
        try:
            await turn.serve(self._serve(turn, opening))
        except MaitredError as error:
            return error
        except Exception:
            _log.exception("turn %s failed", turn.run_id)
            return InternalError("maitred made a mistake in this turn; the log has the details")
        return None

    async def _serve(self, turn: Turn, opening: asyncio.Future[None]) -> None:
        request = turn.request
        entry = await self._router.get_or_create(
            request.session_key, project=request.project, channel=request.channel, run_id=turn.run_id
        )
        asked = AgentRequest(
            model=turn.model,
            body=request.body,
            messages=request.messages,
            stream=request.stream,
            include_usage=request.include_usage,
        )
        counted = False
        checkpoints = Checkpoints(turn.run_id, request.session_key, turn.answer, self._database, self._clock)
        try:
            async with aclosing(entry.session.stream(asked, turn.answer)) as batches:
                async for batch in batches:
                    if batch and not counted:
                        counted = True
                        await self._count(turn, opening)
                    self._runs.append(turn.run, batch)
        finally:
            checkpoints.stop()

    async def _count(self, turn: Turn, opening: asyncio.Future[None]) -> None:
        """The first output: from here on the attempt counts, durably before anybody sees it."""
        assert turn.choice is not None
        await asyncio.shield(opening)
        await self._pins.count(turn.choice)

    async def _account(self, turn: Turn) -> None:
        """Write down everything that the turn leaves behind, in one transaction."""
        request, answer, now = turn.request, turn.answer, self._clock.now()
        usage = self._usage(turn)
        booking = None
        if usage is not None:
            turn.micros = self._prices.price_or_zero(turn.model, usage)
            booking = self._costs.booking(
                request.session_key,
                turn.micros,
                user_id=request.user_id,
                project=request.project,
                model=turn.model,
                usage=usage,
            )
        message = self._message(turn)
        end = self._end(turn, usage, now)
        stamp = self._stamp(request, now)

        def unit(connection: Connection) -> Booked | None:
            if message is not None:
                append_in(connection, request.session_key, message, stamp)
            run_records.end(connection, end)
            return booking(connection) if booking is not None else None

        def follow(booked: Booked | None) -> None:
            if booked is not None:
                self._costs.apply(booked)

        await acknowledged(self._database, unit, follow)
        if usage is not None:
            self._runs.used(
                turn.run,
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                micros=turn.micros,
            )

    def _usage(self, turn: Turn) -> Usage | None:
        """What was reported; else an estimate, unless the upstream never took the request."""
        if turn.answer.usage is not None:
            return turn.answer.usage
        if turn.error is not None and turn.answer.empty:
            return None
        return estimate(turn.request.messages, turn.answer.written)

    def _message(self, turn: Turn) -> Prepared | None:
        """The answer as a message, marked partial when it was broken off; None when nothing was said."""
        answer = turn.answer
        if answer.empty:
            return None
        message: dict[str, Any] = {"role": "assistant", "content": answer.text or None}
        if answer.tool_calls:
            message["tool_calls"] = answer.tool_calls
        broken_off = turn.error is not None or turn.stopped is not None
        return prepare(clean_message(message), run_id=turn.run_id, partial=broken_off)

    def _end(self, turn: Turn, usage: Usage | None, now: int) -> run_records.RunEnd:
        return run_records.RunEnd(
            run_id=turn.run_id,
            status="interrupted" if turn.interrupted else "aborted" if turn.stopped else "completed",
            exit_code=_exit_code(turn),
            ended_at=now,
            input_tokens=usage.input_tokens if usage is not None else 0,
            output_tokens=usage.output_tokens if usage is not None else 0,
            micros=turn.micros,
            estimated=usage is not None and usage.estimated,
        )

    def _finish(self, turn: Turn) -> None:
        self._runs.complete(
            turn.run_id,
            exit_code=_exit_code(turn),
            aborted=turn.stopped is not None and not turn.interrupted,
            interrupted=turn.interrupted,
        )

    def _stamp(self, request: TurnRequest, now: int) -> Stamp:
        return Stamp(
            now=now, epoch=self._epoch, actor=request.user_id, owner=request.user_id, project=request.project
        )

    def _requested(self, request: TurnRequest) -> str:
        """The model to be let in for: the one asked for, else the one the session would get."""
        if request.model is not None:
            return request.model
        pin = self._pins.get(request.session_key)
        return pin.model if pin is not None else self._fallback_model


def _exit_code(turn: Turn) -> int:
    return 1 if turn.error is not None or turn.interrupted else 0
