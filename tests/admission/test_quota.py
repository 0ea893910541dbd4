"""Days, units and pools."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.admission.catalog import Catalog
from core.admission.quota import Admit, Day, Meter, Usage, charged_tenths, day_of
from core.clock import parse_timestamp
from core.protocol import AccessTier
from core.settings import Quota
from tests.admission.house import BIG, LIMITED, SMALL, START, admission

MINUTE = 60_000
HOUR = 60 * MINUTE
METER = Meter(Quota(), Catalog(admission()))


@pytest.mark.parametrize(
    ("now", "start", "reset"),
    [
        ("2026-04-17T06:59:59.999Z", "2026-04-16T07:00:00Z", "2026-04-17T07:00:00Z"),
        ("2026-04-17T07:00:00Z", "2026-04-17T07:00:00Z", "2026-04-18T07:00:00Z"),
        ("2026-03-08T09:00:00Z", "2026-03-08T08:00:00Z", "2026-03-09T07:00:00Z"),
        ("2026-11-01T09:00:00Z", "2026-11-01T07:00:00Z", "2026-11-02T08:00:00Z"),
        ("2026-12-31T20:00:00Z", "2026-12-31T08:00:00Z", "2027-01-01T08:00:00Z"),
    ],
)
def test_the_day_in_california(now: str, start: str, reset: str) -> None:
    day = day_of(parse_timestamp(now), ZoneInfo("America/Los_Angeles"))
    assert day == Day(parse_timestamp(start), parse_timestamp(reset))


@given(
    st.integers(0, 1_900_000_000_000),
    st.sampled_from(["America/Havana", "Pacific/Apia", "America/Sao_Paulo", "Asia/Kolkata", "UTC"]),
)
def test_now_lies_in_its_day(now: int, zone: str) -> None:
    day = day_of(now, ZoneInfo(zone))
    assert day.start <= now < day.reset
    assert day_of(day.start, ZoneInfo(zone)).reset == day.reset


@pytest.mark.parametrize(
    ("elapsed", "tenths"),
    [
        (0, 1),
        (1, 1),
        (6 * MINUTE, 1),
        (6 * MINUTE + 1, 2),
        (14 * MINUTE, 3),
        (30 * MINUTE, 5),
        (54 * MINUTE, 9),
        (54 * MINUTE + 1, 10),
        (HOUR - 1, 10),
        (-5, 1),  # a clock that went back
    ],
)
def test_an_early_end_costs_tenths(elapsed: int, tenths: int) -> None:
    assert charged_tenths(START, START + HOUR, START + elapsed) == tenths


@given(st.integers(1, 10**9), st.integers(0, 2 * 10**9))
def test_units_are_the_elapsed_share_rounded_up(length: int, elapsed: int) -> None:
    share = Fraction(min(elapsed, length), length)
    assert charged_tenths(START, START + length, START + elapsed) == max(1, ceil(share * 10))


@pytest.mark.parametrize(
    ("limit", "used", "spent"), [(5, 49, False), (5, 50, True), (0, 0, True), (0.3, 2, False), (0.3, 3, True)]
)
def test_a_pool_is_spent_at_its_limit(limit: float, used: int, spent: bool) -> None:
    meter = Meter(Quota(full=limit), Catalog(admission()))
    assert meter.spent("full", used) is spent


def admit(entry: int, model: str, tier: AccessTier = "full", *, at: int = START, tenths: int = 10) -> Admit:
    return Admit(id=entry, user_id="u", model=model, access_tier=tier, admitted_at=at, tenths=tenths)


def test_usage_counts_what_is_metered_for_its_tier() -> None:
    usage = Usage(METER, START)
    for number, (model, tier) in enumerate([(BIG, "full"), (SMALL, "full"), (LIMITED, "full")]):
        usage.book(admit(number, model, tier))  # type: ignore[arg-type]
    usage.book(admit(9, LIMITED, "limited"))
    assert usage.used("u", "full", START) == 10
    assert usage.used("u", "limited", START) == 10
    assert usage.used("somebody", "full", START) == 0


def test_a_new_price_replaces_the_old_one() -> None:
    usage = Usage(METER, START)
    usage.book(admit(1, BIG))
    usage.book(admit(1, BIG, tenths=3))
    usage.book(admit(2, BIG))
    assert usage.used("u", "full", START) == 13


def test_the_next_day_starts_at_nothing() -> None:
    usage = Usage(METER, START)
    usage.book(admit(1, BIG))
    reset = usage.day(START).reset
    assert usage.used("u", "full", reset - 1) == 10
    assert usage.used("u", "full", reset) == 0
    usage.book(admit(2, BIG, at=reset - 1))  # of yesterday
    assert usage.used("u", "full", reset) == 0


def test_a_clock_that_is_set_back_over_midnight_finds_yesterday_as_it_was() -> None:
    usage = Usage(METER, START)
    reset = usage.day(START).reset
    usage.book(admit(1, BIG, at=reset - 1))
    usage.book(admit(2, BIG, at=reset))
    usage.book(admit(3, BIG, at=reset + 1, tenths=4))
    assert usage.used("u", "full", reset) == 14
    assert usage.used("u", "full", reset - 1) == 10
    usage.book(admit(1, BIG, at=reset - 1, tenths=1))
    assert usage.used("u", "full", reset) == 14
    assert usage.used("u", "full", reset - 1) == 1


def test_days_long_past_are_forgotten() -> None:
    usage = Usage(METER, START)
    for day in range(400):
        usage.book(admit(day, BIG, at=START + 24 * HOUR * day))
    assert len(usage._days) <= 3
    assert usage.used("u", "full", START + 24 * HOUR * 399) == 10
    assert usage.used("u", "full", START) == 0


def test_yesterday_is_remembered_however_long_it_was() -> None:
    """The clocks go forward on 8 March and back on 1 November."""
    for now, since in (
        ("2026-03-09T07:00:00Z", "2026-03-08T08:00:00Z"),
        ("2026-11-02T08:00:00Z", "2026-11-01T07:00:00Z"),
        ("2026-04-17T12:00:00Z", "2026-04-16T07:00:00Z"),
    ):
        assert METER.since(parse_timestamp(now)) == parse_timestamp(since)
