"""Cutting events out of bytes, wherever the bytes are cut."""

from __future__ import annotations

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


def test_an_event_that_never_ends_is_given_up() -> None:
    splitter = FrameSplitter()
    for _ in range(32):
        assert splitter.feed(b"x" * 1024 * 1024) == []
    with pytest.raises(UpstreamFailed, match="bytes"):
        splitter.feed(b"x")
