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
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from functools import partial

from core.admission import WaitingRoom
from core.agents import AgentRequest, Directory, Output
from core.errors import (
    Conflict,
    GateRefused,
    InternalError,
    MaitredError,
    SessionBusy,
    SessionNotFound,
    ShuttingDown,
    StorageFailed,
)
from core.protocol import AccessTier
from core.router import SessionRouter
from core.runs import Run, RunRegistry, calling
from core.store import sessions
from core.store.choice import Choice
from core.store.fingerprint import turn_fingerprint
from core.turn.chat_session import ChatSession
from core.turn.ledger import Ledger, Pages, used_of
from core.turn.one import Turn, TurnRequest

_BUSY_RETRY_MS = 1000
_STORAGE_RETRY_MS = 2000

_log = logging.getLogger(__name__)


class Turns:
    """Takes requests and leads each through its turn."""

    def __init__(
        self,
        *,
        waiting_room: WaitingRoom,
        router: SessionRouter[ChatSession],
        runs: RunRegistry,
        ledger: Ledger,
        directory: Directory,
        fallback_models: Mapping[AccessTier, str],
        new_id: Callable[[], str],
    ) -> None:
        self._waiting_room = waiting_room
        self._router = router
        self._runs = runs
        self._ledger = ledger
        self._directory = directory
        self._fallback_models = fallback_models
        self._new_id = new_id
        self._tasks: dict[asyncio.Task[None], Turn] = {}
        self._leaving = False

    def open(self, request: TurnRequest) -> Turn:
        """Start a turn; raises ShuttingDown when the core takes no more, StorageFailed while nothing can be written.

        The upstream's answer would cost money that could not be booked.
        """
        if self._leaving:
            raise ShuttingDown(
                "maitred is leaving and takes no new turns; try another instance, or again shortly"
            )
        if (trouble := self._ledger.database.trouble) is not None:
            raise StorageFailed(f"{trouble}; no turn begins until then", retry_after_ms=_STORAGE_RETRY_MS)
        turn = Turn(request, self._new_id())
        task = asyncio.create_task(self._lead(turn), name=f"turn {turn.run_id}")
        self._tasks[task] = turn
        task.add_done_callback(self._tasks.pop)
        return turn

    def led(self) -> frozenset[str]:
        """The run ids of the turns that are under way, begun or not."""
        return frozenset(turn.run_id for turn in self._tasks.values())

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
            turn.cut("maitred was stopped", interrupt=True)

    async def _lead(self, turn: Turn) -> None:
        key = turn.request.session_key
        try:
            await self._gate(turn)
            await self._claim(turn)
            try:
                await self._work(turn)
            finally:
                self._router.end_turn(key, turn.run_id)
        except Exception as error:
            turn.error = turn.error or _told(turn, error)
        finally:
            if not turn.begun.done():
                turn.error = turn.error or ShuttingDown("maitred is leaving; ask again shortly")
                turn.begun.set_exception(turn.error)
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
            session = await self._ledger.database.read(
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
            hold = self._router.hold_of(request.session_key)
            assert hold is not None
            told = "wait for its end, or abort it" if hold.by == "turn" else "ask again shortly"
            raise SessionBusy(
                f"session {request.session_key!r} {hold.text}; {told}", retry_after_ms=_BUSY_RETRY_MS
            )

    async def _work(self, turn: Turn) -> None:
        """choose, start, serve, account, finish; from the start on the run is guarded."""
        if turn.interrupted:
            raise ShuttingDown("maitred is leaving; ask again shortly")
        if turn.stopped is not None:
            raise Conflict(f"the turn was stopped before it began: {turn.stopped}")
        run = self._start(turn, self._choose(turn.request))
        pages = Pages(turn, self._ledger)
        try:
            turn.begun.set_result(run)
            turn.error = await self._guarded(turn, pages)
            await self._account(turn, pages)
        except asyncio.CancelledError:
            # no cut, but the loop is torn down: nobody may take what there is for a whole answer
            turn.interrupted = True
            raise
        except Exception as error:
            turn.error = turn.error or _told(turn, error)
        finally:
            pages.close()
            self._finish(turn)

    def _choose(self, request: TurnRequest) -> Choice:
        def may_use(model: str) -> bool:
            return self._waiting_room.may_use(request.user_id, model, request.access_tier)

        return self._ledger.pins.foresee(
            request.session_key,
            request.model,
            turn_fingerprint(request.messages),
            may_use,
            fallback=self._fallback_models[request.access_tier],
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
            meter=partial(self._ledger.so_far, turn),
            run_id=turn.run_id,
            recorded=False,
        )

    async def _guarded(self, turn: Turn, pages: Pages) -> MaitredError | None:
        """Serve, and answer what went wrong."""
        try:
            await turn.serve(self._serve(turn, pages))
        except Exception as error:
            return _told(turn, error)
        finally:
            self._runs.upstream_closed(turn.run)
        return None

    async def _serve(self, turn: Turn, pages: Pages) -> None:
        request = turn.request
        entry = await self._router.get_or_create(
            request.session_key, project=request.project, channel=request.channel, run_id=turn.run_id
        )
        asked = AgentRequest(
            model=turn.model,
            run_id=turn.run_id,
            body=request.body,
            messages=request.messages,
            stream=request.stream,
            include_usage=request.include_usage,
        )
        turn.asked, counted = True, False
        async with aclosing(entry.session.stream(asked, turn.answer)) as batches:
            async for batch in batches:
                if turn.answer.body is not None:
                    # it came whole: whoever follows sees it after the account, and the strike is written there
                    pages.count_at_end()
                    turn.whole = batch
                    continue
                if batch and not counted:
                    # from the first output on the attempt counts, and that is durable before anybody sees it
                    counted = True
                    await pages.counted()
                self._show(turn, batch)
                # whoever follows is served before more is read, or a fast upstream would delay the first byte
                await asyncio.sleep(0)

    async def _account(self, turn: Turn, pages: Pages) -> None:
        try:
            usage = await pages.accounted()
        except Exception as error:
            turn.error = turn.error or _told(turn, error)
            # the record at least must not call it running until the next start
            await pages.closed()
            raise
        self._show(turn, turn.whole)
        self._runs.used(turn.run, used_of(usage, turn.micros))

    def _show(self, turn: Turn, events: Sequence[Output]) -> None:
        """Give out what came, with what the answer is at."""
        calls = turn.answer.calling
        if calls is not None:
            self._runs.acts(turn.run, calling(calls))
        self._runs.append(turn.run, events)

    def _finish(self, turn: Turn) -> None:
        self._runs.complete(
            turn.run_id,
            exit_code=turn.exit_code,
            aborted=turn.stopped is not None and not turn.interrupted,
            interrupted=turn.interrupted,
        )

    def _requested(self, request: TurnRequest) -> str:
        """The model to be let in for: the one asked for, else the one the session would get."""
        if request.model is not None:
            return request.model
        pin = self._ledger.pins.get(request.session_key)
        return pin.model if pin is not None else self._fallback_models[request.access_tier]


def _told(turn: Turn, error: Exception) -> MaitredError:
    """What the client is told of an error; of a defect the log has the details."""
    if isinstance(error, MaitredError):
        return error
    _log.error("turn %s failed", turn.run_id, exc_info=error)
    return InternalError("maitred made a mistake in this turn; the log has the details")
