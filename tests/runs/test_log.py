"""The ring of a run against a list that forgets nothing (behaviours/runs.md, decisions 2 and 3)."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.runs import RunLog
from core.runs import log as log_room
from core.runs.run import head_of, is_truncated, position

HEAD = head_of("r", "s")


@pytest.fixture(params=[(512, 131_072), (3, 150)], scope="module", autouse=True)
def blocks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Blocks as they are, and some so small that every log has several."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(log_room, "_BLOCK_EVENTS", request.param[0])
        patched.setattr(log_room, "_BLOCK_BYTES", request.param[1])
        yield


def payload(size: int = 1) -> bytes:
    return b'{"kind":"text","content":"%b"}' % (b"x" * size)


def filled(count: int, *, max_events: int = 10, max_bytes: int = 1 << 20, size: int = 1) -> RunLog:
    log = RunLog(HEAD, max_events=max_events, max_bytes=max_bytes)
    log.extend([(payload(size), 0, 0)] * count)
    return log


def seqs(log: RunLog, after: int) -> list[int]:
    return [event.seq for event in log.after(after)]


@pytest.mark.parametrize(
    ("count", "first", "last"),
    [(0, 1, 0), (1, 1, 1), (10, 1, 10), (11, 2, 11), (25, 16, 25)],
)
def test_the_oldest_go_when_the_count_is_full(count: int, first: int, last: int) -> None:
    log = filled(count)
    assert (log.first, log.last) == (first, last)
    assert seqs(log, 0) == list(range(first, last + 1))


@pytest.mark.parametrize(
    ("after", "expected", "truncated"),
    [
        (-5, [3, 4, 5], True),
        (0, [3, 4, 5], True),
        (1, [3, 4, 5], True),
        (2, [3, 4, 5], False),
        (4, [5], False),
        (5, [], False),
        (99, [], False),
    ],
)
def test_replay_is_what_comes_after(after: int, expected: list[int], truncated: bool) -> None:
    log = filled(5, max_events=3)
    assert seqs(log, max(0, after)) == expected
    assert is_truncated(log, max(0, after)) is truncated


def test_the_bytes_are_those_of_the_frames() -> None:
    log = filled(12, size=7)
    frames = [log.frame(event) for event in log.after(0)]
    assert log.bytes == sum(map(len, frames))
    assert [msgspec.json.decode(frame)["seq"] for frame in frames] == list(range(3, 13))
    assert msgspec.json.decode(frames[0]) == {
        "runId": "r",
        "sessionKey": "s",
        "seq": 3,
        "kind": "text",
        "content": "x" * 7,
    }


def test_the_oldest_go_when_the_bytes_are_full() -> None:
    frame = len(HEAD) + 1 + len(payload())
    exactly = filled(3, max_bytes=3 * frame)
    assert (exactly.first, exactly.bytes) == (1, 3 * frame)
    exactly.extend([(payload(), 0, 0)])
    assert (exactly.first, exactly.last, exactly.bytes) == (2, 4, 3 * frame)


def test_an_event_too_large_to_keep_reaches_those_who_are_there() -> None:
    log = filled(2, max_bytes=500)
    log.extend([(payload(1000), 0, 0)])
    assert (log.first, log.last, log.bytes) == (4, 3, 0)
    assert log.after(0) == []
    assert is_truncated(log, 2)
    live = log.follow(2)
    assert live is not None
    assert [event.seq for event in live] == [3]
    assert log.follow(1) is None
    assert log.follow(3) == []
    log.extend([(payload(), 0, 0)])
    assert seqs(log, 0) == [4]
    assert log.follow(2) is None


def test_the_raw_bytes_of_a_chunk_are_a_part_of_the_payload() -> None:
    log = RunLog(HEAD, max_events=5, max_bytes=1000)
    log.extend([(b'{"kind":"chunk","data":{"a":1}}', 23, 30), (b'{"kind":"text"}', 0, 0)])
    assert [event.raw for event in log.after(0)] == [b'{"a":1}', b""]


@pytest.mark.parametrize(
    ("given_position", "counts_as"),
    [
        ("x", 0),
        (None, 0),
        (float("nan"), 0),
        (float("inf"), 0),
        (-3, 0),
        (2.9, 2),
        (-0.5, 0),
        (7, 7),
        (True, 0),
    ],
)
def test_what_a_reader_says_it_has(given_position: object, counts_as: int) -> None:
    assert position(given_position) == counts_as


@given(
    max_events=st.integers(1, 7),
    max_bytes=st.integers(60, 400),
    steps=st.lists(st.one_of(st.lists(st.integers(0, 120), max_size=4), st.just("drop")), max_size=40),
    after=st.integers(0, 60),
    most=st.sampled_from([None, 1, 2, 5]),
)
def test_a_ring_is_the_end_of_a_list(
    max_events: int, max_bytes: int, steps: list[list[int] | str], after: int, most: int | None
) -> None:
    log = RunLog(HEAD, max_events=max_events, max_bytes=max_bytes)
    kept: list[tuple[int, bytes]] = []
    last = 0
    for step in steps:
        if isinstance(step, str):
            if kept:
                log.drop_oldest()
                kept.pop(0)
            continue
        # the bounds of a chunk are only carried along, here two that tell the event
        log.extend([(payload(size), size % 2, size) for size in step])
        for size in step:
            last += 1
            kept.append((last, payload(size)))
            while len(kept) > max_events or _frames(kept) > max_bytes:
                kept.pop(0)
    assert (log.last, log.first) == (last, kept[0][0] if kept else last + 1)
    assert log.bytes == _frames(kept)
    expected = [(seq, body, size % 2, size) for seq, body in kept if seq > after for size in [_size(body)]]
    found = [(event.seq, event.payload, event.start, event.stop) for event in log.after(after, most)]
    assert found == expected[:most]
    assert [event.seq for event in log.after(after)] == [seq for seq, *_ in expected], (
        "not what was asked before"
    )
    assert _in_memory(log) < len(kept) + log_room._BLOCK_EVENTS, "what was dropped does not pile up"


def _size(body: bytes) -> int:
    return len(body) - len(payload(0))


def _in_memory(log: RunLog) -> int:
    return sum(len(block.payloads) for block in log._blocks)


def _frames(kept: list[tuple[int, bytes]]) -> int:
    return sum(len(HEAD) + len(str(seq)) + len(body) for seq, body in kept)
