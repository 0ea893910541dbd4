"""The reconciler's service: looks at start and then periodically, tells what does not fit, releases what is dead.

A contradiction of one moment is told at once and touched only if it is still there, unchanged, `PATIENCE_SECONDS`
later: whoever is at work on it has long been done by then. Each release is audited.
"""

from __future__ import annotations

import logging
from typing import Literal

from core.clock import Clock, timestamp
from core.journal import Journal
from core.protocol import FindingChanged, FindingKind, FindingRow, Noticed
from core.reconciler.inventory import Inventory
from core.reconciler.releases import Releases
from core.reconciler.rules import Suspect, contradictions

EVERY_SECONDS = 30.0
PATIENCE_SECONDS = 30.0

Told = Literal["found", "released", "kept", "gone"]

_log = logging.getLogger(__name__)


class _Known:
    """A finding that was told, since when (monotonic seconds) it is proven dead, and why it could not be released."""

    __slots__ = ("dead_since", "failed", "row")

    def __init__(self, row: FindingRow) -> None:
        self.row = row
        self.dead_since: float | None = None
        self.failed = ""


class Reconciler:
    """Holds the parts of a core against each other."""

    def __init__(self, inventory: Inventory, releases: Releases, *, journal: Journal, clock: Clock) -> None:
        self._inventory = inventory
        self._releases = releases
        self._journal = journal
        self._clock = clock
        self._known: dict[tuple[FindingKind, str], _Known] = {}

    def rows(self) -> list[FindingRow]:
        """What does not fit, as it was told last, oldest first."""
        return [known.row for known in self._known.values()]

    async def run(self) -> None:
        """Look at once, then every `EVERY_SECONDS`, until it is cancelled; a look that fails is told and survived."""
        while True:
            try:
                await self.look()
            except Exception as error:
                _log.exception("the reconciler could not look")
                self._journal.append(
                    Noticed(
                        level="error",
                        code="reconciler_failed",
                        message=f"the reconciler could not look ({error}); it tries again",
                    )
                )
            await self._clock.sleep(EVERY_SECONDS)

    async def look(self) -> list[FindingRow]:
        """Hold everything against everything once; answers what does not fit and was not released.

        Raises StorageFailed when the database cannot be read.
        """
        held = await self._inventory.take(self._clock.now() - round(PATIENCE_SECONDS * 1000))
        suspects = {(each.kind, each.key): each for each in contradictions(held)}
        for place in [place for place in self._known if place not in suspects]:
            self._tell("gone", self._known.pop(place).row)
        for place, suspect in suspects.items():
            self._note(place, suspect)
        for place, suspect in suspects.items():
            known = self._known[place]
            if (
                known.dead_since is not None
                and self._clock.monotonic() - known.dead_since >= PATIENCE_SECONDS
            ):
                await self._settle(place, suspect, known)
        return self.rows()

    def _note(self, place: tuple[FindingKind, str], suspect: Suspect) -> None:
        known = self._known.get(place)
        row = FindingRow(
            kind=suspect.kind,
            key=suspect.key,
            session_key=suspect.session_key,
            user_id=suspect.user_id,
            since=timestamp(self._clock.now()) if known is None else known.row.since,
            evidence=suspect.evidence,
            proven=suspect.proven,
        )
        if known is None:
            known = self._known[place] = _Known(row)
            self._tell("found", row)
        elif known.row != row:
            known.row = row
            self._tell("found", row)
        if not suspect.proven:
            known.dead_since = None
        elif known.dead_since is None:
            known.dead_since = self._clock.monotonic()

    async def _settle(self, place: tuple[FindingKind, str], suspect: Suspect, known: _Known) -> None:
        """Release what is dead; what cannot be released stays, and that is told once."""
        done, problem = "", "somebody still holds it"
        try:
            done = await self._releases.release(suspect)
        except Exception as error:
            _log.exception("%s %s could not be released", suspect.kind, suspect.key)
            problem = f"it could not be released: {error}"
        if done:
            self._known.pop(place, None)
            self._tell("released", known.row, done)
        elif known.failed != problem:
            known.failed = problem
            self._tell("kept", known.row, problem)

    def _tell(self, what: Told, finding: FindingRow, message: str = "") -> None:
        self._journal.append(FindingChanged(what=what, finding=finding, message=message))
