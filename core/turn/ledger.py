"""What a turn leaves in the database: its start, its strike, the text so far, its end.

The strike is durable before anybody sees output. The start is written a moment after it, or together with the end
of a turn that is over by then; an answer that comes whole is shown after its end, so there all is one transaction.
Each transaction is a wait for the disk, and a short turn is made of little else.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection

from core.clock import Clock
from core.runs import Used
from core.store import run_records
from core.store.acknowledged import acknowledged
from core.store.choice import Choice
from core.store.costs import Booked, Costs
from core.store.database import Database, Unit
from core.store.history import append_in, reconcile
from core.store.message import Prepared, clean_message, prepare
from core.store.pins import Changed, Pins
from core.store.prices import PriceList, Usage, estimate_lengths
from core.store.sessions import Stamp
from core.turn.checkpoints import Checkpoints
from core.turn.one import Turn

_START_SECONDS = 0.02

_log = logging.getLogger(__name__)


class Ledger(msgspec.Struct, frozen=True):
    """Where turns are written down. `epoch` is that of the running core."""

    database: Database
    pins: Pins
    costs: Costs
    prices: PriceList
    clock: Clock
    epoch: str

    def so_far(self, turn: Turn) -> Used:
        """What a running turn has used by now: as reported, or estimated from what was read and written."""
        usage = _usage(turn)
        return Used() if usage is None else used_of(usage, self.prices.price_or_zero(turn.model, usage))


class _Written(msgspec.Struct, frozen=True):
    """What memory must learn of a turn's last transaction."""

    pin: Changed | None
    booked: Booked | None


class Pages:
    """One turn's pages in the ledger. `close` them however the turn ends."""

    def __init__(self, turn: Turn, ledger: Ledger) -> None:
        self._turn = turn
        self._ledger = ledger
        self._started_at = ledger.clock.now()
        self._opened: asyncio.Future[None] | None = None
        self._strike: Unit[Changed] | None = None
        self._timer = ledger.clock.call_later(_START_SECONDS, self._open)
        self._checkpoints = Checkpoints(
            turn.run_id, turn.request.session_key, turn.answer, ledger.database, ledger.clock
        )

    def close(self) -> None:
        """Write nothing more by itself."""
        self._timer.cancel()
        self._checkpoints.stop()

    async def counted(self) -> None:
        """The attempt is durable: pin, strike, perhaps an escalation."""
        await self._ledger.pins.count(self._choice)

    def count_at_end(self) -> None:
        """The attempt counts, and nobody sees its output before `accounted`."""
        self._strike = self._ledger.pins.count_unit(self._choice, self._ledger.clock.now())

    async def accounted(self) -> Usage | None:
        """Everything that the turn leaves behind is durable, in one transaction; answers what it used."""
        self.close()  # a checkpoint that came after the end would stay for ever
        if self._opened is not None:
            await asyncio.shield(self._opened)
        usage = _usage(self._turn)
        await acknowledged(self._ledger.database, self._account(usage), self._follow)
        return usage

    async def closed(self) -> None:
        """The end alone is durable: for a turn whose account could not be written."""
        start = None if self._is_open else self._start()
        end = _end(self._turn, None, self._ledger.clock.now())

        def unit(connection: Connection) -> None:
            if start is not None:
                start(connection)
            run_records.end(connection, end)

        await self._ledger.database.write(unit)

    def _account(self, usage: Usage | None) -> Unit[_Written]:
        turn, now = self._turn, self._ledger.clock.now()
        start = None if self._is_open else self._start()
        strike, booking = self._strike, self._booking(usage)
        message, end, stamp = _message(turn), _end(turn, usage, now), self._stamp(now)

        def unit(connection: Connection) -> _Written:
            changed = strike(connection) if strike is not None else None
            if start is not None:
                start(connection)
            if message is not None:
                append_in(connection, turn.request.session_key, message, stamp)
            run_records.end(connection, end)
            return _Written(changed, booking(connection) if booking is not None else None)

        return unit

    def _booking(self, usage: Usage | None) -> Unit[Booked] | None:
        if usage is None:
            return None
        turn, request = self._turn, self._turn.request
        turn.micros = self._ledger.prices.price_or_zero(turn.model, usage)
        return self._ledger.costs.booking(
            request.session_key,
            turn.micros,
            user_id=request.user_id,
            project=request.project,
            model=turn.model,
            usage=usage,
        )

    def _follow(self, written: _Written) -> None:
        if written.pin is not None:
            self._ledger.pins.apply(written.pin)
        if written.booked is not None:
            self._ledger.costs.apply(written.booked)

    @property
    def _choice(self) -> Choice:
        assert self._turn.choice is not None
        return self._turn.choice

    def _open(self) -> None:
        try:
            self._opened = self._ledger.database.submit(self._start())
        except Exception:
            # Nobody waits here who could be told. It is written with the end then, or that fails for the same reason.
            _log.exception("the start of run %s could not be written by itself", self._turn.run_id)

    @property
    def _is_open(self) -> bool:
        """Whether the start is durable."""
        opened = self._opened
        return opened is not None and opened.done() and not opened.cancelled() and opened.exception() is None

    def _start(self) -> Unit[None]:
        turn, request = self._turn, self._turn.request
        start = run_records.RunStart(
            run_id=turn.run_id,
            session_key=request.session_key,
            user_id=request.user_id,
            provider=turn.provider,
            model=turn.model,
            epoch=self._ledger.epoch,
            started_at=self._started_at,
        )
        stamp = self._stamp(self._started_at)

        def unit(connection: Connection) -> None:
            reconcile(connection, request.session_key, request.messages, stamp, run_id=turn.run_id)
            run_records.start(connection, start)

        return unit

    def _stamp(self, now: int) -> Stamp:
        request = self._turn.request
        return Stamp(
            now=now,
            epoch=self._ledger.epoch,
            actor=request.user_id,
            owner=request.user_id,
            project=request.project,
        )


def used_of(usage: Usage | None, micros: int) -> Used:
    """What a run shows of that usage and its price; nothing where nothing was used."""
    if usage is None:
        return Used()
    return Used(usage.input_tokens, usage.output_tokens, micros, usage.estimated)


def _usage(turn: Turn) -> Usage | None:
    """What was reported; else an estimate, unless the upstream was never asked or never took the request.

    Some upstreams report along the way. Before the last word of an answer that counts for what was read, and for
    what was written only as far as it goes.
    """
    answer, reported = turn.answer, turn.answer.usage
    if reported is None and not answer.written and (turn.error is not None or not turn.asked):
        return None
    guess = estimate_lengths(turn.read, answer.written)
    if reported is None:
        return guess
    if answer.finish_reason is not None or reported.output_tokens >= guess.output_tokens:
        return reported
    return msgspec.structs.replace(reported, output_tokens=guess.output_tokens, estimated=True)


def _message(turn: Turn) -> Prepared | None:
    """The answer as a message, marked partial when it was broken off; None when nothing was said."""
    answer = turn.answer
    if answer.empty:
        return None
    message: dict[str, Any] = {"role": "assistant", "content": answer.text or None}
    if answer.tool_calls:
        message["tool_calls"] = answer.tool_calls
    if answer.refusal:
        message["refusal"] = answer.refusal
    broken_off = turn.error is not None or turn.stopped is not None
    return prepare(clean_message(message), run_id=turn.run_id, partial=broken_off)


def _end(turn: Turn, usage: Usage | None, now: int) -> run_records.RunEnd:
    """How it ended; an abort that was forced has ended the run already, and is recorded as it was told."""
    run = turn.run
    stopped: Literal["interrupted", "aborted"] = "interrupted" if turn.interrupted else "aborted"
    return run_records.RunEnd(
        run_id=turn.run_id,
        status=stopped if turn.stopped is not None else "completed",
        exit_code=turn.exit_code if run.exit_code is None else run.exit_code,
        ended_at=now,
        input_tokens=usage.input_tokens if usage is not None else 0,
        output_tokens=usage.output_tokens if usage is not None else 0,
        micros=turn.micros if usage is not None else 0,
        estimated=usage is not None and usage.estimated,
    )
