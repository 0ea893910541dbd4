"""The models of the sandbox, its settings, and how they grow with the number of people. Data and pure functions."""

from __future__ import annotations

import math

import msgspec

from console.sandbox.scenarios import Scenario
from core.settings import Admission, Journal, Model, Pins, Quota, Router, Runs, Settings
from core.settings import Server as ServerSettings

BRISK = 200
"""Up to so many people live at their own pace; more of them take their time, so that the work stays the same."""

_SESSION_SECONDS = 150.0
_TICK_SECONDS = 5.0


class Make(msgspec.Struct, frozen=True, kw_only=True):
    """A model, who serves it, its share of the house's seats, and how fast it speaks."""

    model: Model
    provider: str
    seats: float
    every: float
    """Seconds between two chunks."""
    first: tuple[float, float]
    """Seconds before the first one."""


FALLBACK = "wren-2"
MAKES: tuple[Make, ...] = (
    Make(
        model=Model(
            id=FALLBACK,
            name="Wren 2",
            tier="SIMPLE",
            limited=True,
            companions=["robin-5", "heron-3"],
            context_tokens=64_000,
            input_usd_per_million=0.25,
            output_usd_per_million=1.25,
            cached_usd_per_million=0.03,
        ),
        provider="northwind",
        seats=0.49,
        every=1.2,
        first=(0.2, 0.8),
    ),
    Make(
        model=Model(
            id="robin-5",
            name="Robin 5",
            tier="MEDIUM",
            context_tokens=128_000,
            input_usd_per_million=1.0,
            output_usd_per_million=5.0,
            cached_usd_per_million=0.1,
        ),
        provider="northwind",
        seats=0.17,
        every=1.5,
        first=(0.4, 1.2),
    ),
    Make(
        model=Model(
            id="heron-3",
            name="Heron 3",
            tier="COMPLEX",
            context_tokens=200_000,
            input_usd_per_million=3.0,
            output_usd_per_million=15.0,
            cached_usd_per_million=0.3,
        ),
        provider="lighthouse",
        seats=0.12,
        every=1.8,
        first=(0.6, 2.0),
    ),
    Make(
        model=Model(
            id="falcon-4",
            name="Falcon 4",
            tier="COMPLEX",
            premium=True,
            companions=[FALLBACK],
            context_tokens=400_000,
            input_usd_per_million=6.0,
            output_usd_per_million=30.0,
            cached_usd_per_million=0.6,
        ),
        provider="lighthouse",
        seats=0.13,
        every=1.8,
        first=(0.6, 2.0),
    ),
    Make(
        model=Model(
            id="condor-1",
            name="Condor 1",
            tier="REASONING",
            premium=True,
            companions=[FALLBACK],
            context_tokens=400_000,
            input_usd_per_million=15.0,
            output_usd_per_million=75.0,
            cached_usd_per_million=1.5,
        ),
        provider="highland",
        seats=0.09,
        every=2.5,
        first=(1.5, 5.0),
    ),
)
PROVIDERS: dict[str, list[str]] = {
    provider: [make.model.id for make in MAKES if make.provider == provider]
    for provider in dict.fromkeys(make.provider for make in MAKES)
}
BY_MODEL: dict[str, Make] = {make.model.id: make for make in MAKES}


def leisure(users: int) -> float:
    """How many times longer people take for everything when there are so many of them; 1 for up to `BRISK`."""
    return max(1.0, users / BRISK)


def settings_for(scenario: Scenario, users: int, server: ServerSettings | None = None) -> Settings:
    """A core's settings with seats, spans and bounds that make the scenario's life for so many people."""
    slow = leisure(users)
    flow = users * scenario.ceiling / (_SESSION_SECONDS * slow)
    return Settings(
        server=server or ServerSettings(),
        journal=Journal(events=10_000, bytes=1024 * 1024),
        admission=Admission(
            models=[_with_seats(make, scenario, users) for make in MAKES],
            fallback_model=FALLBACK,
            limited_model=FALLBACK,
            session_seconds=_SESSION_SECONDS * slow,
            grace_seconds=15 * slow,
            tick_seconds=_TICK_SECONDS,
            admits_per_tick=max(1, math.ceil(flow * _TICK_SECONDS / len(MAKES))),
            abandon_seconds=300 * slow,
            quota=Quota(zone="UTC", full=scenario.quota, limited=scenario.quota + 2),
        ),
        router=Router(idle_seconds=240 * slow, sweep_seconds=15),
        pins=Pins(idle_seconds=600 * slow),
        runs=Runs(
            buffer_events=400,
            buffer_bytes=128 * 1024,
            total_bytes=24 * 1024 * 1024,
            retention_seconds=45,
            stall_seconds=20,
            abort_seconds=5,
            abort_stalled=scenario.abort_stalled,
        ),
    )


def _with_seats(make: Make, scenario: Scenario, users: int) -> Model:
    return msgspec.structs.replace(
        make.model,
        instant_admit_capacity=max(1, round(users * scenario.seats * make.seats)),
        max_active=max(2, round(users * scenario.ceiling * make.seats)),
    )
