"""The bound over all buffers together (behaviours/runs.md, decision 3)."""

from __future__ import annotations

from collections import OrderedDict

from core.runs.run import Run


class Budget:
    """Counts the bytes of all logs, and takes the oldest frames when there are too many.

    Ended runs give first, the one that ended earliest before the next; then the running ones, one frame each in
    turn, so that none loses what its followers are about to read while others keep all of theirs.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._running: OrderedDict[str, Run] = OrderedDict()
        self._ended: OrderedDict[str, Run] = OrderedDict()
        self.total = 0
        """The bytes of all logs that were booked."""

    def grew(self, run: Run, delta: int) -> list[Run]:
        """A running run's log changed by `delta` bytes; answers the runs that had to give for it."""
        self.total += delta
        if run.id not in self._running:
            self._running[run.id] = run
        return self._trim() if self.total > self._max_bytes else []

    def ended(self, run: Run) -> None:
        """A run gives before the running ones from now on."""
        self._running.pop(run.id, None)
        self._ended[run.id] = run

    def forget(self, run: Run) -> None:
        """A run is no longer kept."""
        self._running.pop(run.id, None)
        self._ended.pop(run.id, None)
        self.total -= run.log.bytes

    def _trim(self) -> list[Run]:
        gave: dict[str, Run] = {}
        while self.total > self._max_bytes and self._ended:
            run = next(iter(self._ended.values()))
            while run.log.bytes and self.total > self._max_bytes:
                self._take(run, gave)
            if not run.log.bytes:
                run.log.release()
                del self._ended[run.id]
        while self.total > self._max_bytes and self._running:
            run_id, run = self._running.popitem(last=False)
            if run.log.bytes:
                self._take(run, gave)
            if run.log.bytes:
                self._running[run_id] = run
        return list(gave.values())

    def _take(self, run: Run, gave: dict[str, Run]) -> None:
        before = run.log.bytes
        run.log.drop_oldest()
        self.total -= before - run.log.bytes
        gave[run.id] = run
