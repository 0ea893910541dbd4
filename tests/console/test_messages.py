"""Messages in lines: roles, folds, the words that were searched for; and that a megabyte costs what is drawn of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.panes.matches import marked, words
from console.panes.messages import LINES, SHOWN, Folds, MessageItem
from console.panes.reel import Line, Reel
from console.text import neutral, width, wrap
from core.protocol import Message
from core.store.words import words_of
from tests.console.rows import AT

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def a_message(content: Any, **others: Any) -> Message:
    return Message(**{"seq": 7, "role": "user", "content": content, "timestamp": AT, **others})


def told(message: Message, *, cells: int = 80, unfolded: bool = False) -> list[Line]:
    item = MessageItem(message, Folds(all_open=unfolded), hint=", space unfolds")
    return [line for n in range(item.blocks()) for line in item.block(n, cells)]


def texts(lines: list[Line]) -> list[str]:
    return ["".join(span.text for span in line.spans) for line in lines]


def numbered(count: int) -> str:
    return "\n".join(f"line {n}" for n in range(1, count + 1))


@given(_JSON, st.text(max_size=5), st.booleans())
def test_any_content_can_be_shown(content: object, role: str, unfolded: bool) -> None:
    lines = told(a_message(content, role=role), unfolded=unfolded)
    assert lines
    for line in lines:
        text = line.head + "".join(span.text for span in line.spans)
        assert neutral(text, 1_000) == text


def test_line_by_line_with_the_role_once() -> None:
    lines = told(a_message([{"type": "text", "text": "one\ntwo"}, {"type": "image"}]))
    assert [line.head.split() for line in lines] == [["12:00:00", "user"], [], []]
    assert texts(lines) == ["one", "two", "[image]"]


def test_one_that_only_calls_tools_names_them() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "search", "arguments": '{"q": "bill"}'}}
    lines = told(a_message(None, role="assistant", extra={"tool_calls": [call, 7]}))
    assert texts(lines) == ['→ search {"q": "bill"}', "→ 7"]
    assert lines[0].head.split() == ["12:00:00", "assistant"]


def test_up_to_a_few_lines_nothing_is_folded() -> None:
    assert texts(told(a_message(numbered(LINES)))) == numbered(LINES).split("\n")


def test_a_long_one_is_folded_and_says_how_much_is_hidden() -> None:
    shown = texts(told(a_message(numbered(300))))
    assert shown == [*numbered(SHOWN).split("\n"), "… 290 more lines, space unfolds"]
    assert texts(told(a_message(numbered(300)), unfolded=True)) == numbered(300).split("\n")


def test_one_that_broke_off_says_so_folded_or_not() -> None:
    for unfolded in (False, True):
        lines = told(a_message("word " * 9_000, partial=True), unfolded=unfolded)
        assert texts(lines)[-1] == "✗ broken off here"
        assert lines[-1].spans[0].tone == "warn"
    assert texts(told(a_message(numbered(50), partial=True)))[-2:] == [
        "… 40 more lines, space unfolds",
        "✗ broken off here",
    ]


@given(st.text(st.sampled_from("ab \n合é\u0301\t"), max_size=300), st.integers(12, 60))
def test_unfolded_nothing_is_left_out(text: str, cells: int) -> None:
    item = MessageItem(a_message(text), Folds(all_open=True))
    lines = [line for n in range(item.blocks()) for line in item.block(n, cells)]
    wanted = [
        line
        for raw in text.splitlines() or [""]
        for line in wrap(neutral(raw.replace("\t", "    ")), cells - width(lines[0].head) - 4)
    ]
    assert texts(lines) == wanted


def test_a_long_text_is_cut_between_lines_or_words_and_loses_nothing() -> None:
    for text in (numbered(3_000), "some words " * 2_000, "x" * 9_999):
        shown = texts(told(a_message(text), unfolded=True))
        assert "".join("".join(shown).split()) == "".join(text.split())
        assert set(text.split()) == {word for line in shown for word in line.split()} or " " not in text


def test_folds_are_turned_one_by_one_or_all() -> None:
    folds = Folds()
    folds.turn(3)
    assert [folds.is_open(seq) for seq in (3, 4)] == [True, False]
    folds.turn_all()
    assert [folds.is_open(seq) for seq in (3, 4)] == [True, True]
    folds.turn(4)
    assert [folds.is_open(seq) for seq in (3, 4)] == [True, False]


# ------------------------------------------------------------------------------------------------------- what matches


@pytest.mark.parametrize(
    ("text", "query", "found"),
    [
        ("The bill, or the BILLING?", "bill", ["bill"]),
        ("open src/auth/session.ts", "SESSION ts", ["session", "ts"]),
        ("Größe, GROSSE und Zoe\u0308", "größe zoë", ["Größe", "GROSSE", "Zoe\u0308"]),
        ("合計が 二回", "二回", ["二回"]),
        ("nothing", "", []),
    ],
)
def test_words_are_marked_as_they_are_found(text: str, query: str, found: list[str]) -> None:
    pieces = marked(text, words(query))
    assert [piece for piece, is_found in pieces if is_found] == found
    assert "".join(piece for piece, _ in pieces) == text


@given(st.text(max_size=40))
def test_the_words_are_those_that_a_core_finds_by(text: str) -> None:
    assert words(text) == set(words_of(text))


def test_the_first_match_is_found_deep_in_a_long_message() -> None:
    text = numbered(5_000).replace("line 4321", "the needle")
    item = MessageItem(a_message(text), Folds(all_open=True), wanted=frozenset({"needle"}))
    block, line = item.place_of_match(80)
    (found,) = [span.text for span in item.block(block, 80)[line].spans if span.marked]
    assert found == "needle"
    assert MessageItem(a_message("none"), Folds(), wanted=frozenset({"needle"})).place_of_match(80) == (0, 0)


# --------------------------------------------------------------------------------------------------------------- cost


_MEGABYTES = {
    "words": "word " * 200_000,
    "one word": "x" * 1_000_000,
    "empty lines": "\n" * 1_000_000,
    "wide": "合計é " * 250_000,
}


@pytest.mark.parametrize("name", _MEGABYTES)
@pytest.mark.parametrize("unfolded", [False, True])
def test_of_a_megabyte_only_what_is_drawn_is_laid_out(
    name: str, unfolded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    laid_out: list[int] = []

    def counted(text: str, limit: int) -> str:
        laid_out.append(len(text) + 1)
        return neutral(text, limit)

    monkeypatch.setattr("console.panes.messages.neutral", counted)
    reel = Reel()
    reel.resize(120, 50)
    text = _MEGABYTES[name]
    reel.put([MessageItem(a_message(text, seq=n), Folds(all_open=unfolded)) for n in range(3)])
    monkeypatch.setattr(MessageItem, "_head", "12:00:00 user     ")
    for move in (reel.window, reel.bar, lambda: reel.move(-1), lambda: reel.page(-1), reel.home, reel.window):
        move()
    assert sum(laid_out) < 100_000
