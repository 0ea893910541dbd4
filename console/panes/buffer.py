"""A run's buffer as a picture: what is gone, what is kept, where the producer is and where each follower.

    ·········━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━●  5,432   38/s
                    ▲                          ▲ 3▲
    kept 433 … 5,432, 71% full     slowest: ann, 3,021 behind, loses events in 40s

The line goes from the run's first event to its latest. What is gone takes a fifth of it at most: however long the
run is, its buffer is seen. Pure.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from console import units
from console.panes.pane import Tone
from console.panes.runs import RunLine, lag, per_second
from console.state import IN_FLIGHT
from core.protocol import RunRow

_FULL = 99
"""From this per cent on each new event takes the place of an old one."""
_URGENT_MS = 60_000
_GONE_SHARE = 5


class Piece(NamedTuple):
    """A piece of a line, and what it means."""

    text: str
    tone: Tone = ""


def picture(line: RunLine, now: int, cells: int) -> tuple[list[Piece], list[Piece], list[Piece]]:
    """Three lines of at most so many cells: the buffer, the followers below it, and both in figures."""
    run = line.run
    side = f"  {units.count(run.last_seq)}  {per_second(line, now)}/s"
    wide = max(10, cells - len(side))
    return (
        [*_buffer(run, wide), Piece(side, "" if run.state in IN_FLIGHT else "dim")],
        _followers(run, wide),
        _figures(line, now),
    )


def _gone(run: RunRow, wide: int) -> int:
    """How many cells of the line stand for what is no longer kept."""
    gone = run.first_seq - 1
    if gone <= 0 or not run.last_seq:
        return 0
    return max(1, min((wide - 1) * gone // run.last_seq, wide // _GONE_SHARE))


def _at(seq: int, run: RunRow, wide: int) -> int:
    """The cell of an event; the latest has the last one."""
    gone, before = _gone(run, wide), run.first_seq - 1
    if seq <= before:
        return max(0, seq) * gone // max(1, before)
    return min(wide - 1, gone + (seq - before) * (wide - 1 - gone) // max(1, run.last_seq - before))


def _buffer(run: RunRow, wide: int) -> list[Piece]:
    gone = _gone(run, wide)
    producer = Piece("●", "good") if run.state in IN_FLIGHT else Piece("■", "dim")
    if not run.last_seq:
        return [Piece("·" * (wide - 1), "dim"), producer]
    return [Piece("·" * gone, "dim"), Piece("━" * (wide - 1 - gone), "accent"), producer]


def _followers(run: RunRow, wide: int) -> list[Piece]:
    """A mark below each; where several stand at one place, how many."""
    places = Counter(_at(each.seq, run, wide) for each in run.followers)
    pieces: list[Piece] = []
    end = 0
    for place, many in sorted(places.items()):
        mark = "▲" if many == 1 else f"{many}▲"
        start = max(end, place - len(mark) + 1)
        late = place < _gone(run, wide)
        pieces += [Piece(" " * (start - end)), Piece(mark, "bad" if late else "strong")]
        end = start + len(mark)
    return pieces


def _figures(line: RunLine, now: int) -> list[Piece]:
    run = line.run
    kept = (
        f"kept {units.count(run.first_seq)} … {units.count(run.last_seq)}" if run.last_seq else "nothing yet"
    )
    pieces = [Piece(f"{kept}, {run.buffer_percent}% full", "dim")]
    if not run.followers:
        return [*pieces, Piece("   nobody follows", "dim")]
    name = run.followers[0].name or "somebody"
    behind = lag(run)
    if not behind:
        return [*pieces, Piece(f"   {units.count(run.subscribers)} following, none behind", "dim")]
    told = f"   slowest: {name}, {units.count(behind)} behind"
    fate, tone = _fate(line, now)
    return [*pieces, Piece(told + fate, tone)]


def _fate(line: RunLine, now: int) -> tuple[str, Tone]:
    """What becomes of the slowest follower if all goes on like this."""
    run = line.run
    room = run.followers[0].seq + 1 - run.first_seq
    if room < 0:
        return f", has lost {units.count(-room)} events", "bad"
    speed = line.speed.per_second(now) if line.speed is not None else None
    if run.buffer_percent < _FULL or not speed:
        return "", "warn"
    left = round(room * 1000 / speed)
    return f", loses events in {units.age(left)}", "bad" if left < _URGENT_MS else "warn"
