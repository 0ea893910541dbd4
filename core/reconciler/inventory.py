"""What the parts of a house hold, put side by side for the rules."""

from __future__ import annotations

import asyncio

from core.admission import WaitingRoom
from core.reconciler.rules import Agent, Chair, Held, Request, Running, Slot
from core.router import SessionRouter
from core.runs import RunRegistry
from core.store import run_records
from core.store.database import Database
from core.turn import ChatSession, ChatSessions, Turns

_PART = 1000


class Inventory:
    """Looks into every part; changes nothing."""

    def __init__(
        self,
        *,
        waiting_room: WaitingRoom,
        router: SessionRouter[ChatSession],
        runs: RunRegistry,
        turns: Turns,
        sessions: ChatSessions,
        database: Database,
        epoch: str,
    ) -> None:
        self._waiting_room = waiting_room
        self._router = router
        self._runs = runs
        self._turns = turns
        self._sessions = sessions
        self._database = database
        self._epoch = epoch

    async def take(self, before: int) -> Held:
        """What is held now. Of what ends by a write or a sweep, only what ended before `before` (ms) counts.

        Raises StorageFailed when the database cannot be read.
        """
        recorded = await self._database.read(
            lambda connection: run_records.open_runs(connection, self._epoch)
        )
        agents = await self._lost_agents()
        # from here on nothing can move: what is compared was there in one and the same step
        running = self._runs.running()
        alive = {run.id for run in running}
        return Held(
            led=self._turns.led(),
            slots=[self._slot(key, run_id) for key, run_id in self._router.turns()],
            running=[
                Running(run.session_key, run.id, own=not self._runs.began_elsewhere(run)) for run in running
            ],
            recorded=[
                Running(each.session_key, each.run_id, own=True)
                for each in recorded
                if not self._ended_after(each.run_id, before)
            ],
            agents=agents,
            requests=[
                Request(each.session_key, each.run_id, each.number, each.model, each.run_id in alive)
                for each in self._sessions.calls.open()
            ],
            chairs=[Chair(seat.user_id, seat.model) for seat in self._waiting_room.over_since(before)],
        )

    async def _lost_agents(self) -> list[Agent]:
        """Those that the router does not have; looked for in parts, because there may be very many."""
        lost: list[Agent] = []
        for index, session in enumerate(self._sessions.living()):
            if not index % _PART:
                await asyncio.sleep(0)
            if self._sessions.get(session.number) is session and not self._router.has(
                session.session_key, session
            ):
                lost.append(Agent(session.session_key, session.number))
        return lost

    def _slot(self, session_key: str, run_id: str) -> Slot:
        run = self._runs.get(run_id)
        if run is None:
            return Slot(session_key, run_id, "unknown")
        return Slot(session_key, run_id, "ended" if run.ended else "running")

    def _ended_after(self, run_id: str, moment: int) -> bool:
        """Whether a run ended so lately that its end may be on its way to the disk."""
        run = self._runs.get(run_id)
        return run is not None and run.ended_at is not None and run.ended_at > moment
