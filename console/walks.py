"""How an abort goes: sent, acknowledged, its upstream closed, its slot free, each with its time.

Only what the core says counts: a run is aborted when its end says so, and proven to be when its agent confirmed it.
An abort that nobody answered in time is forced, and stays so, whatever its agent does later.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from core.protocol import RunChanged, RunRow


class Step(NamedTuple):
    """One step of an abort: what, and when (ms) it was, or None as long as it has not come."""

    name: str
    at: int | None


@dataclass(slots=True)
class Walk:
    """One run's abort. Times are milliseconds; None is what has not happened, or not here."""

    session_key: str = ""
    sent: int | None = None
    acknowledged: int | None = None
    closed: int | None = None
    ended: int | None = None
    freed: int | None = None
    forced: bool = False
    elsewhere: bool = False
    """Its agent runs elsewhere: the run ended at once, and its agent learns of it with its next call."""

    @property
    def began(self) -> int | None:
        """From when on its times count: when it was sent, or, if that was elsewhere, acknowledged."""
        return self.acknowledged if self.sent is None else self.sent

    @property
    def done(self) -> bool:
        """Whether nothing more will come."""
        if self.elsewhere:
            return self.ended is not None
        return None not in (self.closed, self.ended, self.freed)

    def steps(self) -> list[Step]:
        """Its steps in their order."""
        first = [Step("sent", self.sent), Step("acknowledged", self.acknowledged)]
        if self.elsewhere:
            return first
        return [*first, Step("upstream closed", self.closed), Step("slot freed", self.freed)]


def is_forced(run: RunRow) -> bool:
    """Whether a run's abort was forced: its agent has not confirmed that it stopped."""
    return run.state == "aborted" and run.exit_code != 0


@dataclass(slots=True)
class Walks:
    """The aborts of the runs that are known."""

    by_run: dict[str, Walk] = field(default_factory=dict)
    _by_session: dict[str, str] = field(default_factory=dict)
    """The run whose slot a session's next freeing frees."""

    def send(self, run_id: str, session_key: str, now: int) -> None:
        """This console asks for a run to be aborted; asking again changes nothing."""
        walk = self._walk(run_id, session_key)
        if walk.began is None:
            walk.sent = now

    def take_back(self, run_id: str) -> bool:
        """What was sent was refused; whether there is no abort of the run any more."""
        walk = self.by_run.get(run_id)
        if walk is None or walk.acknowledged is not None:
            return False
        self.forget(run_id)
        return True

    def note(self, event: RunChanged, at: int) -> bool:
        """Follow a run's event; whether it belongs to an abort."""
        run = event.run
        match event.what:
            case "aborting":
                self._walk(run.run_id, run.session_key).acknowledged = at
            case "upstream_closed":
                self._walk(run.run_id, run.session_key).closed = at
            case "ended" if run.state == "aborted":
                walk = self._walk(run.run_id, run.session_key)
                walk.elsewhere = walk.acknowledged is None
                if walk.elsewhere:
                    walk.acknowledged = at
                walk.ended, walk.forced = at, is_forced(run)
            case _:
                return False
        return True

    def freed(self, session_key: str, at: int) -> str | None:
        """A session's slot is free; answers the run whose abort that was the last step of."""
        run_id = self._by_session.pop(session_key, None)
        if run_id is not None:
            self.by_run[run_id].freed = at
        return run_id

    def forget(self, run_id: str) -> None:
        """The run is gone."""
        walk = self.by_run.pop(run_id, None)
        if walk is not None and self._by_session.get(walk.session_key) == run_id:
            del self._by_session[walk.session_key]

    def _walk(self, run_id: str, session_key: str) -> Walk:
        walk = self.by_run.get(run_id)
        if walk is None:
            walk = self.by_run[run_id] = Walk(session_key)
            self._by_session[session_key] = run_id
        return walk
