"""Nothing that strangers write survives as anything but text."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from console.text import REPLACEMENT, fit, lines, neutral, width, wrap

_BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_ANY = st.text(st.characters(), max_size=60)  # surrogates and controls included


@given(_ANY)
@example("\x1b]52;c;ZXZpbA==\x07\x1b[2J")
@example("safe\u202etxt.exe")
@example("a\u0301\u0301\u0301\u0301\u0301")
@example("\ud800\udfff\u0085\u2028\u2029\x7f\x9b")
@example("\u1160\u3164\u115f")
def test_nothing_dangerous_survives(text: str) -> None:
    shown = neutral(text)
    assert not _BIDI & set(shown)
    for char in shown:
        assert unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Me"}, hex(
            ord(char)
        )
        assert unicodedata.category(char) != "Zs" or char == " "
    shown.encode("utf-8")


@given(_ANY)
def test_neutral_text_passes_unchanged(text: str) -> None:
    assert neutral(neutral(text)) == neutral(text)


@given(_ANY, st.integers(0, 20))
def test_the_length_is_bounded(text: str, limit: int) -> None:
    assert len(neutral(text, limit)) <= limit


@given(_ANY, st.integers(0, 40), st.sampled_from(["left", "right"]))
def test_a_cell_is_exactly_as_wide_as_asked(text: str, cells: int, align: str) -> None:
    assert width(fit(neutral(text), cells, align)) == cells  # type: ignore[arg-type]


@given(_ANY, st.integers(2, 30))
def test_wrapped_lines_fit_and_lose_nothing(text: str, cells: int) -> None:
    shown = neutral(text)
    broken = wrap(shown, cells)
    assert all(width(line) <= cells for line in broken)
    assert "".join(broken).replace(" ", "") == shown.replace(" ", "")


@given(_ANY)
def test_accents_do_not_pile_up(text: str) -> None:
    marks = 0
    for char in neutral(text):
        marks = marks + 1 if unicodedata.category(char) in {"Mn", "Mc"} else 0
        assert marks <= 2


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text", "plain text"),
        ("a\nb\tc", "a␊b␉c"),
        ("\x1b[31mred", "␛[31mred"),
        ("\x7f", "␡"),
        ("\x9b31m", f"{REPLACEMENT}31m"),
        ("a\u202eb", f"a{REPLACEMENT}b"),
        ("zero\u200bwidth", f"zero{REPLACEMENT}width"),
        ("\ud83d", REPLACEMENT),
        ("no\u00a0break", "no break"),
        ("\U0001f1e9\U0001f1ea", "DE"),
        ("e\u0301", "é"),
        ("漢字 ünïcödé ελληνικά עברית", "漢字 ünïcödé ελληνικά עברית"),
        ("[bold]no markup[/]", "[bold]no markup[/]"),
    ],
)
def test_what_is_shown_instead(text: str, shown: str) -> None:
    assert neutral(text) == shown


def test_several_lines_stay_several() -> None:
    assert lines("one\ntwo\r\n\tthree\x1b") == ["one", "two", "    three␛"]
    assert lines("") == [""]


def test_a_cut_says_so() -> None:
    assert neutral("abcdefgh", 4) == "abc…"
    assert fit("abcdefgh", 4) == "abc…"
    assert fit("漢字漢字", 5) == "漢字…"
    assert fit("7s", 5, "right") == "   7s"
