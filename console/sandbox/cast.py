"""The cast: who there is, who is out, and what each of them remembers between two errands."""

from __future__ import annotations

from collections import deque
from typing import Any

import msgspec

from console.sandbox import scripts, words
from console.sandbox.dice import Dice
from console.sandbox.fleet import BY_MODEL, FALLBACK
from console.sandbox.personas import BY_NAME, Identity, identity
from console.sandbox.scenarios import Scenario
from console.sandbox.scripts import Mishap, Visit
from core.agents import AgentRequest
from core.agents.scripted import Script
from core.protocol import Health
from core.store.message import text_of

_STRANGER = BY_NAME["writer"]


class Guest(msgspec.Struct, kw_only=True, eq=False):
    """One person, from their first visit on; times in ms. Only the workload changes it."""

    number: int
    who: Identity
    rolls: int = 0
    visits: int = 0
    visit: Visit | None = None
    instance_id: str | None = None
    asked_at: int = 0
    seat_until: int = 0
    turns: int = 0
    failures: int = 0
    said: str = ""
    conversation: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    """Tools that the last answer called; their results go along with the next request."""
    mishap: Mishap = "none"

    @property
    def session_key(self) -> str:
        """The session of the present visit, as the front door would name it."""
        return f"api:{self.who.user_id}/{self.visit.topic if self.visit else ''}"


class Cast:
    """Everybody by number and by name. Costs what was there so far, not what may come."""

    def __init__(self, seed: int, users: int, scenario: Scenario) -> None:
        self.users = users
        self.health: dict[str, Health] = {}
        """Models that are unwell."""
        self._seed = seed
        self._weights = scenario.weights
        self._met: dict[str, Guest] = {}
        self._out: deque[Guest] = deque()

    def arrive(self) -> Guest | None:
        """Somebody who has not been there, else who has been out longest; None when all are in."""
        number = len(self._met)
        if number < self.users:
            who = identity(self._seed, number, self._weights)
            guest = self._met[who.user_id] = Guest(number=number, who=who)
            return guest
        return self._out.popleft() if self._out else None

    def leave(self, guest: Guest) -> None:
        """They are out, and may be called again."""
        self._out.append(guest)

    def dice(self, guest: Guest) -> Dice:
        """Fresh dice for a decision of theirs; the same at each run of the same seed."""
        guest.rolls += 1
        return Dice(self._seed, guest.number, guest.rolls)

    def plan(self, request: AgentRequest) -> Script:
        """The answer to a request: of somebody of the cast by what is to happen to them, of a stranger at random."""
        make = BY_MODEL.get(request.model, BY_MODEL[FALLBACK])
        health = self.health.get(request.model, "healthy")
        guest = self._met.get(_user_of(request))
        if guest is None or guest.visit is None:
            text = text_of(request.messages[-1].get("content")) if request.messages else ""
            dice = Dice(self._seed, len(request.messages), *text[:200].encode())
            return scripts.answer(
                _STRANGER, dice, make, "none", health=health, context=len(text) // 4 + 1, tools=False
            )
        return scripts.answer(
            guest.who.persona,
            self.dice(guest),
            make,
            guest.mishap,
            health=health,
            context=scripts.context_after(guest.turns, guest.visit.context, make.model.context_tokens),
            tools=not guest.calls and guest.said != words.SPAM,
        )


def _user_of(request: AgentRequest) -> str:
    user = request.body.get("user")
    name = msgspec.json.decode(user) if user is not None else None
    return name if isinstance(name, str) else ""
