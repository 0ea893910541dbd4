"""What may happen in a sandbox: named scenarios, and when people come. Data, and one pure function of time."""

from __future__ import annotations

import math

import msgspec

from core.protocol import Health


class Spell(msgspec.Struct, frozen=True, kw_only=True):
    """A model is unwell again and again. Times in seconds; `pause` has the operator hold its queue meanwhile."""

    model: str
    health: Health
    first: float
    every: float
    lasts: float
    pause: bool = False


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of a workload; rates are per person of the cast.

    `arrivals` is a minute's rate outside the peak, which adds `lift` times as many at its height. `opening` is the
    share of people who come in the first `OPENING_SECONDS`. `seats` and `ceiling` are the seats for each person by
    instant admission, and in all.
    """

    about: str
    arrivals: float
    lift: float
    peak_every: float = 1800.0
    """Seconds from one evening to the next."""
    opening: float
    seats: float
    ceiling: float
    quota: float = 1.5
    """Premium units a day; limited callers have two more."""
    mishaps: float = 1.0
    """How much likelier than usual answers stall, break off, are refused or cut off."""
    weights: dict[str, float] = {}
    """How much likelier than usual a persona is."""
    abort_stalled: bool = False
    spells: tuple[Spell, ...] = ()


OPENING_SECONDS = 60.0
_EVENING = 0.6
"""The part of `peak_every` that an evening takes."""

SCENARIOS: dict[str, Scenario] = {
    "calm": Scenario(
        about="an ordinary morning: short queues, few troubles",
        arrivals=0.06,
        lift=0.3,
        opening=0.25,
        seats=0.24,
        ceiling=0.32,
        mishaps=0.6,
        spells=(Spell(model="robin-5", health="unhealthy", first=150, every=1500, lasts=75),),
    ),
    "peak": Scenario(
        about="an evening peak that comes and goes, with all that belongs to it",
        arrivals=0.065,
        lift=1.8,
        opening=0.48,
        seats=0.26,
        ceiling=0.36,
        spells=(
            Spell(model="heron-3", health="unhealthy", first=120, every=1200, lasts=90),
            Spell(model="condor-1", health="degraded", first=420, every=1500, lasts=120),
        ),
    ),
    "runaway": Scenario(
        about="agents that repeat themselves and burn money",
        arrivals=0.06,
        lift=0.8,
        opening=0.40,
        seats=0.28,
        ceiling=0.40,
        weights={"looper": 6.0, "burner": 5.0},
        spells=(Spell(model="robin-5", health="degraded", first=180, every=1800, lasts=60),),
    ),
    "outage": Scenario(
        about="a provider fails: refusals, stalls, paused queues, and a slow recovery",
        arrivals=0.07,
        lift=0.8,
        opening=0.40,
        seats=0.26,
        ceiling=0.36,
        mishaps=2.5,
        abort_stalled=True,
        spells=(
            Spell(model="heron-3", health="unhealthy", first=90, every=1500, lasts=240, pause=True),
            Spell(model="falcon-4", health="unhealthy", first=105, every=1500, lasts=300, pause=True),
            Spell(model="condor-1", health="degraded", first=60, every=900, lasts=150),
        ),
    ),
}
DEFAULT = "peak"


def arrival_rate(scenario: Scenario, users: int, pace: float, seconds: float) -> float:
    """How many of `users` people come per second, so many seconds after the start. `pace` stretches all waits.

    An evening is a bump over the first part of each `peak_every`; the opening comes on top, once.
    """
    phase = seconds / scenario.peak_every % 1.0
    bump = math.sin(math.pi * phase / _EVENING) ** 2 if phase < _EVENING else 0.0
    rate = users / pace * scenario.arrivals / 60.0 * (1.0 + scenario.lift * bump)
    opening = OPENING_SECONDS * min(pace, 10.0)
    return rate + (users * scenario.opening / opening if seconds < opening else 0.0)
