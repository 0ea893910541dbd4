"""What the palette finds: ranks, kinds, and that no step looks at more than it may."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from console.panes.finder import MOST, Asked, Entry, Search, Source, asked, rank

ABORT = Entry("action", "abort", "abort", "stop the run; asks first", "X")
RUNS = Entry("pane", "runs", "runs", "with their seq moving", "2")
SORT = Entry("action", "sort", "sort", "sort by the next column", "s")


def sessions(*names: str | None) -> Source:
    return Source("session", lambda: names, lambda name: Entry("session", name, name))


def found(text: str, *sources: Source, step: int = 1_000) -> list[str]:
    search = Search(text, [ABORT, RUNS, SORT], sources)
    while not search.step(step):
        pass
    return [entry.id for entry in search.found()]


def test_a_name_is_found_by_its_beginning_first_then_by_words_then_by_what_is_inside() -> None:
    assert rank("Quit now", ["quit", "now"]) == -1
    assert rank("api:ann/fix", ["api"]) == 0
    assert rank("api:ann/fix", ["ann"]) == 1
    assert rank("api:joann/ann", ["ann"]) == 1
    assert rank("api:joann/fix", ["ann"]) == 2
    assert rank("api:ann/fix", ["fix", "ann"]) == 2
    assert rank("API:Ann", ["api", "ANN".casefold()]) == 1
    assert rank("api:ann/fix", ["bob"]) is None
    assert rank("api:ann/fix", ["ann", "bob"]) is None


def test_with_nothing_typed_all_that_can_be_done_is_listed_and_no_row() -> None:
    assert found("", sessions("api:ann")) == ["abort", "runs", "sort"]
    assert found("  ", sessions("api:ann")) == ["abort", "runs", "sort"]


def test_what_has_the_name_comes_before_what_is_only_told_of_it() -> None:
    assert found("s") == ["sort", "runs", "abort"]
    assert found("run") == ["runs", "abort"]
    assert found("asks first") == ["abort"]


def test_rows_are_among_the_others_by_how_well_they_answer() -> None:
    assert found("ab", sessions("api:ab", "abc", "grab", "x")) == ["abort", "abc", "api:ab", "grab"]


def test_the_name_of_a_kind_wants_only_that_kind() -> None:
    assert asked("session run") == Asked(("run",), "session")
    assert asked("session") == Asked(("session",))
    assert asked("Session RUN x") == Asked(("run", "x"), "session")
    assert found("session run", sessions("run-1", "x")) == ["run-1"]
    assert found("action r", sessions("run-1")) == ["abort", "sort"]


def test_the_best_are_found_however_late_they_come_and_no_more_than_enough() -> None:
    many = [f"x-{n}-ann" for n in range(1_000)]
    answer = found("ann", sessions(*many, "ann"))
    assert answer[0] == "ann"
    assert len(answer) == MOST


def test_a_kind_is_left_when_no_better_ones_can_come() -> None:
    looked_at = 0

    def names() -> Iterator[str]:
        nonlocal looked_at
        for n in range(100_000):
            looked_at += 1
            yield f"ann-{n}"

    answer = found("ann", Source("session", names, lambda name: Entry("session", name, name)))
    assert len(answer) == MOST
    assert looked_at <= MOST + 1


def test_a_step_looks_at_no_more_than_it_may() -> None:
    looked_at = 0

    def names() -> Iterator[str | None]:
        nonlocal looked_at
        for n in range(100_000):
            looked_at += 1
            yield None if n % 2 else f"bob-{n}"

    search = Search("ann", [], [Source("user", names, lambda name: Entry("user", name, name))])
    assert not search.step(1_000)
    assert looked_at == 1_000
    assert not search.step(500)
    assert looked_at == 1_500
    assert search.found() == []


@given(st.lists(st.text(max_size=8), max_size=30), st.text(max_size=6), st.integers(1, 7))
def test_whatever_strangers_are_called_what_is_found_holds_what_was_typed(
    names: list[str], text: str, step: int
) -> None:
    words = text.casefold().split()
    answer = found(text, sessions(*names), step=step)
    shown = [each for each in answer if each not in ("abort", "runs", "sort")]
    assert all(word in each.casefold() for each in shown for word in asked(text).words)
    if words and asked(text).kind is None:
        wanted = [each for each in names if all(word in each.casefold() for word in words)]
        assert len(shown) >= min(
            MOST, len([each for each in wanted if each not in ("abort", "runs", "sort")])
        )


def test_one_of_several_cores_is_told() -> None:
    def of(core: int) -> Source:
        return Source("session", lambda: ["ann"], lambda name: Entry("session", name, name, core=core))

    search = Search("ann", [], [of(0), of(1)])
    assert search.step(10)
    assert [entry.core for entry in search.found()] == [0, 1]
