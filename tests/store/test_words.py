"""behaviours/history.md, decision 7: one function makes words of texts and of queries."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.store.words import LONGEST_WORD, MOST_INDEXED, index_text, words_of

FORMS = ("NFC", "NFD", "NFKC", "NFKD")


def by_the_letter(text: str) -> list[str]:
    """The decision, step by step and slowly."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    words, word = [], ""
    for char in folded:
        kind = unicodedata.category(char)
        if kind.startswith("M"):
            continue
        if kind.startswith("L") or kind == "Nd":
            word += char
        elif word:
            words.append(word)
            word = ""
    return [*words, word] if word else words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("  \n\t ", []),
        ('"*():^-_%\\', []),
        ("Hello, World", ["hello", "world"]),
        ("core/store/search.py", ["core", "store", "search", "py"]),
        ("bob@acme.dev snake_case", ["bob", "acme", "dev", "snake", "case"]),
        ("AND OR NOT", ["and", "or", "not"]),
        ("a\0b\x1fc\x7fd", ["a", "b", "c", "d"]),
        ("Ünïcödé", ["unicode"]),
        ("Straße STRASSE", ["strasse", "strasse"]),
        ("ﬁne ½ x²", ["fine", "1", "2", "x2"]),
        ("Σίσυφος ΣΊΣΥΦΟΣ", ["σισυφοσ", "σισυφοσ"]),
        ("世界 你好", ["世界", "你好"]),
        ("한국", [unicodedata.normalize("NFD", "한국")]),
        ("ｗｉｄｅ", ["wide"]),
        ("٣٤ 34", ["٣٤", "34"]),
        ("Ⅻ 〇 ③", ["xii", "3"]),
        ("naïve's", ["naive", "s"]),
        ("zero\u200dwidth \u202eevil", ["zero", "width", "evil"]),
        ("\ud800a\udfff", ["a"]),
        ("👍🏽ok", ["ok"]),
        ("नमस्ते", ["नमसत"]),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert words_of(text) == words


@given(st.text(st.characters(codec=None), max_size=60))
def test_words_are_those_of_the_decision(text: str) -> None:
    assert words_of(text) == by_the_letter(text)


@given(st.text(st.characters(max_codepoint=127), max_size=80))
def test_the_short_way_for_ascii_leads_to_the_same(text: str) -> None:
    assert words_of(text) == by_the_letter(text)


@given(st.text(max_size=40), st.sampled_from(FORMS))
def test_any_normal_form_has_the_same_words(text: str, form: str) -> None:
    assert words_of(unicodedata.normalize(form, text)) == words_of(text)  # type: ignore[arg-type]


@given(st.text(max_size=40))
def test_what_is_indexed_is_found_again(text: str) -> None:
    assert words_of(index_text(text)) == words_of(text)


def test_a_word_that_is_too_long_is_left_out() -> None:
    fits, over = "x" * LONGEST_WORD, "x" * (LONGEST_WORD + 1)
    assert index_text(f"a {fits} b {over} c") == f"a {fits} b c"


def test_the_bound_of_a_word_is_in_bytes() -> None:
    assert index_text("ж" * 1000) == "ж" * 1000
    assert index_text("ж" * 1001) == ""


def test_indexing_stops_when_a_message_has_had_its_share() -> None:
    word = "x" * 1000
    text = " ".join([word] * 901)
    assert index_text(text).split() == [word] * (MOST_INDEXED // 1000)


def test_the_first_word_that_does_not_fit_ends_it() -> None:
    text = " ".join(["x" * 1000] * 899 + ["y" * 999, "zz", "w"])
    assert index_text(text).split()[-1] == "y" * 999


def test_a_word_too_long_takes_nothing_of_the_share() -> None:
    text = " ".join(["z" * 2001] * 900 + ["found"])
    assert index_text(text) == "found"
