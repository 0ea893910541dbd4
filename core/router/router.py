"""The router: which live session serves a key, and which turn it serves (behaviours/router.md)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Literal

from core.clock import Clock
from core.errors import InvalidArgument, SessionUnavailable, ShuttingDown
from core.journal import Journal
from core.protocol import Because
from core.router.build import Build, Builder
from core.router.departures import Departures
from core.router.hold import Hold
from core.router.maintenance import Reservation, Reservations
from core.router.readers import RouterReaders
from core.router.reports import Reports
from core.router.session import Context, Entry, Eviction, Live, S, SessionFactory, check_key
from core.router.shelf import Shelf
from core.router.slot import Slots, Turn
from core.router.why_session import why_gone, why_live
from core.settings import Router

DEFAULT_DIRT = "runtime_changed"


class SessionRouter(RouterReaders[S]):
    """At most one session and one turn for a key. All steps that decide are steps of one event loop."""

    def __init__(
        self,
        settings: Router,
        *,
        abort_seconds: float,
        clock: Clock,
        journal: Journal,
        factory: SessionFactory[S],
        on_evict: Callable[[Eviction], None] | None = None,
    ) -> None:
        self._settings = settings
        self._idle_ms = round(settings.idle_seconds * 1000)
        self._clock = clock
        slots = Slots()
        self._reservations: Reservations[S] = Reservations()
        super().__init__(Shelf(), slots, Reports(journal, slots, self._reservations, on_evict, clock.now))
        self._departures = Departures(
            clock, abort_seconds, self._shelf, self._slots, self._reservations, self._reports
        )
        self._builder = Builder(
            factory, publish=self._publish, failed=self._build_failed, dispose=self._departures.dispose
        )
        self._orders = count(1)
        self._generations: dict[str, int] = {}
        self._shutdown: asyncio.Task[None] | None = None

    async def get_or_create(
        self, session_key: str, *, project: str | None = None, channel: str = "", run_id: str | None = None
    ) -> Entry[S]:
        """The key's session, built when there is none, rebuilt when it is dirty and nobody else's turn needs it.

        Project and channel are merged into its context. `run_id` names the turn that asks: while a turn is in
        flight, only that turn's first call has a dirty session rebuilt. Raises SessionUnavailable when the factory
        failed or the key was closed meanwhile, ShuttingDown, InvalidArgument for an empty key.
        """
        check_key(session_key)
        while True:
            if self._shutdown is not None:
                raise ShuttingDown("the core is leaving and serves no new sessions")
            leaving = self._departures.of(session_key)
            if leaving is not None:
                await asyncio.wait({leaving})
                continue
            live, now = self._shelf.get(session_key), self._monotonic_ms()
            if live is not None:
                self._use(live, now)
            self._sweep(now)
            build = self._build_for(session_key, live, project, channel, run_id)
            if build is None:
                assert live is not None
                self._merge(live, project, channel)
                return live.entry()
            failure = await asyncio.shield(build.done)
            if failure is not None:
                raise SessionUnavailable(
                    f"session {session_key!r} could not be built: {failure}; the next call tries again"
                ) from failure
            live = self._published(build)
            if live is not None:
                return live.entry()

    def begin_turn(
        self,
        session_key: str,
        run_id: str,
        *,
        project: str | None = None,
        stop: Callable[[str], None] | None = None,
    ) -> bool:
        """Take the key's slot for a run; False when a turn or maintenance holds it, it is being closed, or we leave.

        `stop` is called with the reason when the turn is aborted; `end_turn` tells that it has unwound.
        Raises InvalidArgument for an empty key or run id.
        """
        check_key(session_key)
        if not run_id:
            raise InvalidArgument("a turn needs a run id that is not empty", path="$.runId")
        taken = session_key in self._slots or session_key in self._reservations
        if self._shutdown is not None or taken or self._departures.guards(session_key):
            return False
        live = self._shelf.get(session_key)
        if live is not None:
            self._use(live)
            self._shelf.hold(live)
            project = live.context.project or project
        self._slots.take(Turn(session_key, run_id, project or None, stop))
        if live is not None:
            self._reports.changed(live, "turn_began")
        self._sweep()
        return True

    def end_turn(self, session_key: str, run_id: str | None = None, *, force: bool = False) -> None:
        """Free the slot of that run; a foreign id changes nothing. Without an id it must be forced.

        Raises InvalidArgument when neither is given, or for an empty key.
        """
        check_key(session_key)
        if not run_id and not force:
            raise InvalidArgument(
                "end_turn needs the run id, or force = true to free anybody's slot", path="$.runId"
            )
        turn = self._slots.get(session_key)
        if turn is None or (run_id and turn.run_id != run_id):
            return
        self._slots.free(turn)
        live = self._shelf.get(session_key)
        if live is not None:
            self._use(live)
            self._rest(live)
            self._reports.changed(live, "turn_ended")

    async def abort(self, session_key: str, reason: str = "", run_id: str | None = None) -> bool:
        """Stop the key's turn, if it is that run; whether one was stopped. The slot is freed when it unwinds.

        Its session is waited for `abort_seconds` at most.
        """
        check_key(session_key)
        turn = self._slots.get(session_key)
        if turn is None or (run_id and turn.run_id != run_id):
            return False
        live = self._shelf.get(session_key)
        if live is not None:
            self._use(live)
        await self._departures.abort(turn, reason)
        return True

    def why(self, session_key: str) -> list[Because]:
        """What keeps a session live, or why it is not any more; nothing when the key is not known here."""
        live, farewell = self._shelf.get(session_key), self._reports.farewells.of(session_key)
        if live is not None:
            return why_live(self._reports.row(live), self._clock.now(), self._settings.idle_seconds)
        return [] if farewell is None else [why_gone(farewell, self._settings.idle_seconds)]

    async def close(self, session_key: str, generation: int | None = None) -> Literal["closed", "gone"]:
        """Abort the key's turn, wait for it (at most `abort_seconds`), dispose the session; then the key is free.

        ``gone`` when there is nothing of that generation (or nothing at all) to close. It is carried through even
        when the caller is cancelled.
        """
        check_key(session_key)
        while True:
            live = self._shelf.get(session_key)
            if generation is not None and (live is None or live.generation != generation):
                return "gone"
            if live is None and not self._in_use(session_key):
                return "gone"
            leaving = self._shutdown or self._departures.of(session_key)
            if leaving is None:
                await asyncio.shield(self._departures.close(session_key, self._builder))
                return "closed"
            closing = leaving is self._shutdown or self._departures.guards(session_key)
            await asyncio.wait({leaving})
            if closing:
                return "closed"

    async def evict(
        self, session_key: str, generation: int | None = None
    ) -> Literal["evicted", "gone", "busy"]:
        """The operator's: dispose a session that serves no turn and is in nobody else's hands.

        In the step of a ``busy``, `hold_of` tells whose hands those are.
        """
        check_key(session_key)
        live = self._shelf.get(session_key)
        if live is None or (generation is not None and live.generation != generation):
            return "gone"
        if self._shutdown is not None or self._in_use(session_key):
            return "busy"
        await asyncio.shield(self._departures.evict(live))
        return "evicted"

    def reserve(
        self, session_key: str, purpose: str, generation: int | None = None
    ) -> Reservation[S] | Literal["gone", "busy"]:
        """Keep a session for maintenance until it is released; never builds one.

        ``gone`` when there is none of that generation, ``busy`` when it serves a turn, is being rebuilt or closed, or
        is reserved already. Meanwhile no turn begins, nothing evicts it, and it is not rebuilt; a close waits for the
        release, at most `abort_seconds`.
        """
        check_key(session_key)
        live = self._shelf.get(session_key)
        if live is None or (generation is not None and live.generation != generation):
            return "gone"
        if self._shutdown is not None or self._in_use(session_key):
            return "busy"
        self._use(live)
        self._shelf.hold(live)
        reservation = Reservation(session_key, purpose, live.entry(), self._released)
        self._reservations.take(reservation)
        self._reports.changed(live, "maintenance_began")
        return reservation

    def _released(self, reservation: Reservation[S]) -> None:
        if not self._reservations.free(reservation):
            return
        live = self._shelf.get(reservation.session_key)
        if live is not None:
            self._use(live)
            self._rest(live)
            self._reports.changed(live, "maintenance_ended")

    def hold_of(self, session_key: str) -> Hold | None:
        """What keeps the key's session from whoever was just told that it is busy; None when nothing does."""
        return Hold("shutdown") if self._shutdown is not None else self._hold(session_key)

    def has(self, session_key: str, session: S) -> bool:
        """Whether a session is in the router's hands: it serves its key, or is being disposed."""
        live = self._shelf.get(session_key)
        return (live is not None and live.session is session) or self._departures.is_disposing(session)

    def mark_dirty(
        self,
        *,
        session_key: str | None = None,
        project: str | None = None,
        all: bool = False,
        reason: str = "",
    ) -> int:
        """Have one session, a project's, or all rebuilt at their next use; how many were marked.

        Sessions that are being built are marked too, uncounted. Raises InvalidArgument unless exactly one target is
        named.
        """
        if [bool(session_key), bool(project), all].count(True) != 1:
            raise InvalidArgument("name exactly one of sessionKey, projectKey and all", path="$")
        reason = reason or DEFAULT_DIRT
        if session_key:
            live, build = self._shelf.get(session_key), self._builder.of(session_key)
            marked = [] if live is None else [live]
            builds = [] if build is None else [build]
        else:
            marked = self._shelf.of_project(project) if project else list(self._shelf.all())
            builds = [build for build in self._builder.all() if not project or build.belongs_to(project)]
        for build in builds:
            build.mark = reason
        for live in marked:
            if live.dirty != reason:
                live.dirty = reason
                self._reports.changed(live, "marked_dirty")
        return len(marked)

    def clear_dirty(self, session_key: str, generation: int | None = None) -> bool:
        """Take a session's mark back, also while it is being built; whether there was one to take."""
        check_key(session_key)
        live, build = self._shelf.get(session_key), self._builder.of(session_key)
        if generation is not None and (live is None or live.generation != generation):
            return False
        marked = (live is not None and live.dirty is not None) or (
            build is not None and build.mark is not None
        )
        if build is not None:
            build.mark = None
        if live is not None and live.dirty is not None:
            live.dirty = None
            self._reports.changed(live, "cleared_dirty")
        return marked

    def count(self) -> int:
        """How many sessions are cached, after a sweep."""
        self._sweep()
        return len(self._shelf)

    async def run(self) -> None:
        """Sweep every `sweep_seconds` until the shutdown; with 0 there is nothing to do."""
        while self._settings.sweep_seconds and self._shutdown is None:
            await self._clock.sleep(self._settings.sweep_seconds)
            self._sweep()

    async def shutdown(self) -> None:
        """Take no new work, abort and drain the turns, dispose every session. Calling it again waits for the same."""
        if self._shutdown is None:
            self._shutdown = self._departures.close_all(self._builder)
        await asyncio.shield(self._shutdown)

    def _build_for(
        self, session_key: str, live: Live[S] | None, project: str | None, channel: str, run_id: str | None
    ) -> Build[S] | None:
        """The build that this caller waits for; None when it gets the session as it stands (decision 2)."""
        turn = self._slots.get(session_key)
        holder = turn is not None and turn.run_id == run_id
        may_rebuild = (turn is None or (holder and not turn.served)) and session_key not in self._reservations
        if turn is not None and holder:
            turn.served = True
        build = self._builder.of(session_key)
        if live is not None:
            if build is not None and turn is not None and not holder:
                return None
            if build is None and (live.dirty is None or not may_rebuild):
                return None
        if build is None:
            known = Context(session_key) if live is None else live.context
            build = self._builder.start(known.merged(project, channel), live)
            if live is not None:
                self._shelf.hold(live)
        build.joined.append((project, channel))
        return build

    def _published(self, build: Build[S]) -> Live[S] | None:
        """What came of a build, unless it is gone again, or about to go, before its callers were woken."""
        live = self._shelf.get(build.context.session_key)
        if live is None or live.generation != build.generation or self._shutdown is not None:
            return None
        return live if self._departures.of(live.key) is None else None

    def _publish(self, build: Build[S], session: S) -> None:
        key = build.context.session_key
        build.generation = self._generations[key] = self._generations.get(key, 0) + 1
        live = build.previous
        if live is None:
            live = Live(
                session,
                build.merged_into(Context(key)),
                generation=build.generation,
                order=next(self._orders),
                created_at=self._clock.now(),
                dirty=build.mark,
            )
            self._shelf.add(live)
            self._settle(live)
            self._reports.changed(live, "created")
            self._apply_cap(live)
            return
        snapshot, old = self._reports.row(live), live.session
        live.session, live.generation, live.dirty = session, build.generation, build.mark
        live.context = build.merged_into(live.context)
        self._shelf.place(live)
        self._settle(live)
        self._reports.changed(live, "rebuilt")
        self._reports.evicted(snapshot, "dirty_recreate")
        self._departures.dispose_apart(key, old)

    def _settle(self, live: Live[S]) -> None:
        """A session was just published."""
        self._slots.fill_project(live.key, live.context.project)
        self._use(live)
        self._rest(live)

    def _build_failed(self, build: Build[S]) -> None:
        if build.previous is not None:
            self._use(build.previous)
            self._rest(build.previous)

    def _merge(self, live: Live[S], project: str | None, channel: str) -> None:
        build = self._builder.of(live.key)
        if build is not None:  # the last word on the channel stays the last when the replacement comes
            build.joined.append((project, channel))
        merged = live.context.merged(project, channel)
        if merged is not live.context:
            live.context = merged
            self._shelf.place(live)
            self._slots.fill_project(live.key, merged.project)
            self._reports.changed(live, "merged")

    def _use(self, live: Live[S], now: int | None = None) -> None:
        self._shelf.use(live, self._monotonic_ms() if now is None else now, self._clock.now())

    def _rest(self, live: Live[S]) -> None:
        if not self._in_use(live.key):
            self._shelf.rest(live)

    def _in_use(self, session_key: str) -> bool:
        """Whether a session must stay: it serves a turn, is worked on, is being rebuilt, or is on its way out."""
        return self._hold(session_key) is not None

    def _hold(self, session_key: str) -> Hold | None:
        """What a session is in use for; of several uses the one that decides when the key is free."""
        if self._departures.guards(session_key):
            return Hold("departure")
        if session_key in self._slots:
            return Hold("turn")
        reserved = self._reservations.get(session_key)
        if reserved is not None:
            return Hold("maintenance", reserved.purpose)
        if self._builder.of(session_key) is not None:
            return Hold("rebuild")
        return None if self._departures.of(session_key) is None else Hold("departure")

    def _sweep(self, now: int | None = None) -> None:
        """Drop what was idle for longer than the timeout, least recently used first (decision 8)."""
        now = self._monotonic_ms() if now is None else now
        while (
            self._shutdown is None
            and (live := self._shelf.least_recent()) is not None
            and now - live.last_used > self._idle_ms
        ):
            self._departures.drop(live, "idle")

    def _apply_cap(self, newest: Live[S]) -> None:
        """Make room for a session that was just published, and is exempt itself (decision 14)."""
        while 0 < self._settings.max_sessions < len(self._shelf):
            live = self._shelf.least_recent()
            if live is None or live is newest:
                return
            self._departures.drop(live, "capacity")

    def _monotonic_ms(self) -> int:
        return round(self._clock.monotonic() * 1000)
