"""Models, who may use which, and their hours."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.admission.catalog import Catalog, DailyTime, OpeningHours
from core.clock import parse_timestamp, timestamp
from core.protocol import AccessTier
from core.settings import Hours
from tests.admission.house import BIG, LIMITED, MODELS, OFFICE, SMALL, admission

CATALOG = Catalog(admission())
ACROSS = Hours(open="09:00 America/New_York", close="17:00 America/Los_Angeles")
NIGHT = Hours(open="22:00 Europe/Berlin", close="06:00 Europe/Berlin")


@pytest.mark.parametrize(
    ("asked", "tier", "resolved"),
    [
        (SMALL, "full", SMALL),
        (BIG, "full", BIG),
        (LIMITED, "full", LIMITED),
        ("x/y", "full", SMALL),
        ("", "full", SMALL),
        (LIMITED, "limited", LIMITED),
        (BIG, "limited", LIMITED),
        ("x/y", "limited", LIMITED),
        ("", "limited", LIMITED),
    ],
)
def test_what_is_asked_becomes_a_model(asked: str, tier: AccessTier, resolved: str) -> None:
    assert CATALOG.resolve(asked, tier) == resolved


def test_without_a_fallback_an_unknown_model_is_none() -> None:
    catalog = Catalog(admission(fallback_model="", limited_model=""))
    assert catalog.resolve("x/y", "full") is None
    assert catalog.resolve(SMALL, "limited") is None
    assert catalog.resolve(LIMITED, "limited") == LIMITED


@pytest.mark.parametrize(
    ("model", "seat_tier", "tier", "fits"),
    [
        (LIMITED, "limited", "limited", True),
        (LIMITED, "limited", "full", True),
        (LIMITED, "full", "full", True),
        (LIMITED, "full", "limited", False),
        (SMALL, "full", "full", True),
        (SMALL, "limited", "limited", False),
        ("no more", "full", "full", False),
        ("no more", "limited", "limited", False),
    ],
)
def test_a_seat_fits_a_caller(model: str, seat_tier: AccessTier, tier: AccessTier, fits: bool) -> None:
    assert CATALOG.fits(model, seat_tier, tier) is fits


@pytest.mark.parametrize(
    ("seat_model", "model", "tier", "usable"),
    [
        (SMALL, SMALL, "full", True),
        (SMALL, BIG, "full", False),
        (SMALL, "someone/subagent", "full", True),
        (BIG, SMALL, "full", True),  # a companion
        (BIG, LIMITED, "full", True),
        (BIG, OFFICE, "full", False),
        (LIMITED, LIMITED, "limited", True),
        (LIMITED, SMALL, "limited", False),  # a companion, but not one for limited callers
        (LIMITED, "someone/subagent", "limited", True),
        ("no more", SMALL, "full", False),
    ],
)
def test_what_a_seat_lets_use(seat_model: str, model: str, tier: AccessTier, usable: bool) -> None:
    companions = {BIG: [SMALL, LIMITED], LIMITED: [SMALL]}
    catalog = Catalog(
        admission(models=[{**model, "companions": companions.get(model["id"], [])} for model in MODELS])
    )
    assert catalog.usable(seat_model, model, tier) is usable


def test_pools() -> None:
    assert CATALOG.pool("full") == (BIG,)
    assert CATALOG.pool("limited") == (LIMITED,)
    assert not CATALOG.metered(LIMITED, "full")
    assert not CATALOG.metered(SMALL, "full")
    assert CATALOG.metered(LIMITED, "limited")


@pytest.mark.parametrize(
    ("instant", "ceiling", "expected"), [(0, 0, 0), (0, 5, 0), (3, 0, 3), (3, 5, 3), (9, 5, 5)]
)
def test_the_smaller_capacity_counts(instant: int, ceiling: int, expected: int) -> None:
    catalog = Catalog(admission(each={"instant_admit_capacity": instant, "max_active": ceiling}))
    assert catalog.instant_ceiling(SMALL) == expected
    assert catalog.max_active(SMALL) == (ceiling or None)
    assert catalog.instant_ceiling("no more") == 0


@pytest.mark.parametrize(
    ("now", "is_open"),
    [
        ("2026-01-05T13:59:59.999Z", False),
        ("2026-01-05T14:00:00Z", True),
        ("2026-01-06T00:59:59.999Z", True),
        ("2026-01-06T01:00:00Z", False),
        ("2026-01-10T20:00:00Z", True),  # a Saturday
        ("2026-04-17T12:59:59.999Z", False),
        ("2026-04-17T13:00:00Z", True),
        ("2026-04-17T23:59:59.999Z", True),
        ("2026-04-18T00:00:00Z", False),
        # the day on which both zones spring forward, New York first
        ("2026-03-08T12:59:59.999Z", False),
        ("2026-03-08T13:00:00Z", True),
        ("2026-03-09T00:00:00Z", False),
        # and back
        ("2026-11-01T13:59:59.999Z", False),
        ("2026-11-01T14:00:00Z", True),
        ("2026-11-02T00:59:59.999Z", True),
        ("2026-11-02T01:00:00Z", False),
    ],
)
def test_hours_of_two_zones(now: str, is_open: bool) -> None:
    assert OpeningHours.of(ACROSS).is_open(parse_timestamp(now)) is is_open


@pytest.mark.parametrize(
    ("now", "is_open"),
    [
        ("2026-06-30T19:59:59.999Z", False),
        ("2026-06-30T20:00:00Z", True),
        ("2026-07-01T00:00:00Z", True),
        ("2026-07-01T03:59:59.999Z", True),
        ("2026-07-01T04:00:00Z", False),
    ],
)
def test_hours_over_midnight(now: str, is_open: bool) -> None:
    assert OpeningHours.of(NIGHT).is_open(parse_timestamp(now)) is is_open


def test_a_tie_is_open() -> None:
    hours = OpeningHours.of(Hours(open="09:00 America/New_York", close="13:00 UTC"))
    at = parse_timestamp("2026-04-17T13:00:00Z")
    assert [hours.is_open(at - 1), hours.is_open(at)] == [True, True]


@pytest.mark.parametrize(
    ("text", "now", "latest"),
    [
        # skipped: 02:30 does not exist on that day, and counts at the offset before the change
        ("02:30 America/New_York", "2026-03-08T07:29:59Z", "2026-03-07T07:30:00Z"),
        ("02:30 America/New_York", "2026-03-08T07:30:00Z", "2026-03-08T07:30:00Z"),
        # repeated: 01:30 comes twice, and the first counts
        ("01:30 America/New_York", "2026-11-01T05:29:59Z", "2026-10-31T05:30:00Z"),
        ("01:30 America/New_York", "2026-11-01T05:30:00Z", "2026-11-01T05:30:00Z"),
        ("01:30 America/New_York", "2026-11-01T06:30:00Z", "2026-11-01T05:30:00Z"),
        # the day that Samoa left out
        ("12:00 Pacific/Apia", "2011-12-30T12:00:00Z", "2011-12-29T22:00:00Z"),
    ],
)
def test_a_local_time_counts_once(text: str, now: str, latest: str) -> None:
    assert timestamp(DailyTime.parse(text).latest(parse_timestamp(now))) == latest


@given(
    st.integers(0, 1_900_000_000_000),
    st.integers(0, 1439),
    st.sampled_from(["America/Havana", "Asia/Kolkata"]),
)
def test_the_latest_instant_is_at_most_a_day_ago(now: int, minutes: int, zone: str) -> None:
    latest = DailyTime(minutes, ZoneInfo(zone)).latest(now)
    assert latest <= now < latest + 25 * 3_600_000


def test_the_label_is_what_was_configured() -> None:
    assert CATALOG.hours_label(OFFICE) == "09:00 America/New_York – 17:00 America/Los_Angeles"
    assert CATALOG.hours_label(SMALL) == ""
    assert CATALOG.is_open(SMALL, 0)
    assert not CATALOG.is_open("no more", 0)
