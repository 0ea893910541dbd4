"""The pin: which model and tier a session stays on, and when it deserves a higher one. Pure.

Times are milliseconds since 1970. Every rule answers a new value. behaviours/pins.md, decisions 1 to 7.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from core.protocol import Tier

TIERS: tuple[Tier, ...] = ("SIMPLE", "MEDIUM", "COMPLEX", "REASONING")
"""The ladder, from the bottom up."""

_RANKS: dict[str, int] = {tier: rank for rank, tier in enumerate(TIERS)}
_TOP = TIERS[-1]

Change = Literal["pinned", "touched", "struck", "forgiven", "escalated", "released", "reset"]
"""What the journal calls a change of a pin."""

MayUse = Callable[[str], bool]
"""Whether the user may use a model, by its id, without a new admission."""


class Pin(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is remembered of a session. `run` counts equal requests in a row, `last_hash` is theirs ('' for none)."""

    session_key: str
    model: str
    tier: Tier
    explicit: bool = False
    escalated: bool = False
    last_hash: str = ""
    run: int = 0
    request_count: int = 1
    created_at: int
    last_used_at: int

    @property
    def strikes(self) -> int:
        """How many requests in a row were equal to the one before."""
        return max(0, self.run - 1)


class Recorded(msgspec.Struct, frozen=True):
    """What counting a request found; `escalate` says that a higher tier is due."""

    strikes: int
    run: int
    escalate: bool


NOT_RECORDED = Recorded(strikes=0, run=0, escalate=False)
"""The answer for a session without a pin."""


class Escalated(msgspec.Struct, frozen=True):
    """What an escalation did, and the tier and model afterwards (None without a pin)."""

    changed: bool
    tier: Tier | None
    model: str | None


class Ladder(msgspec.Struct, frozen=True):
    """The configured models with their tiers, in the order of the settings."""

    tiers: dict[str, Tier]

    def tier_of(self, model: str) -> Tier:
        """A model's tier; one that is not configured is MEDIUM (decision 7)."""
        return self.tiers.get(model, "MEDIUM")

    def first(self, tier: Tier, may_use: MayUse) -> str | None:
        """The first model of a tier that the user may use."""
        return next((model for model, its in self.tiers.items() if its == tier and may_use(model)), None)

    def above(self, tier: Tier, may_use: MayUse) -> tuple[Tier, str] | None:
        """The next tier up with its model; None at the top, and where the next tier has no usable model."""
        if tier == _TOP:
            return None
        above = TIERS[rank(tier) + 1]
        model = self.first(above, may_use)
        return None if model is None else (above, model)


def rank(tier: str | None) -> int:
    """0 to 3; a tier that is unknown or missing ranks as MEDIUM (decision 7)."""
    return _RANKS.get(tier or "", 1)


def tier_named(name: str) -> Tier:
    """The tier of that name; an unknown one is MEDIUM (decision 7)."""
    return TIERS[rank(name)]


def alive(pin: Pin, now: int, idle_ms: int) -> bool:
    """Whether the pin still counts: exactly the idle time is alive, a millisecond more is not (decision 1)."""
    return now - pin.last_used_at <= idle_ms


def pinned(
    pin: Pin | None,
    session_key: str,
    model: str,
    *,
    tier: str | None,
    explicit: bool,
    ladder: Ladder,
    now: int,
) -> Pin:
    """The session stays on `model`; `pin` is the living one, if any (decision 6).

    Without a `tier` the model's counts. Somebody's explicit choice keeps the tier that was, and its flag sticks;
    an automatic one gives way to it, keeps the tier with the model, and never lowers an escalated session.
    """
    wanted = tier_named(tier) if tier else ladder.tier_of(model)
    if pin is None:
        return Pin(
            session_key=session_key,
            model=model,
            tier=wanted,
            explicit=explicit,
            created_at=now,
            last_used_at=now,
        )
    used = touched(pin, now)
    if explicit:
        return msgspec.structs.replace(used, model=model, explicit=True)
    if pin.explicit or pin.model == model:
        return used
    if pin.escalated and rank(wanted) < rank(pin.tier):
        wanted = pin.tier
    return msgspec.structs.replace(used, model=model, tier=wanted)


def touched(pin: Pin, now: int) -> Pin:
    """One request more; the idle time begins anew."""
    return msgspec.structs.replace(pin, request_count=pin.request_count + 1, last_used_at=now)


def recorded(pin: Pin, fingerprint: str, repeat_limit: int) -> tuple[Pin, Recorded]:
    """Count a request: an equal one strikes, another forgives; the idle time runs on (decision 4)."""
    run = pin.run + 1 if pin.run and pin.last_hash == fingerprint else 1
    after = msgspec.structs.replace(pin, last_hash=fingerprint, run=run)
    due = run >= repeat_limit and not pin.explicit and pin.tier != _TOP
    return after, Recorded(strikes=after.strikes, run=run, escalate=due)


def escalated(pin: Pin, ladder: Ladder, may_use: MayUse) -> tuple[Pin, Escalated]:
    """One tier up, with that tier's model, and a clean slate (decision 5).

    Nothing changes, strikes included, for an explicit choice, at the top, and without a usable model there.
    """
    step = None if pin.explicit else ladder.above(pin.tier, may_use)
    if step is None:
        return pin, Escalated(changed=False, tier=pin.tier, model=pin.model)
    tier, model = step
    return lifted(pin, tier, model), Escalated(changed=True, tier=tier, model=model)


def lifted(pin: Pin, tier: Tier, model: str) -> Pin:
    """The pin after an escalation to that tier and model."""
    return msgspec.structs.replace(pin, tier=tier, model=model, escalated=True, run=0, last_hash="")


def overridden(pin: Pin | None, session_key: str, model: str, *, ladder: Ladder, now: int) -> Pin:
    """An operator's choice: explicit like a user's own, and no request of theirs (decision 6)."""
    if pin is None:
        after = pinned(None, session_key, model, tier=None, explicit=True, ladder=ladder, now=now)
        return msgspec.structs.replace(after, request_count=0)
    return msgspec.structs.replace(pin, model=model, explicit=True)


def released(pin: Pin, ladder: Ladder) -> Pin:
    """An explicit choice is taken back; the tier rises to the model's, if that is higher (decision 6)."""
    if not pin.explicit:
        return pin
    tier = max(pin.tier, ladder.tier_of(pin.model), key=rank)
    return msgspec.structs.replace(pin, explicit=False, tier=tier)


def forgiven(pin: Pin) -> Pin:
    """Strikes and window are forgotten."""
    return msgspec.structs.replace(pin, run=0, last_hash="")


def recording_change(before: Pin, after: Pin) -> Change:
    """What the journal calls a recorded request."""
    if after.strikes:
        return "struck"
    return "forgiven" if before.strikes else "touched"


def pinning_change(before: Pin | None, after: Pin) -> Change:
    """What the journal calls a pin that was set: a mere use when nothing else changed."""
    if before is None or (before.model, before.tier, before.explicit) != (
        after.model,
        after.tier,
        after.explicit,
    ):
        return "pinned"
    return "touched"
