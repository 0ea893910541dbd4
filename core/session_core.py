"""SessionCore: puts the parts together and speaks for them. Lives on one event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import AsyncExitStack
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from core.admission import WaitingRoom
from core.agents import Directory
from core.clock import Clock, SystemClock, timestamp
from core.errors import SessionNotFound, ShuttingDown, StorageFailed
from core.explaining import Explaining
from core.ids import Ids
from core.journal import Journal
from core.metrics import Tally
from core.operator import Operator
from core.protocol import (
    ROWS_PER_PART,
    AccessTier,
    AnyCommand,
    AnyRow,
    AuditPage,
    EventBatch,
    Explained,
    Explanation,
    HistoryPage,
    Noticed,
    Outcome,
    Preview,
    RunBatch,
    SearchHit,
    SessionDetail,
    ViewHead,
    ViewPart,
    ViewRows,
    ViewTail,
)
from core.readings import Readings
from core.reconciler import Inventory, Reconciler, Releases
from core.router import SessionRouter
from core.runs import Lagged, RunRegistry, StoredRuns
from core.settings import Settings
from core.store import audit, configuration, sessions
from core.store import search as searching
from core.store.costs import Costs
from core.store.database import Database
from core.store.facts import house_id
from core.store.history import page_in
from core.store.lock import FolderLock, lock_for
from core.store.opening import backend_of
from core.store.pins import Pins
from core.store.prices import PriceList
from core.store.retention import Retention
from core.turn import ChatSession, ChatSessions, Ledger, Turns

_EXPIRE_SECONDS = 1.0

_log = logging.getLogger(__name__)


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What a core is put together from; each part owns its own state."""

    directory: Directory
    lock: FolderLock | None
    database: Database
    clock: Clock
    house: str
    journal: Journal
    tally: Tally
    waiting_room: WaitingRoom
    runs: RunRegistry
    pins: Pins
    costs: Costs
    prices: PriceList


class SessionCore:
    """A running core. Make one with `SessionCore.open`; it implements `core.protocol.Core`.

    The parts are public, for the server and for those who embed.
    """

    def __init__(self, settings: Settings, parts: Parts, new_id: Callable[[], str]) -> None:
        self.settings = settings
        self.new_id = new_id
        self.directory = parts.directory
        self.lock = parts.lock
        self.database = parts.database
        self.clock = parts.clock
        self.house = parts.house
        self.journal = parts.journal
        self.tally = parts.tally
        self.waiting_room = parts.waiting_room
        self.runs = parts.runs
        self.pins = parts.pins
        self.costs = parts.costs
        self.sessions = ChatSessions(self.directory)
        self.router: SessionRouter[ChatSession] = SessionRouter(
            settings.router,
            abort_seconds=settings.runs.abort_seconds,
            clock=self.clock,
            journal=self.journal,
            factory=self.sessions,
        )
        ledger = Ledger(self.database, self.pins, self.costs, parts.prices, self.clock, self.journal.epoch)
        self.turns = Turns(
            waiting_room=self.waiting_room,
            router=self.router,
            runs=self.runs,
            ledger=ledger,
            directory=self.directory,
            fallback_models=_fallbacks(settings, self.directory),
            new_id=new_id,
        )
        self.operator = Operator(
            waiting_room=self.waiting_room,
            router=self.router,
            runs=self.runs,
            pins=self.pins,
            directory=self.directory,
            database=self.database,
            journal=self.journal,
            clock=self.clock,
        )
        self.reconciler = Reconciler(
            Inventory(
                waiting_room=self.waiting_room,
                router=self.router,
                runs=self.runs,
                turns=self.turns,
                sessions=self.sessions,
                database=self.database,
                epoch=self.journal.epoch,
            ),
            Releases(
                waiting_room=self.waiting_room,
                router=self.router,
                runs=self.runs,
                sessions=self.sessions,
                ledger=ledger,
            ),
            journal=self.journal,
            clock=self.clock,
        )
        self.readings = Readings(self.database, self.clock)
        self.explaining = Explaining(
            database=self.database,
            waiting_room=self.waiting_room,
            router=self.router,
            runs=self.runs,
            pins=self.pins,
        )
        self.retention = Retention(settings.retention, self.database, self.clock)
        self._background: list[asyncio.Task[None]] = []
        self._leaving = False
        self._closed = False

    @classmethod
    async def open(
        cls,
        settings: Settings,
        folder: Path,
        *,
        directory: Directory,
        lock: FolderLock | None = None,
        clock: Clock | None = None,
        new_id: Callable[[], str] | None = None,
        background: bool = True,
    ) -> SessionCore:
        """Open the core on its data folder; raises StartRefused of some kind.

        `lock` is one that the caller took already. With `background` False no ticker and no sweep run by
        themselves: tests drive them.
        """
        clock, new_id = clock or SystemClock(), new_id or Ids().new
        lock = lock or lock_for(settings.storage.url, folder)
        async with AsyncExitStack() as undone:
            # whoever is told why it did not start can try again in this very process
            if lock is not None:
                undone.callback(lock.release)
            database = Database(backend_of(settings.storage.url, folder, alone=True))
            undone.push_async_callback(database.aclose)
            parts = await _opened(
                settings, directory=directory, lock=lock, database=database, clock=clock, new_id=new_id
            )
            core = cls(settings, parts, new_id)
            _ = undone.pop_all()
        if background:
            core._keep(core.waiting_room.run(), "admission ticker")
            core._keep(core.waiting_room.follow(), "admission follower")
            core._keep(core.waiting_room.watch_health(), "health probe")
            core._keep(core.router.run(), "router sweep")
            core._keep(core._expire_pins(), "pin expiry")
            core._keep(core.reconciler.run(), "reconciler")
            core._keep(core.retention.run(), "retention")
        return core

    # ------------------------------------------------------------------------------------- the Core protocol

    async def view(self) -> AsyncIterator[ViewPart]:
        """See `Core.view`: references are copied under one cursor, then handed out in parts."""
        rows = [*self._rows()]
        cursor = self.journal.cursor
        counts: dict[str, int] = {}
        for row in rows:
            kind = str(type(row).__struct_config__.tag)
            counts[kind] = counts.get(kind, 0) + 1
        yield ViewHead(
            house=self.house,
            instance=self.journal.epoch,
            epoch=self.journal.epoch,
            version=version("maitred"),
            now=timestamp(self.clock.now()),
            counts=counts,
        )
        source = iter(rows)
        while part := list(islice(source, ROWS_PER_PART)):
            yield ViewRows(rows=part)
            await asyncio.sleep(0)
        yield ViewTail(cursor=cursor)

    async def events(self, after: str, *, wait: float = 25.0, limit: int = 1000) -> EventBatch:
        return await self.journal.read(after, wait=wait, limit=limit)

    async def session(self, session_key: str) -> SessionDetail:
        """See `Core.session`."""
        stored, config = await self.database.read(
            lambda connection: (
                sessions.look(connection, session_key),
                configuration.all_of(connection, session_key),
            )
        )
        live, pin = self.router.row(session_key), self.pins.row(session_key)
        run, cost = self.runs.current(session_key), self.costs.total("session", session_key)
        if not (stored or live or pin or run or cost):
            raise SessionNotFound(f"nothing is known of a session {session_key!r}")
        owner = stored.owner if stored is not None else None
        return SessionDetail(
            session_key=session_key,
            owner=owner,
            session=live,
            pin=pin,
            cost=cost,
            run=self.runs.row(run) if run is not None else None,
            seat=self.waiting_room.seat_row(owner) if owner is not None else None,
            messages=stored.messages if stored is not None else 0,
            config=config,
            next_seq=stored.next_seq if stored is not None else 1,
        )

    async def run_events(self, run_id: str, after: int = 0, *, wait: float = 25.0) -> RunBatch:
        """See `Core.run_events`; the waiting is a socket's patience, so it is real time."""
        batch = self.runs.replay(run_id, after)
        if batch.events or batch.ended or wait <= 0:
            return batch
        subscription = self.runs.subscribe(run_id, after, name="poll")
        try:
            async with asyncio.timeout(wait):
                await subscription.next()
        except (TimeoutError, Lagged):
            pass  # what is there by now is told below, a gap included
        finally:
            subscription.close()
        return self.runs.replay(run_id, after)

    async def history(
        self, session_key: str, *, before: int | None = None, after: int | None = None, limit: int = 100
    ) -> HistoryPage:
        return await self.database.read(
            lambda connection: page_in(connection, session_key, before, limit, after=after)
        )

    async def search(self, query: str, *, limit: int = 20, session_key: str | None = None) -> list[SearchHit]:
        return await self.database.read(
            lambda connection: searching.find(connection, query, limit=limit, session_key=session_key)
        )

    async def audit(
        self, *, before: int | None = None, limit: int = 100, target: str | None = None
    ) -> AuditPage:
        return await self.database.read(
            lambda connection: audit.page(connection, before=before, limit=limit, target=target)
        )

    async def explain(self, kind: Explained, key: str) -> Explanation:
        """See `Core.explain`."""
        return await self.explaining.explain(kind, key)

    async def preview(self, command: AnyCommand) -> Preview:
        return await self.operator.preview(command)

    async def execute(self, command: AnyCommand, *, actor: str = "local") -> Outcome:
        """See `Core.execute`; `actor` is who the audit names."""
        return await self.operator.execute(command, actor)

    async def aclose(self) -> None:
        """Leave in order: no new work, running turns cut off, sessions disposed, everything acknowledged kept."""
        if self._closed:
            return
        self._closed = self._leaving = True
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self.turns.aclose()
        await self.runs.aclose()
        await self.router.shutdown()
        await self.waiting_room.aclose()
        self.journal.close()
        await self.directory.aclose()
        await self.database.aclose()
        if self.lock is not None:
            self.lock.release()

    # ------------------------------------------------------------------------------------ beside the protocol

    async def drain(self, seconds: float) -> None:
        """Take no new turns and give the running ones this long."""
        self._leaving = True
        await self.turns.drain(seconds)

    def check_ready(self) -> None:
        """Raises ShuttingDown when new turns are not taken, StorageFailed while the database cannot be reached."""
        if self._leaving:
            raise ShuttingDown("maitred is leaving; it takes no new turns")
        if self.database.trouble is not None:
            raise StorageFailed(f"{self.database.trouble}; maitred goes on trying")

    def _rows(self) -> Iterable[AnyRow]:
        yield from self.waiting_room.queue_rows()
        yield from self.waiting_room.seat_rows()
        yield from self.router.rows()
        yield from self.pins.rows()
        yield from self.costs.rows()
        yield from self.runs.rows()
        yield from self.reconciler.rows()

    def _keep(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run a loop of the house; should it ever end by itself, that is told."""
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._ended)
        self._background.append(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("%s ended", task.get_name(), exc_info=error)
            self.journal.append(
                Noticed(
                    level="error",
                    code="internal_error",
                    message=f"the {task.get_name()} has stopped: {error}",
                )
            )

    async def _expire_pins(self) -> None:
        while True:
            await self.clock.sleep(_EXPIRE_SECONDS)
            self.pins.expire()


async def _opened(
    settings: Settings,
    *,
    directory: Directory,
    lock: FolderLock | None,
    database: Database,
    clock: Clock,
    new_id: Callable[[], str],
) -> Parts:
    """All parts, as the database left them; raises StartRefused of some kind, and StorageFailed."""
    epoch = new_id()[:12]
    prices = PriceList(settings.admission.models)
    tally = Tally()
    journal = Journal(
        clock,
        epoch,
        max_events=settings.journal.events,
        max_bytes=settings.journal.bytes,
        listener=tally.note,
    )
    runs = RunRegistry(
        settings.runs,
        clock=clock,
        journal=journal,
        records=StoredRuns(database, epoch=epoch, clock=clock, prices=prices),
        new_id=new_id,
    )
    # first of all, because what it finds left behind counts in the costs that are loaded below
    await runs.open()
    return Parts(
        directory=directory,
        lock=lock,
        database=database,
        clock=clock,
        house=await database.write(lambda connection: house_id(connection, new_id)),
        journal=journal,
        tally=tally,
        waiting_room=await WaitingRoom.open(
            settings.admission, database=database, clock=clock, journal=journal, new_id=new_id
        ),
        runs=runs,
        pins=await Pins.open(
            settings.pins, settings.admission.models, database=database, clock=clock, journal=journal
        ),
        costs=await Costs.open(prices, database=database, clock=clock, journal=journal),
        prices=prices,
    )


def _fallbacks(settings: Settings, directory: Directory) -> dict[AccessTier, str]:
    """The model of a request for `auto` without a pin, by the caller's access tier."""
    admission = settings.admission
    limited = [model.id for model in admission.models if model.limited]
    listed = [model.id for model in admission.models] + [model for model, _ in directory.models]
    return {
        "full": admission.fallback_model or next(iter(listed), ""),
        "limited": admission.limited_model or next(iter(limited or listed), ""),
    }
