from __future__ import annotations

import pytest

from console import units
from console.times import instant, moment


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (-5, "0s"),
        (999, "0s"),
        (59_999, "59s"),
        (192_000, "3m12s"),
        (7_500_000, "2h05m"),
        (86_400_000 * 4 + 3 * 3_600_000, "4d03h"),
    ],
)
def test_ages(ms: int, text: str) -> None:
    assert units.age(ms) == text


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "$0.0000"),
        (49, "$0.0000"),
        (50, "$0.0001"),
        (12_345, "$0.0123"),
        (12_345_678, "$12.3457"),
        (99_999_999, "$100.0000"),
        (1_234_560_000, "$1,234.56"),
        (-12_345, "-$0.0123"),
    ],
)
def test_money(micros: int, text: str) -> None:
    assert units.money(micros) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (999, "999"), (1_000, "1.0k"), (999_949, "999.9k"), (999_950, "1.0M"), (5 * 10**12, "5.0T")],
)
def test_short_counts(number: int, text: str) -> None:
    assert units.short(number) == text


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0B"), (1023, "1023B"), (1536, "1.5K"), (20 << 20, "20.0M")]
)
def test_sizes(number: int, text: str) -> None:
    assert units.size(number) == text


def test_the_time_of_day() -> None:
    assert units.clock_time("2026-04-17T12:34:56.250Z") == "12:34:56"


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "$0.00"),
        (1, "<$0.01"),
        (4_999, "<$0.01"),
        (5_000, "$0.01"),
        (12_345_678, "$12.35"),
        (1_234_567_890_000, "$1,234,567.89"),
    ],
)
def test_cents(micros: int, text: str) -> None:
    assert units.cents(micros) == text


def test_an_instant_orders_as_the_moment_does_and_a_time_that_cannot_be_read_is_the_first() -> None:
    times = [
        "2026-04-17T12:00:00Z",
        "2026-04-17T12:00:00.250Z",
        "2026-04-17T14:00:01+02:00",
        "2026-04-17T12:00:02Z",
    ]
    assert [round(instant(time) * 1000) for time in times] == [moment(time) for time in times]
    for strange in ("", "yesterday", "2026-04-17T12:00:00"):
        assert (instant(strange), moment(strange)) == (0, 0)
