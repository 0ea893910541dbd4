"""The picture of a run's buffer: what is gone and kept, where everybody stands, who is about to lose events."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.panes.buffer import picture
from console.panes.runs import RunLine
from console.trends import Speed
from core.protocol import Follower
from tests.console.rows import a_run

_NOW = 1_776_427_200_000


def line(*followers: tuple[str, int], speed: float | None = None, **changes: Any) -> RunLine:
    pace = None
    if speed is not None:
        pace = Speed(_NOW - 1000, 0)
        pace.note(_NOW, round(speed))
    at = [Follower(name=name, seq=seq) for name, seq in followers]
    return RunLine(a_run(followers=at, subscribers=len(at), **changes), pace, None)


def drawn(given_line: RunLine, cells: int = 40) -> list[str]:
    return ["".join(piece.text for piece in pieces) for pieces in picture(given_line, _NOW, cells)]


def test_what_is_gone_what_is_kept_and_where_they_stand() -> None:
    shown = drawn(line(("ann", 60), ("bob", 100), first_seq=51, last_seq=100, buffer_percent=50, speed=7))
    assert shown == [
        "·····━━━━━━━━━━━━━━━━━━━━━━●  100  7.0/s",
        "         ▲                 ▲",
        "kept 51 … 100, 50% full   slowest: ann, 40 behind",
    ]


def test_however_much_is_gone_the_buffer_is_seen() -> None:
    shown = drawn(line(("ann", 50_000), ("bob", 999_950), first_seq=999_901, last_seq=1_000_000), 60)
    assert shown[:2] == [
        "········━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━●  1,000,000  –/s",
        "▲                        ▲",
    ]


def test_a_run_that_has_said_nothing() -> None:
    assert drawn(line()) == [
        "·······························●  0  –/s",
        "",
        "nothing yet, 0% full   nobody follows",
    ]


def test_several_at_one_place_are_counted() -> None:
    (_, marks, figures) = drawn(line(("a", 10), ("b", 10), ("c", 10), last_seq=10))
    assert marks.strip() == "3▲"
    assert figures.endswith("3 following, none behind")


@pytest.mark.parametrize(
    ("percent", "speed", "seq", "told", "tone"),
    [
        (50, 10, 600, "slowest: ann, 400 behind", "warn"),
        (100, 10, 700, "loses events in 20s", "bad"),
        (100, 1, 700, "loses events in 3m20s", "warn"),
        (100, 10, 499, "slowest: ann, 501 behind, has lost 1 events", "bad"),
    ],
)
def test_who_is_about_to_lose_events(percent: int, speed: float, seq: int, told: str, tone: str) -> None:
    full = line(("ann", seq), first_seq=501, last_seq=1000, buffer_percent=percent, speed=speed)
    *_, last = picture(full, _NOW, 60)
    assert told in last[-1].text
    assert last[-1].tone == tone


@given(
    st.integers(0, 10**9),
    st.integers(0, 10**9),
    st.lists(st.integers(0, 10**9), max_size=20),
    st.integers(0, 300),
)
def test_it_fits_whatever_there_is(first: int, last: int, seqs: list[int], cells: int) -> None:
    first = min(first, last) + 1
    at = sorted(min(seq, last) for seq in seqs)
    shown = picture(line(*(("x", seq) for seq in at), first_seq=first, last_seq=last), _NOW, cells)
    buffer = "".join(piece.text for piece in shown[0])
    assert buffer.count("●") == 1
    assert len(buffer) <= max(cells, 10 + len(f"  {last:,}  –/s"))
