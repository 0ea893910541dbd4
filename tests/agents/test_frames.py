"""Cutting events out of bytes, wherever the bytes are cut."""

from __future__ import annotations

import re
import time
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.agents.frames import FrameSplitter
from core.errors import UpstreamFailed


def frames(*pieces: bytes) -> list[bytes]:
    splitter = FrameSplitter()
    return [frame for piece in pieces for frame in splitter.feed(piece)]


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"data: a\n\n", [b"a"]),
        (b"data:a\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
        (b"data: a\r\rdata: b\r\r", [b"a"]),  # the last CR may be half of a CRLF
        (b": a comment\n\ndata: a\n\n", [b"a"]),
        (b"event: x\nid: 7\ndata: a\n\n", [b"a"]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b"\n\n\ndata: a\n\n", [b"a"]),
        (b"data: unfinished", []),
        ('data: {"a":"\u2028\x85"}\n\n'.encode(), ['{"a":"\u2028\x85"}'.encode()]),
        (b"data: [DONE]\n\n", [b"[DONE]"]),
        (b"retry: 10\n\n", []),
    ],
)
def test_what_is_in_a_stream(stream: bytes, expected: list[bytes]) -> None:
    assert frames(stream) == expected


@given(
    st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])), max_size=5),
    st.sampled_from([b"\n", b"\r\n"]),
    st.lists(st.integers(0, 400), max_size=8),
)
def test_it_does_not_matter_where_the_bytes_are_cut(texts: list[str], end: bytes, cuts: list[int]) -> None:
    stream = b"".join(b"data: " + text.encode() + end + end for text in texts)
    places = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    pieces = [stream[a:b] for a, b in pairwise(places)]
    assert frames(*pieces) == [text.encode() for text in texts]


AROUND = st.lists(
    st.sampled_from(
        [b"data: ", b"data:", b"data", b"\r", b"\n", b"\r\n", b"\n\n", b"id: 7", b": note", b"\xff", b"{}"]
    )
    | st.binary(max_size=6),
    max_size=24,
).map(b"".join)
"""Bytes of which many are what a stream is made of."""


@given(AROUND, st.lists(st.integers(0, 200), max_size=12))
def test_any_bytes_give_the_same_events_however_they_are_cut(stream: bytes, cuts: list[int]) -> None:
    places = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    pieces = [stream[a:b] for a, b in pairwise(places)]
    # the letter settles whether a CR at the end was half of a CRLF
    assert frames(*pieces, b"x") == frames(*(stream[at : at + 1] for at in range(len(stream))), b"x")
    assert frames(*pieces, b"x") == frames(stream + b"x") == told_by_the_standard(stream)


def told_by_the_standard(stream: bytes) -> list[bytes]:
    """The data of each event, line by line, as the standard of server-sent events reads them."""
    found: list[bytes] = []
    data: list[bytes] = []
    *lines, _ = re.split(rb"\r\n|\r|\n", stream + b"x")
    for line in lines:
        name, _, value = line.partition(b":")
        if name == b"data":
            data.append(value.removeprefix(b" "))
        elif not line and data:
            found.append(b"\n".join(data))
            data = []
    return found


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n", b"", b"\r\nid: 7\n"])
def test_an_event_of_many_pieces_is_looked_through_once(end: bytes) -> None:
    """A line a piece and no end in sight: the time must grow with the bytes, and so must the memory."""
    splitter, piece = FrameSplitter(), b"data: " + b"x" * 494 + end
    pieces = 16 * 1024
    tracemalloc.start()
    try:
        began = time.thread_time()
        for _ in range(pieces):
            assert splitter.feed(piece) == []
        spent, (_, peak) = time.thread_time() - began, tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert spent < 2, "every piece was joined with all before it"
    assert peak < 4 * pieces * len(piece)
    assert len(splitter.feed(b"\n\n")) == 1


def test_an_event_that_never_ends_is_given_up() -> None:
    splitter = FrameSplitter()
    for _ in range(32):
        assert splitter.feed(b"x" * 1024 * 1024) == []
    with pytest.raises(UpstreamFailed, match="bytes"):
        splitter.feed(b"x")
