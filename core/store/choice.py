"""The choice of a turn's model: foreseen when the turn begins, counted when its first output comes. Pure.

behaviours/pins.md, decisions 4 to 6. An attempt that brings no output is never counted, so that a client's retries
do not strike.
"""

from __future__ import annotations

import msgspec

from core.protocol import Tier
from core.store.pin import (
    Change,
    Ladder,
    MayUse,
    Pin,
    escalated,
    lifted,
    pinned,
    pinning_change,
    rank,
    recorded,
    recording_change,
    touched,
)


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """The model that serves a turn, and why: named by the client (`explicit`), or by the pin.

    `escalates` says that the turn's request is one repetition too many: `model` and `tier` are then the higher ones.
    """

    session_key: str
    model: str
    tier: Tier
    explicit: bool
    fingerprint: str
    escalates: bool


def chosen(
    pin: Pin | None,
    session_key: str,
    requested: str | None,
    fingerprint: str,
    *,
    fallback: str,
    ladder: Ladder,
    may_use: MayUse,
    repeat_limit: int,
) -> Choice:
    """What a request would get; `pin` is the living one, `requested` None leaves it to the pin, else to `fallback`."""

    def choice(model: str, tier: Tier, *, explicit: bool = False, escalates: bool = False) -> Choice:
        return Choice(
            session_key=session_key,
            model=model,
            tier=tier,
            explicit=explicit,
            fingerprint=fingerprint,
            escalates=escalates,
        )

    if requested is not None:
        return choice(requested, ladder.tier_of(requested), explicit=True)
    if pin is None:
        return choice(fallback, ladder.tier_of(fallback))
    after, record = recorded(pin, fingerprint, repeat_limit)
    if record.escalate:
        after, step = escalated(after, ladder, may_use)
        return choice(after.model, after.tier, escalates=step.changed)
    return choice(pin.model, pin.tier)


def counted(
    pin: Pin | None, choice: Choice, *, ladder: Ladder, repeat_limit: int, now: int
) -> tuple[Pin, Change]:
    """The pin once the choice has brought output, with the journal's word for the change.

    The pin may have changed since the choice was made: the strikes may have been reset, or another model chosen.
    It then escalates only if that is still due, and else stays with the model that answered, as any pin would.
    """
    if choice.escalates and pin is not None and rank(choice.tier) > rank(pin.tier):
        after, record = recorded(touched(pin, now), choice.fingerprint, repeat_limit)
        if record.escalate:
            return lifted(after, choice.tier, choice.model), "escalated"
    set_pin = pinned(
        pin,
        choice.session_key,
        choice.model,
        tier=choice.tier,
        explicit=choice.explicit,
        ladder=ladder,
        now=now,
    )
    after, record = recorded(set_pin, choice.fingerprint, repeat_limit)
    change = pinning_change(pin, set_pin)
    if record.strikes or change == "touched":
        change = recording_change(set_pin, after)
    return after, change
