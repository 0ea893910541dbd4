"""A run's provider-native session id: written first, remembered after (behaviours/runs.md, decision 7)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

Save = Callable[[str, Callable[[bool], None]], None]
"""Write an id, then say whether it is durable."""


class ProviderId:
    """What one run knows of the provider's name for its session.

    A new value is written once; one that could not be written is tried again when it is heard again, and at the
    latest when the run ends.
    """

    __slots__ = ("_ended", "_save", "_wanted", "_writing", "known")

    def __init__(self, known: str | None, save: Save) -> None:
        self.known = known
        """The last id that is durable."""
        self._save = save
        self._wanted: str | None = None
        self._writing = 0
        self._ended = False

    def hear(self, provider_session_id: str) -> None:
        """The provider named its session; "" says nothing."""
        if not provider_session_id:
            return
        if provider_session_id == self._wanted:
            if not self._writing:
                self._write(provider_session_id)
        elif provider_session_id != self.known or self._wanted is not None:
            self._wanted = provider_session_id
            self._write(provider_session_id)

    def run_ended(self) -> None:
        """The run is over: one last try for what is not written yet."""
        self._ended = True
        if not self._writing:
            self._last_try()

    def _last_try(self) -> None:
        if self._wanted is not None:
            wanted, self._wanted = self._wanted, None
            self._write(wanted)

    def _write(self, wanted: str) -> None:
        self._writing += 1
        self._save(wanted, partial(self._written, wanted))

    def _written(self, wanted: str, durable: bool) -> None:
        self._writing -= 1
        if durable:
            self.known = wanted
            if self._wanted == wanted:
                self._wanted = None
        elif self._ended and not self._writing:
            self._last_try()
