"""The registry: every run that is running or kept for replay, and who follows it (behaviours/runs.md).

Everything happens in steps of one event loop, so that subscribing, acknowledging, replaying and going live are one
step, and so are ending a run and telling of it. Whatever ends or expires a run names the run, never its session.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, assert_never

from core.clock import Clock
from core.errors import InvalidArgument, NoActiveRun, RunInProgress, ShuttingDown
from core.journal import Journal
from core.protocol import Explanation
from core.runs.activity import IDLE, Activity, activity_after
from core.runs.answers import Dropped, Published, Swallowed
from core.runs.entry import Entry
from core.runs.incoming import Completed, Incoming, Plain, SessionCreated, check_producer_seq, read_event
from core.runs.kept import KeptRuns
from core.runs.log import RunLog
from core.runs.provider_id import ProviderId
from core.runs.reading import RunReaders
from core.runs.records import RunRecords
from core.runs.run import Run, Used, exit_code_of, head_of, terminal_payload
from core.runs.watchdog import Watchdog
from core.runs.why_run import why_run
from core.runs.writes import Writes
from core.settings import Runs


class RunRegistry(RunReaders):
    """Starts runs, takes their events and ends them; readers follow them by the base's methods."""

    def __init__(
        self,
        settings: Runs,
        *,
        clock: Clock,
        journal: Journal,
        records: RunRecords,
        new_id: Callable[[], str],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._records = records
        self._new_id = new_id
        super().__init__(KeptRuns(clock, journal, max_bytes=settings.total_bytes))
        self._writes = Writes(partial(self._kept.notice, "error", "run_not_recorded"))
        self._closed = False

    async def open(self) -> int:
        """Close as interrupted what the database still calls running; how many that were. Raises StorageFailed."""
        found = await self._records.interrupt_orphans()
        if found:
            self._kept.notice(
                "warning",
                "runs_interrupted",
                f"runs found open from an earlier life and closed as interrupted: {found}",
            )
        return found

    async def aclose(self) -> None:
        """Cut off what is running, as interrupted, and wait until all of it is recorded; then nothing starts here."""
        self._closed = True
        for entry in list(self._kept.running.values()):
            self._end(entry, exit_code=1, interrupted=True)
        self._kept.stop()
        await self._writes.settle()

    async def settle(self) -> None:
        """Until everything told so far is durable, or was reported as failed."""
        await self._writes.settle()

    def start(  # noqa: PLR0913 - what is known of a run, by name
        self,
        session_key: str,
        provider: str,
        *,
        user_id: str | None = None,
        model: str | None = None,
        stop: Callable[[str], None] | None = None,
        meter: Callable[[], Used] | None = None,
        run_id: str | None = None,
        recorded: bool = True,
        provider_session_id: str | None = None,
    ) -> Run:
        """Begin a run. `stop` is given for an agent in this process: an abort calls it with the reason.

        `meter` estimates what the run has used by now; it is asked whenever a row is made, until `used` is told.
        With `recorded` False the caller writes start and end to the database itself. `provider_session_id` is what
        is known already of the provider's name for the session. Raises RunInProgress, InvalidArgument for an empty
        key or provider or a run id that is taken, ShuttingDown. See `recorded` for when it is durable.
        """
        self._check_start(session_key, provider, run_id)
        run_id = run_id or self._new_id()
        run = Run(
            run_id,
            session_key,
            provider,
            user_id=user_id,
            model=model,
            started_at=self._clock.now(),
            last_event=self._clock.monotonic(),
            log=RunLog(
                head_of(run_id, session_key),
                max_events=self._settings.buffer_events,
                max_bytes=self._settings.buffer_bytes,
            ),
        )
        entry = Entry(
            run,
            stop=stop,
            meter=meter,
            recorded=recorded,
            provider_id=ProviderId(provider_session_id, partial(self._save_provider_id, run)),
            watchdog=Watchdog(self._clock, run, self._settings.stall_seconds, self._stalled),
        )
        self._kept.add(entry)
        entry.watchdog.start()
        if recorded:
            entry.write = self._writes.add(
                partial(self._records.started, run), f"run {run_id}: its start could not be recorded"
            )
        return run

    def _check_start(self, session_key: str, provider: str, run_id: str | None) -> None:
        """Raises what speaks against a start, see `start`."""
        if self._closed:
            raise ShuttingDown("the core is leaving and starts no runs")
        for name, value in (("sessionKey", session_key), ("provider", provider)):
            if not value:
                raise InvalidArgument(f"{name} must not be empty", path=f"$.{name}")
        latest = self._kept.latest(session_key)
        if latest is not None and not latest.run.ended:
            raise RunInProgress(
                f"session {session_key!r} has the running run {latest.run.id}; abort it, or wait for its end"
            )
        if run_id and run_id in self._kept:
            raise InvalidArgument(f"run id {run_id!r} is taken", path="$.runId")

    def append(self, run: Run, events: Sequence[tuple[bytes, int, int]]) -> None:
        """Take ready events: (payload, start, stop), see `RunEvent`. What comes after the end is dropped and counted.

        The way of every chunk of an answer: nothing is checked, and subscribers are woken once for the list.
        """
        if run.ended_at is not None:
            run.dropped += len(events)
            return
        if not events:
            return
        entry = self._kept.entry(run.id)
        before = run.log.bytes
        run.log.extend(events)
        self._heard(entry)
        self._kept.grew(run, run.log.bytes - before)
        entry.bell.ring()

    def publish(
        self, run_id: str, event: dict[str, Any], producer_seq: int | None = None
    ) -> Published | Swallowed | Dropped:
        """Take one event of an agent elsewhere. Raises RunNotFound, then InvalidArgument; neither uses a number."""
        entry = self._kept.entry(run_id)
        incoming = read_event(event)
        check_producer_seq(producer_seq)
        return self._take(entry, incoming, producer_seq)

    def publish_many(
        self, run_id: str, events: Sequence[tuple[dict[str, Any], int | None]]
    ) -> list[Published | Swallowed | Dropped]:
        """Like `publish`, for many events in order, each with its producer seq; when one is malformed, none is taken.

        Raises RunNotFound, then InvalidArgument with the place of the one at fault.
        """
        entry = self._kept.entry(run_id)
        incoming = []
        for place, (event, producer_seq) in enumerate(events):
            try:
                incoming.append((read_event(event), producer_seq))
                check_producer_seq(producer_seq)
            except InvalidArgument as error:
                path = (error.path or "$").replace("$", f"$.events[{place}]", 1)
                raise InvalidArgument(f"{path}: {error.message}", path=path) from None
        return [self._take(entry, each, producer_seq) for each, producer_seq in incoming]

    def _take(
        self, entry: Entry, incoming: Incoming, producer_seq: int | None
    ) -> Published | Swallowed | Dropped:
        """Take an event that was read and found in order."""
        run, run_id = entry.run, entry.run.id
        if run.ended or run.is_repeat(producer_seq):
            run.dropped += run.ended
            return Dropped(
                run_id=run_id,
                session_key=run.session_key,
                because="ended" if run.ended else "repeat",
                abort_requested=run.abort_requested,
            )
        if producer_seq is not None:
            run.last_producer_seq = producer_seq
        match incoming:
            case SessionCreated(provider_session_id):
                self._heard(entry)
                entry.provider_id.hear(provider_session_id)
                return Swallowed(
                    run_id=run_id, session_key=run.session_key, abort_requested=run.abort_requested
                )
            case Completed(exit_code, aborted, fields):
                self._end(entry, exit_code=exit_code, aborted=aborted, fields=fields)
            case Plain(payload, event):
                run.activity = activity_after(event, run.activity)
                self.append(run, [(payload, 0, 0)])
            case _:
                assert_never(incoming)
        return Published(
            run_id=run_id,
            session_key=run.session_key,
            seq=run.log.last,
            abort_requested=run.abort_requested,
        )

    def complete(
        self, run_id: str, *, exit_code: int = 1, aborted: bool = False, interrupted: bool = False
    ) -> bool:
        """End a run; False when it had ended before. An agent that confirms an abort gives 0 and `aborted`.

        What is no exit code counts as 1. `interrupted` is for what a close cuts off. Who says it again has an end
        recorded that could not be before. Raises RunNotFound.
        """
        entry = self._kept.entry(run_id)
        if entry.run.ended:
            if entry.write is not None and entry.write.done() and entry.write.exception() is not None:
                self._record_end(entry)
            return False
        self._end(entry, exit_code=exit_code_of(exit_code), aborted=aborted, interrupted=interrupted)
        return True

    def abort(self, run_id: str, reason: str = "") -> None:
        """Stop a run. An agent in this process is told, and has `abort_seconds` to confirm by ending the run; with
        an agent elsewhere the run ends at once. Asking again while that lasts changes nothing.

        Raises RunNotFound, NoActiveRun.
        """
        entry = self._kept.entry(run_id)
        run = entry.run
        if run.ended:
            raise NoActiveRun(f"run {run_id} has ended; there is nothing to stop")
        if run.abort_requested:
            return
        run.abort_reason = reason
        if entry.stop is None:
            self._end(entry, exit_code=1, aborted=True)
            return
        entry.watchdog.stop()
        entry.set_timer(self._clock.call_later(self._settings.abort_seconds, partial(self._force, entry)))
        self._kept.tell(entry, "aborting", reason)
        entry.control.ring()
        try:
            entry.stop(reason)
        except Exception as error:
            self._kept.notice(
                "error", "abort_failed", f"run {run_id}: its agent could not be told to stop: {error!r}"
            )
            self._force(entry)

    def upstream_closed(self, run: Run) -> None:
        """The connection to a run's agent is closed; told of a run that somebody wanted to stop."""
        entry = self._kept.find(run.id)
        if entry is not None and run.abort_requested:
            self._kept.tell(entry, "upstream_closed")

    def acts(self, run: Run, activity: Activity) -> None:
        """What a run is at by now, said by whoever reads its answer; what comes after the end is passed over."""
        if run.ended_at is None and run.activity != activity:
            run.activity = activity
            self._kept.moved(self._kept.entry(run.id))

    def used(self, run: Run, used: Used) -> None:
        """What the run has used so far, in all; from now on its meter is not asked."""
        run.used = used
        entry = self._kept.find(run.id)
        if entry is not None:
            entry.meter = None
            self._kept.moved(entry)

    def why(self, run_id: str) -> Explanation:
        """Why a run stands or ended as it did. Raises RunNotFound."""
        entry = self._kept.entry(run_id)
        return why_run(
            entry.run,
            entry.row,
            monotonic=self._clock.monotonic(),
            stall_seconds=self._settings.stall_seconds,
            abort_seconds=self._settings.abort_seconds,
        )

    async def recorded(self, run: Run) -> None:
        """Until the run's start, and its end if it has ended, are durable. Raises StorageFailed, and SessionNotFound
        where its session turned out to be somebody else's.

        Returns at once for a run whose caller records it, and for one that is no longer kept.
        """
        entry = self._kept.find(run.id)
        written = None
        while entry is not None and entry.write is not None and entry.write is not written:
            # it may end meanwhile, which is another write
            written = entry.write
            await asyncio.wait({written})
            written.result()

    async def provider_id(self, session_key: str) -> str | None:
        """What the provider calls this session, as far as that is durable. Raises StorageFailed."""
        entry = self._kept.latest(session_key)
        if entry is not None and entry.provider_id.known is not None:
            return entry.provider_id.known
        return await self._records.provider_id(session_key)

    def _heard(self, entry: Entry) -> None:
        """The run gave a sign of life."""
        run = entry.run
        run.last_event = self._clock.monotonic()
        if run.stalled:
            run.stalled = False
            if not run.abort_requested:
                entry.watchdog.start()
                self._kept.tell(entry, "revived")
        self._kept.moved(entry)

    def _stalled(self, run: Run) -> None:
        run.stalled = True
        self._kept.tell(self._kept.entry(run.id), "stalled")
        if self._settings.abort_stalled:
            self.abort(run.id, "stalled")

    def _force(self, entry: Entry) -> None:
        """An abort was not answered in time."""
        if not entry.run.ended:
            self._end(entry, exit_code=1, aborted=True)

    def _end(
        self,
        entry: Entry,
        *,
        exit_code: int,
        aborted: bool = False,
        interrupted: bool = False,
        fields: dict[str, object] | None = None,
    ) -> None:
        """Give out the one `complete`, tell everybody, and keep the run for a while by its own identity."""
        run = entry.run
        entry.watchdog.stop()
        payload = terminal_payload(
            run.provider, exit_code=exit_code, aborted=aborted, interrupted=interrupted, fields=fields
        )
        run.used, entry.meter = entry.used, None
        before = run.log.bytes
        run.log.extend([(payload, 0, 0)])
        run.ended_at = self._clock.now()
        run.exit_code, run.aborted, run.interrupted, run.stalled = exit_code, aborted, interrupted, False
        # what a whole answer calls is up to whoever asked
        whole = exit_code == 0 and not aborted
        run.activity = Activity(tool=run.activity.tool) if whole else IDLE
        self._kept.grew(run, run.log.bytes - before)
        self._kept.end(entry)
        entry.set_timer(
            self._clock.call_later(self._settings.retention_seconds, partial(self._kept.forget, entry))
        )
        entry.stop = None  # its agent keeps the whole answer, which need not stay as long as the run is kept
        entry.provider_id.run_ended()
        if entry.recorded:
            self._record_end(entry)
        entry.bell.ring()
        entry.control.ring()

    def _record_end(self, entry: Entry) -> None:
        entry.write = self._writes.add(
            partial(self._records.ended, entry.run), f"run {entry.run.id}: its end could not be recorded"
        )

    def _save_provider_id(self, run: Run, provider_session_id: str, then: Callable[[bool], None]) -> None:
        _ = self._writes.add(
            partial(self._records.save_provider_id, run.session_key, provider_session_id),
            f"run {run.id}: the provider's session id could not be written",
            then=then,
        )
