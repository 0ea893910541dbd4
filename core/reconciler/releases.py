"""Letting go of what is proven dead, through the part that owns it, and writing down that it was."""

from __future__ import annotations

from typing import assert_never

from sqlalchemy import Connection

from core.admission import WaitingRoom
from core.reconciler.rules import Suspect
from core.router import SessionRouter
from core.runs import RunRegistry
from core.store import audit
from core.store.acknowledged import acknowledged
from core.store.costs import Booked
from core.store.orphans import close_left
from core.store.sessions import Stamp
from core.turn import ChatSession, ChatSessions, Ledger


class Releases:
    """Releases one suspect at a time."""

    def __init__(
        self,
        *,
        waiting_room: WaitingRoom,
        router: SessionRouter[ChatSession],
        runs: RunRegistry,
        sessions: ChatSessions,
        ledger: Ledger,
    ) -> None:
        self._waiting_room = waiting_room
        self._router = router
        self._runs = runs
        self._sessions = sessions
        self._ledger = ledger

    async def release(self, suspect: Suspect) -> str:
        """What was done about it, which is audited; empty when nothing could be. Raises StorageFailed."""
        done = await self._let_go(suspect)
        if done:
            await self._audit(suspect)
        return done

    async def _let_go(self, suspect: Suspect) -> str:
        key, session_key = suspect.key, suspect.session_key or ""
        match suspect.kind:
            case "slot_without_run":
                self._router.end_turn(session_key, key)
                return "the slot is free"
            case "run_without_slot":
                return await self._end_run(key)
            case "agent_without_session":
                agent = self._sessions.get(_number(key))
                if agent is None:
                    return "it was disposed meanwhile"
                await agent.dispose()
                return "it is disposed"
            case "upstream_without_run":
                closed = await self._sessions.calls.close(_number(key))
                return "the connection is closed" if closed else ""
            case "seat_without_instance":
                await self._waiting_room.end_seat(key)
                return "the seat is free"
            case _:
                assert_never(suspect.kind)

    async def _end_run(self, run_id: str) -> str:
        """End it in the registry if it runs there, and in the database, with its text and what it has cost."""
        run = self._runs.get(run_id)
        if run is not None and not run.ended:
            _ = self._runs.complete(run_id, interrupted=True)
        stamp = Stamp(now=self._ledger.clock.now(), epoch=self._ledger.epoch)

        def unit(connection: Connection) -> list[Booked]:
            return close_left(connection, {run_id}, self._ledger.prices, stamp)

        def follow(booked: list[Booked]) -> None:
            for each in booked:
                self._ledger.costs.apply(each)

        await acknowledged(self._ledger.database, unit, follow)
        return "it is closed as interrupted"

    async def _audit(self, suspect: Suspect) -> None:
        entry = audit.NewEntry(
            at=self._ledger.clock.now(),
            action="release",
            target=suspect.session_key or suspect.user_id or suspect.key,
            reason=suspect.evidence,
            detail={"kind": suspect.kind, "key": suspect.key},
            of_session=suspect.session_key is not None,
        )
        await self._ledger.database.write(lambda connection: audit.record(connection, entry))


def _number(key: str) -> int:
    return int(key.rpartition("#")[2])
