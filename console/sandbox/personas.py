"""The kinds of people in the sandbox, as a table. Data, and pure functions that say who is who."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from console.sandbox.dice import Dice, Span, spread, weighed
from console.sandbox.words import COUNTRIES, PROJECTS, user_name
from core.protocol import AccessTier

AUTO = "auto"
"""No model named: the session's pin decides, and may escalate."""


class Persona(msgspec.Struct, frozen=True, kw_only=True):
    """How one kind of people behaves. Spans are seconds unless said otherwise; shares are from 0 to 1."""

    name: str
    weight: float
    models: tuple[tuple[str, float], ...]
    access_tier: AccessTier = "full"
    turns: tuple[int, int] = (4, 9)
    """How often somebody asks in one visit."""
    think: Span = (4, 22)
    patience: Span = (120, 420)
    """How long somebody waits in a queue."""
    repeats: float = 0.03
    """Asks the very same again."""
    tools: float = 0.0
    """The answer calls a tool first."""
    words: tuple[int, int] = (40, 130)
    context: tuple[int, int] = (2_000, 12_000)
    """Tokens that go along with the first question."""
    refused: float = 0.01
    breaks_off: float = 0.015
    falls_silent: float = 0.03
    walks_out: float = 0.02
    ends_seat: float = 0.75
    """Gives the seat back; the others just close their laptop."""
    returns: float = 0.15
    """Comes back of their own accord, after `away`; the others are called by the day's arrivals."""
    away: Span = (60, 240)
    banned_after: int = 0
    """An operator bans them in that turn of a visit; 0: never."""
    system: str = ""


PERSONAS: tuple[Persona, ...] = (
    Persona(
        name="engineer",
        weight=0.27,
        models=((AUTO, 0.7), ("robin-5", 0.2), ("falcon-4", 0.1)),
        tools=0.55,
        context=(6_000, 40_000),
        system="You are a coding agent. Use the tools; change as little as possible.",
    ),
    Persona(
        name="analyst",
        weight=0.14,
        models=(("heron-3", 0.55), ("robin-5", 0.2), ("condor-1", 0.25)),
        tools=0.35,
        words=(90, 220),
        context=(10_000, 60_000),
        think=(8, 30),
    ),
    Persona(
        name="writer",
        weight=0.19,
        models=((AUTO, 0.5), ("robin-5", 0.35), ("falcon-4", 0.15)),
        words=(80, 200),
    ),
    Persona(
        name="looper",
        weight=0.09,
        models=((AUTO, 1.0),),
        turns=(7, 14),
        think=(1, 4),
        repeats=0.85,
        words=(20, 60),
        context=(8_000, 30_000),
        ends_seat=0.1,
        returns=0.4,
        away=(30, 150),
    ),
    Persona(
        name="burner",
        weight=0.04,
        models=(("condor-1", 0.7), ("falcon-4", 0.3)),
        turns=(6, 12),
        think=(1, 3),
        repeats=0.5,
        tools=0.3,
        words=(120, 260),
        context=(60_000, 180_000),
        ends_seat=0.1,
        returns=0.5,
        away=(30, 120),
    ),
    Persona(
        name="regular",
        weight=0.08,
        models=(("falcon-4", 0.6), ("condor-1", 0.4)),
        turns=(8, 20),
        think=(3, 12),
        words=(80, 200),
        context=(10_000, 50_000),
        ends_seat=0.15,
        returns=0.9,
        away=(3, 15),
        patience=(300, 600),
    ),
    Persona(
        name="trial",
        weight=0.08,
        models=((AUTO, 1.0),),
        access_tier="limited",
        turns=(2, 5),
        words=(20, 70),
        returns=0.3,
        away=(20, 90),
    ),
    Persona(
        name="hasty",
        weight=0.07,
        models=((AUTO, 0.5), ("heron-3", 0.5)),
        patience=(10, 45),
        walks_out=0.3,
        think=(1, 6),
    ),
    Persona(
        name="spammer",
        weight=0.04,
        models=((AUTO, 1.0),),
        turns=(12, 20),
        think=(0.5, 2),
        repeats=0.6,
        words=(150, 260),
        banned_after=4,
        returns=1.0,
        away=(30, 60),
    ),
)
BY_NAME: dict[str, Persona] = {persona.name: persona for persona in PERSONAS}


class Identity(msgspec.Struct, frozen=True):
    """Who somebody is, for as long as the sandbox lasts."""

    user_id: str
    persona: Persona
    project: str
    country: str
    address: str
    """A hash, as a front end would send it; some people share one."""


def identity(seed: int, number: int, weights: Mapping[str, float]) -> Identity:
    """The person of that number. The kinds lie evenly over the numbers, so that a small cast has all of them."""
    dice = Dice(seed, number, 0)
    start = Dice(seed).roll()
    mix = [(persona, persona.weight * weights.get(persona.name, 1.0)) for persona in PERSONAS]
    return Identity(
        user_id=user_name(number),
        persona=weighed(mix, (spread(number) + start) % 1.0),
        project=dice.pick(PROJECTS),
        country=dice.pick(COUNTRIES),
        address=f"{Dice(seed, number // 3).bits():016x}",
    )
