"""The messages that are held: pages put together without a hole, and the far end let go."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from console.panes.pages import MOST, MOST_CHARACTERS, PAGE, Pages
from core.protocol import HistoryPage, Message
from tests.console.rows import AT


def a_message(seq: int, text: str = "x") -> Message:
    return Message(seq=seq, role="user", content=text, timestamp=AT)


def a_page(*seqs: int, before: int | None = None, after: int | None = None, text: str = "x") -> HistoryPage:
    return HistoryPage(
        session_key="s", messages=[a_message(seq, text) for seq in seqs], before=before, after=after
    )


def ends(pages: Pages) -> tuple[int | None, int | None]:
    return pages.before, pages.after


def held(pages: Pages) -> list[int]:
    return [message.seq for message in pages.messages]


def test_older_and_newer_pages_are_put_at_their_ends() -> None:
    pages = Pages()
    pages.around(a_page(4, 5, before=4), a_page(6, 7, after=7))
    pages.older(a_page(1, 2, 3))
    pages.newer(a_page(8))
    assert (held(pages), pages.before, pages.after) == ([1, 2, 3, 4, 5, 6, 7, 8], None, None)


def test_the_newest_page_read_again_takes_the_place_of_what_it_covers() -> None:
    pages = Pages()
    pages.newest(a_page(5, 6, 7, before=5))
    pages.older(a_page(2, 3, 4, before=2))
    pages.newest(a_page(6, 9, before=6))
    assert (held(pages), pages.before) == ([2, 3, 4, 5, 6, 9], 2)


def test_when_it_no_longer_joins_on_only_the_newest_page_is_held() -> None:
    pages = Pages()
    pages.newest(a_page(5, 6, before=5))
    pages.newest(a_page(90, 91, before=90))
    assert (held(pages), pages.before) == ([90, 91], 90)


def test_a_history_that_was_cleared_leaves_nothing() -> None:
    pages = Pages()
    pages.newest(a_page(5, 6, before=5))
    pages.newest(a_page())
    assert (held(pages), ends(pages)) == ([], (None, None))
    pages.newest(a_page(7, 8))
    assert (held(pages), pages.before) == ([7, 8], None)


def test_the_far_end_is_let_go_and_known_as_missing() -> None:
    pages = Pages()
    first = 10 * MOST
    pages.newest(a_page(*range(first, first + PAGE), before=first))
    while len(pages.messages) < MOST:
        start = pages.messages[0].seq
        pages.older(a_page(*range(start - PAGE, start), before=start - PAGE))
    start = pages.messages[0].seq
    pages.older(a_page(*range(start - PAGE, start), before=start - PAGE))
    assert len(pages.messages) == MOST
    assert pages.after == pages.messages[-1].seq == first - 1
    pages.newer(a_page(*range(first, first + PAGE)))
    assert len(pages.messages) == MOST
    assert ends(pages) == (held(pages)[0], None)


def test_few_long_messages_are_many_too() -> None:
    pages = Pages()
    long = "x" * (MOST_CHARACTERS // 40)
    pages.newest(a_page(*range(400, 500), before=400, text=long))
    pages.older(a_page(*range(300, 400), before=300, text=long))
    assert held(pages) == list(range(300, 450))
    assert (pages.before, pages.after) == (300, 449)


@given(st.lists(st.tuples(st.sampled_from(["older", "newer", "newest"]), st.integers(1, 130)), max_size=30))
def test_there_is_never_a_hole_and_never_too_much(steps: list[tuple[str, int]]) -> None:
    last = 5_000
    pages = Pages()
    pages.newest(a_page(*range(last - 99, last + 1), before=last - 99))
    for step, count in steps:
        if step == "older" and pages.before is not None:
            pages.older(a_page(*range(pages.before - count, pages.before), before=pages.before - count))
        elif step == "newer" and pages.after is not None:
            end = min(last, pages.after + count)
            pages.newer(a_page(*range(pages.after + 1, end + 1), after=end if end < last else None))
        elif step == "newest" and pages.after is None:
            last += count
            pages.newest(a_page(*range(last - 99, last + 1), before=last - 99))
        seqs = held(pages)
        assert seqs == list(range(seqs[0], seqs[-1] + 1))
        assert len(seqs) <= MOST
        assert pages.before == seqs[0]
        assert pages.after in (None, seqs[-1])
        assert (pages.after is None) == (seqs[-1] == last)
