"""The clock that tests drive, and times as the wire writes them."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import ManualClock, ScaledClock, SystemClock, parse_timestamp, spoken, timestamp


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_776_427_200_000, "2026-04-17T12:00:00Z"),
        (1_776_427_200_007, "2026-04-17T12:00:00.007Z"),
        (1_776_427_200_250, "2026-04-17T12:00:00.250Z"),
    ],
)
def test_times_on_the_wire(ms: int, text: str) -> None:
    assert timestamp(ms) == text
    assert parse_timestamp(text) == ms


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.44, "0.4 s"),
        (9, "9 s"),
        (9.97, "10 s"),
        (119.4, "119 s"),
        (120, "2 min"),
        (1740, "29 min"),
        (3599, "1 h"),
        (23_980, "6 h 40 min"),
        (47.9 * 3600, "47 h 54 min"),
        (48 * 3600, "2 d"),
        (76 * 3600, "3 d 4 h"),
    ],
)
def test_spans_of_time_for_people(seconds: float, text: str) -> None:
    assert spoken(seconds) == text


@given(st.integers(0, 253_402_300_799_999))
def test_a_time_survives_the_wire(ms: int) -> None:
    assert parse_timestamp(timestamp(ms)) == ms


@pytest.mark.parametrize("text", ["", "yesterday", "2026-04-17T12:00:00", "2026-13-01T00:00:00Z"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_timestamp(text)


def test_timers_fire_in_order_at_their_own_time() -> None:
    clock = ManualClock(at=1000)
    fired: list[tuple[str, int]] = []
    clock.call_later(2, lambda: fired.append(("second", clock.now())))
    clock.call_later(1, lambda: fired.append(("first", clock.now())))
    cancelled = clock.call_later(1.5, lambda: fired.append(("never", clock.now())))
    cancelled.cancel()
    clock.call_later(3, lambda: fired.append(("later", clock.now())))
    clock.advance(2.5)
    assert fired == [("first", 2000), ("second", 3000)]
    assert clock.now() == 3500
    assert clock.monotonic() == 2.5


def test_a_timer_may_set_another_that_falls_due_meanwhile() -> None:
    clock = ManualClock()
    fired: list[int] = []

    def again() -> None:
        fired.append(clock.now())
        clock.call_later(1, again)

    clock.call_later(1, again)
    clock.advance(3.5)
    assert fired == [1000, 2000, 3000]


async def test_sleepers_wake_one_after_the_other() -> None:
    clock = ManualClock()
    woken: list[tuple[str, int]] = []

    async def sleeper(name: str, seconds: float) -> None:
        for _ in range(2):
            await clock.sleep(seconds)
            woken.append((name, clock.now()))

    tasks = [asyncio.create_task(sleeper("a", 2)), asyncio.create_task(sleeper("b", 3))]
    await clock.settle(10)
    await asyncio.gather(*tasks)
    assert woken == [("a", 2000), ("b", 3000), ("a", 4000), ("b", 6000)]
    assert clock.now() == 10_000


def test_the_clock_is_set_forward_only() -> None:
    clock = ManualClock(at=5000)
    clock.set(7000)
    assert clock.now() == 7000
    with pytest.raises(ValueError, match="does not go back"):
        clock.set(6999)


def test_a_scaled_clock_runs_faster() -> None:
    inner = ManualClock(at=1000)
    clock = ScaledClock(10, inner)
    fired: list[int] = []
    clock.call_later(5, lambda: fired.append(clock.now()))
    inner.advance(0.4)
    assert (clock.now(), clock.monotonic(), fired) == (5000, 4.0, [])
    inner.advance(0.1)
    assert fired == [6000]


def test_the_system_clock_is_in_milliseconds() -> None:
    clock = SystemClock()
    assert clock.now() > 1_700_000_000_000
    assert clock.monotonic() <= clock.monotonic()


def test_a_manual_clock_steps_from_one_timer_to_the_next() -> None:
    clock = ManualClock(at=1000)
    fired: list[tuple[str, int]] = []
    for name, seconds in (("late", 5.0), ("first", 1.0), ("same moment", 1.0), ("cancelled", 2.0)):
        timer = clock.call_later(seconds, lambda name=name: fired.append((name, clock.now())))  # type: ignore[misc]
        if name == "cancelled":
            timer.cancel()
    assert [clock.step(4000) for _ in range(3)] == [True, True, False]
    assert fired == [("first", 2000), ("same moment", 2000)]
    assert clock.now() == 4000
    assert clock.step(6000)
    assert fired[-1] == ("late", 6000)
