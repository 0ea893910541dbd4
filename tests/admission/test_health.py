"""Health by the latest reading."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest

from core.admission.health import FleetHealth, Reading, classify, quantile

NOW = 1_000_000


@pytest.mark.parametrize(
    ("reading", "expected"),
    [
        ({}, "healthy"),
        ({"cache_fraction": 0.98}, "unhealthy"),
        ({"cache_fraction": 0.9799}, "degraded"),
        ({"cache_fraction": 0.8}, "degraded"),
        ({"cache_fraction": 0.7999}, "healthy"),
        ({"request_rate": 0.1, "failure_rate": 0.01}, "unhealthy"),
        ({"request_rate": 0.1, "failure_rate": 0.0099}, "healthy"),
        ({"request_rate": 0.05, "failure_rate": 0.05}, "healthy"),
        ({"queue_p90_ms": 500.0}, "healthy"),
        ({"queue_p90_ms": 500.1}, "degraded"),
        ({"queue_p90_ms": 900.0, "cache_fraction": 0.99}, "unhealthy"),
        ({"at": NOW - 180_000}, "healthy"),
        ({"at": NOW - 180_001}, "unhealthy"),
        ({"at": NOW + 180_000}, "healthy"),
        ({"at": NOW + 180_001}, "unhealthy"),  # the clock was set back
    ],
)
def test_the_first_that_holds_counts(reading: dict[str, Any], expected: str) -> None:
    assert classify(Reading(**{"at": NOW, **reading}), NOW) == expected


def test_a_server_that_nobody_asks_is_healthy() -> None:
    assert classify(None, NOW) == "healthy"


@pytest.mark.parametrize(
    ("buckets", "expected"),
    [
        ([], None),
        ([(1.0, 0), (inf, 0)], None),
        ([(100.0, 10), (inf, 10)], 90.0),
        ([(100.0, 5), (200.0, 10), (inf, 10)], 180.0),
        ([(100.0, 5), (200.0, 5), (inf, 10)], 200.0),  # beyond every bound: the last finite one
        ([(100.0, 9), (200.0, 10), (inf, 10)], 100.0),
    ],
)
def test_the_p90_of_a_histogram(buckets: list[tuple[float, float]], expected: float | None) -> None:
    assert quantile(buckets, 0.9) == expected


def test_what_was_set_counts_before_what_was_read() -> None:
    fleet = FleetHealth()
    assert fleet.of("m", NOW) == "healthy"
    fleet.report("m", Reading(at=NOW, cache_fraction=0.9))
    assert fleet.of("m", NOW) == "degraded"
    assert fleet.of("m", NOW + 180_001) == "unhealthy"
    fleet.set("m", "healthy")
    assert fleet.of("m", NOW) == "healthy"


def test_nothing_good_is_known_of_a_server_before_its_first_answer() -> None:
    fleet = FleetHealth(asked=["m"])
    assert [fleet.of(model, NOW) for model in ("m", "nobody-asks")] == ["unhealthy", "healthy"]
    assert [fleet.unknown(model, NOW) for model in ("m", "nobody-asks")] == ["it has not answered yet", ""]
    fleet.report("m", Reading(at=NOW))
    assert (fleet.of("m", NOW), fleet.unknown("m", NOW)) == ("healthy", "")
    assert fleet.unknown("m", NOW + 180_001) == "its latest figures are 180 s old"
    assert fleet.unknown("m", NOW - 180_001) == "its latest figures are of the future"
    fleet.report("m", Reading(at=NOW, said="unhealthy"))
    assert (fleet.of("m", NOW), fleet.unknown("m", NOW)) == ("unhealthy", ""), "it said so itself"


def test_what_was_set_needs_no_answer() -> None:
    fleet = FleetHealth(asked=["m"])
    fleet.set("m", "healthy")
    assert (fleet.of("m", NOW), fleet.unknown("m", NOW)) == ("healthy", "")
