"""A session's slot: the one turn it may serve at a time (behaviours/router.md, decisions 3 and 5). Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from core.protocol import TurnKind


def kind_of(session_key: str) -> TurnKind:
    """What sort of turns a key is for: its prefix decides, once, here.

    >>> kind_of("always-on/x"), kind_of("cron:t"), kind_of("cron/t")
    ('always_on', 'cron', 'user')
    """
    if session_key.startswith("always-on/"):
        return "always_on"
    return "cron" if session_key.startswith("cron:") else "user"


class Turn:
    """One turn in its slot. Only `Slots` changes it, except for `served`, `stopping` and `told`: its user's notes."""

    __slots__ = ("kind", "on_end", "project", "run_id", "served", "session_key", "stop", "stopping", "told")

    def __init__(
        self, session_key: str, run_id: str, project: str | None, stop: Callable[[str], None] | None
    ) -> None:
        self.session_key = session_key
        self.run_id = run_id
        self.project = project
        self.kind = kind_of(session_key)
        self.stop = stop
        self.served = False
        """It has asked for its session: it will not have it rebuilt any more."""
        self.stopping = False
        """It was told to stop."""
        self.told: object = None
        """The session that was told so too; one that comes later has not heard of it."""
        self.on_end: list[Callable[[], None]] = []
        """Called once when the slot is freed."""


class Slots:
    """Who is being served, and in which projects users are. Everything is O(1)."""

    def __init__(self) -> None:
        self._turns: dict[str, Turn] = {}
        self._user_turns: Counter[str | None] = Counter()
        self.begun = 0
        """How many turns ever took a slot."""

    def __len__(self) -> int:
        return len(self._turns)

    def __contains__(self, session_key: str) -> bool:
        return session_key in self._turns

    def get(self, session_key: str) -> Turn | None:
        """The turn in the key's slot."""
        return self._turns.get(session_key)

    def all(self) -> list[Turn]:
        """Every turn there is."""
        return list(self._turns.values())

    def take(self, turn: Turn) -> None:
        """Put the turn into its key's slot, which must be free."""
        self._turns[turn.session_key] = turn
        self.begun += 1
        if turn.kind == "user":
            self._user_turns[turn.project] += 1

    def free(self, turn: Turn) -> None:
        """Take the turn out of the slot, which it must hold."""
        del self._turns[turn.session_key]
        self._uncount(turn)
        for callback in turn.on_end:
            callback()

    def fill_project(self, session_key: str, project: str | None) -> None:
        """The session's project became known: a turn that has none belongs to it from now on."""
        turn = self._turns.get(session_key)
        if turn is not None and turn.project is None and project is not None:
            self._uncount(turn)
            turn.project = project
            if turn.kind == "user":
                self._user_turns[project] += 1

    def has_user(self, project: str | None) -> bool:
        """Whether a user's turn is in flight in the project."""
        return project in self._user_turns

    def _uncount(self, turn: Turn) -> None:
        if turn.kind == "user":
            self._user_turns[turn.project] -= 1
            if not self._user_turns[turn.project]:
                del self._user_turns[turn.project]
