"""Positions, depths, waits, and who has not been heard of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.admission.queue import Line, Lines, estimated_wait, holds
from core.protocol import Health

Step = tuple[str, int]
STEPS = st.lists(
    st.tuples(st.sampled_from(["join", "join banned", "leave", "ban", "unban"]), st.integers(1, 12))
)


@given(STEPS)
def test_positions_are_those_of_a_list(steps: list[Step]) -> None:
    """Against the plain model: a list of (ticket, banned), counted anew each time."""
    line, plain = Line(), dict[int, bool]()
    for what, ticket in steps:
        match what:
            case "join" | "join banned":
                if ticket in plain:
                    continue
                plain[ticket] = what == "join banned"
                line.join(ticket, f"u{ticket}", banned=plain[ticket])
            case "leave":
                plain.pop(ticket, None)
                line.leave(ticket)
            case _:
                if ticket not in plain:
                    continue
                plain[ticket] = what == "ban"
                line.leave(ticket)
                line.join(ticket, f"u{ticket}", banned=plain[ticket])
        free = sorted(each for each, banned in plain.items() if not banned)
        assert list(line) == [f"u{each}" for each in free]
        assert len(line) == len(free)
        assert line.head == (f"u{free[0]}" if free else None)
        assert line.empty is not bool(plain)
        for each in plain:
            assert line.position(each) == max(1, sum(1 for other in free if other <= each))


def test_the_banned_are_skipped_and_have_their_place_back() -> None:
    lines = Lines()
    for ticket, name in enumerate("abc", start=1):
        lines.join("m", ticket, name, banned=False)
    lines.leave("m", 1)
    lines.join("m", 1, "a", banned=True)
    assert (lines.position("m", 2), lines.depth("m"), lines.head("m")) == (1, 2, "b")
    lines.leave("m", 1)
    lines.join("m", 1, "a", banned=False)
    assert (lines.position("m", 1), lines.position("m", 3), lines.depths()) == (1, 3, {"m": 3})


def test_a_queue_of_the_banned_only_is_there_and_has_no_depth() -> None:
    lines = Lines()
    lines.join("m", 1, "a", banned=True)
    assert (lines.depths(), lines.models(), lines.depth("m"), lines.head("m")) == ({}, ["m"], 0, None)
    lines.leave("m", 1)
    lines.leave("m", 1)
    assert lines.models() == []
    assert lines.position("m", 1) == 1


@pytest.mark.parametrize(
    ("position", "admits", "wait"),
    [(1, 1, 0), (2, 1, 15_000), (3, 1, 30_000), (2, 2, 0), (3, 2, 15_000), (4, 2, 15_000), (5, 2, 30_000)],
)
def test_waits_are_whole_ticks(position: int, admits: int, wait: int) -> None:
    assert estimated_wait(position, admits, 15_000) == wait


@pytest.mark.parametrize(
    ("is_open", "paused", "health", "expected"),
    [
        (True, False, "healthy", []),
        (False, False, "healthy", ["closed"]),
        (True, True, "healthy", ["paused"]),
        (False, True, "degraded", ["closed", "paused", "degraded"]),
        (True, True, "unhealthy", ["paused", "unhealthy"]),
    ],
)
def test_what_holds_a_queue_in_rising_order(
    is_open: bool, paused: bool, health: Health, expected: list[str]
) -> None:
    assert holds(is_open=is_open, paused=paused, health=health) == expected
