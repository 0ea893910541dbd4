"""How many requests a token may make."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.server.rate import Bucket


def test_two_seconds_worth_at_once_and_then_evenly() -> None:
    bucket = Bucket(10, 100.0)
    assert [bucket.take(100.0) for _ in range(21)] == [0] * 20 + [100]
    assert bucket.take(100.05) == 50
    assert [bucket.take(100.1), bucket.take(100.1)] == [0, 100]
    assert [bucket.take(500.0) for _ in range(21)] == [0] * 20 + [100], "silence is worth no more than that"


def test_less_than_one_a_second_is_possible() -> None:
    bucket = Bucket(0.1, 0.0)
    assert [bucket.take(0.0), bucket.take(0.0), bucket.take(9.9), bucket.take(10.0)] == [0, 10_000, 100, 0]


@given(
    st.floats(0.01, 1000),
    st.lists(st.floats(0, 10), min_size=1, max_size=200),
)
def test_never_more_than_allowed_and_never_longer_than_told(per_second: float, gaps: list[float]) -> None:
    bucket, now = Bucket(per_second, 0.0), 0.0
    for taken, gap in enumerate(gaps, 1):
        now += gap
        wait = bucket.take(now)
        if wait:
            now += wait / 1000
            assert bucket.take(now) == 0, "who waited as told is let through"
        assert taken <= max(1.0, 2 * per_second) + now * per_second + 0.01
