"""The reel: what is in sight, where moving leads, and that it costs what is drawn."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.panes.reel import Item, Line, Reel, Span


class Texts:
    """An item of so many blocks of so many lines; `asked` counts the blocks that were laid out."""

    def __init__(self, key: Hashable, *blocks: int, chooses: bool = True) -> None:
        self.key = key
        self.chooses = chooses
        self.sizes = blocks or (1,)
        self.asked: list[int] = []

    def blocks(self) -> int:
        return len(self.sizes)

    def block(self, number: int, cells: int) -> Sequence[Line]:
        self.asked.append(number)
        return [Line("", (Span(f"{self.key}.{number}.{n}"),)) for n in range(self.sizes[number])]

    def weight(self, cells: int) -> int:
        return sum(self.sizes)


def reel(*items: Item, height: int = 5) -> Reel:
    made = Reel()
    made.resize(40, height)
    made.put(items)
    return made


def seen(of: Reel) -> list[str]:
    return [line.spans[0].text for _, line in of.window()]


def at(of: Reel) -> Hashable:
    """What the cursor is on."""
    return of.cursor


def all_lines(items: Sequence[Texts]) -> list[str]:
    return [
        line.spans[0].text for item in items for n in range(item.blocks()) for line in Texts.block(item, n, 1)
    ]


def test_it_begins_at_the_end_and_goes_along_with_it() -> None:
    items = [Texts(n) for n in range(8)]
    shown = reel(*items)
    assert seen(shown) == ["3.0.0", "4.0.0", "5.0.0", "6.0.0", "7.0.0"]
    assert at(shown) == 7
    shown.put([*items, Texts(8)])
    assert seen(shown)[-1] == "8.0.0"
    assert at(shown) == 8


def test_who_has_scrolled_back_stays_where_they_are() -> None:
    items = [Texts(n) for n in range(10, 20)]
    shown = reel(*items)
    shown.home()
    shown.put([*(Texts(n) for n in range(10)), *items, Texts(20)])
    assert seen(shown) == ["10.0.0", "11.0.0", "12.0.0", "13.0.0", "14.0.0"]
    assert at(shown) == 10


def test_who_has_chosen_an_earlier_item_is_not_pulled_along_though_all_were_in_sight() -> None:
    items = [Texts(n) for n in range(4)]
    shown = reel(*items)
    shown.choose(0)
    shown.put([*items, Texts(4, 9)])
    assert at(shown) == 0
    assert seen(shown)[0] == "0.0.0"


def test_the_place_is_kept_when_the_line_above_the_items_is_another() -> None:
    items = [Texts(n) for n in range(10, 20)]
    shown = reel(Texts("note", chooses=False), *items)
    shown.home()
    assert seen(shown)[:2] == ["note.0.0", "10.0.0"]
    shown.put([Texts("note", chooses=False), Texts(8), Texts(9), *items], follow=False)
    assert seen(shown)[:3] == ["9.0.0", "10.0.0", "11.0.0"]
    assert at(shown) == 10


def test_at_the_end_a_page_that_follows_does_not_pull_along() -> None:
    items = [Texts(n) for n in range(8)]
    shown = reel(*items, Texts("note", chooses=False))
    shown.put([*items, *(Texts(n) for n in range(8, 20))], follow=False)
    assert seen(shown)[0] == "4.0.0"
    assert at(shown) == 7


def test_one_step_goes_to_the_next_item_and_through_a_long_one_line_by_line() -> None:
    shown = reel(Texts("a"), Texts("b", 4, 4), Texts("c"))
    shown.home()
    shown.move(1)
    assert at(shown) == "b"
    assert seen(shown)[0] == "b.0.0"
    for first in ("b.0.1", "b.0.2", "b.0.3"):
        shown.move(1)
        assert (at(shown), seen(shown)[0]) == ("b", first)
    shown.move(1)
    assert at(shown) == "c"
    assert seen(shown)[-1] == "c.0.0"
    shown.move(-1)
    assert at(shown) == "b"
    assert seen(shown)[-1] in ("b.1.3", "c.0.0")
    for _ in range(8):
        shown.move(-1)
    assert at(shown) == "a"
    assert seen(shown)[0] == "a.0.0"


def test_the_cursor_passes_over_notes_and_both_ends_can_be_seen() -> None:
    shown = reel(
        Texts("top", chooses=False),
        *(Texts(n) for n in range(6)),
        Texts("bottom", chooses=False),
        height=3,
    )
    assert at(shown) == 5
    for _ in range(9):
        shown.move(-1)
    assert at(shown) == 0
    assert shown.shows("top")
    for _ in range(9):
        shown.move(1)
    assert at(shown) == 5
    assert shown.shows("bottom")


def test_pages_take_the_cursor_along() -> None:
    shown = reel(*(Texts(n) for n in range(20)))
    shown.page(-1)
    assert seen(shown)[0] == "11.0.0"
    assert at(shown) == 15
    shown.page(-1)
    assert at(shown) == 11
    for _ in range(9):
        shown.page(-1)
    assert at(shown) == 0
    for _ in range(9):
        shown.page(1)
    assert (at(shown), shown.at_end) == (19, True)


def test_a_line_is_put_where_it_is_wanted() -> None:
    shown = reel(*(Texts(n, 3) for n in range(9)))
    shown.put_at(4, 0, 1, 2)
    assert seen(shown)[2] == "4.0.1"
    shown.put_at(8, 0, 0, 1)
    assert shown.at_end


def test_what_is_gone_is_let_go() -> None:
    shown = reel(*(Texts(n) for n in range(20)))
    shown.home()
    shown.put([Texts("x"), Texts("y")])
    assert at(shown) == "y"
    assert seen(shown) == ["x.0.0", "y.0.0"]
    shown.put([])
    assert (shown.window(), at(shown), shown.bar()) == ([], None, (0, 0))
    for move in (shown.home, shown.end, lambda: shown.move(1), lambda: shown.page(-1)):
        move()


def test_it_lays_out_what_is_drawn_and_no_more() -> None:
    items = [Texts(n, *[10] * 1_000) for n in range(600)]
    shown = reel(*items, height=20)
    shown.window()
    shown.bar()
    shown.move(-1)
    shown.page(-1)
    shown.put_at(300, 500, 5, 3)
    shown.window()
    assert sum(len(item.asked) for item in items) < 40


@given(
    st.lists(st.lists(st.integers(1, 7), min_size=1, max_size=3), min_size=1, max_size=8),
    st.integers(1, 9),
    st.lists(st.sampled_from(["up", "down", "pageup", "pagedown", "home", "end", "wheel", "wheel back"])),
)
def test_wherever_one_goes_the_screen_is_full_and_the_cursor_in_sight(
    sizes: list[list[int]], height: int, steps: list[str]
) -> None:
    items = [Texts(n, *blocks) for n, blocks in enumerate(sizes)]
    shown = reel(*items, height=height)
    lines = all_lines(items)
    for step in steps:
        match step:
            case "up" | "down":
                shown.move(1 if step == "down" else -1)
            case "pageup" | "pagedown":
                shown.page(1 if step == "pagedown" else -1)
            case "home":
                shown.home()
            case "end":
                shown.end()
            case _:
                shown.scroll(3 if step == "wheel" else -3)
        now = seen(shown)
        first = lines.index(now[0])
        assert now == lines[first : first + height]
        assert len(now) == min(height, len(lines))
        assert shown.shows(shown.cursor)
        top, count = shown.bar()
        assert 0 <= top <= max(0, count - height)
        assert (top == 0) == (first == 0)


@pytest.mark.parametrize("key", ["up", "down"])
def test_stepping_reaches_every_line(key: str) -> None:
    items = [Texts(n, *sizes) for n, sizes in enumerate([(1,), (9, 2), (3,), (1, 1), (12,)])]
    shown = reel(*items, height=4)
    if key == "down":
        shown.home()
    met = set(seen(shown))
    for _ in range(60):
        shown.move(1 if key == "down" else -1)
        met |= set(seen(shown))
    assert met == set(all_lines(items))
