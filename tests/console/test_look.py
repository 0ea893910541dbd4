"""Themes: all of maitred's own are whole, and a wrong one is refused with its file and its key."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.look import load_looks, theme_folders
from core.errors import SettingsError

_DARK = (theme_folders()[0] / "dark.toml").read_text(encoding="utf-8")


def test_every_theme_has_every_style() -> None:
    looks = load_looks("light")
    assert looks.current.name == "light"
    names = {frozenset(look.styles) for look in looks.all()}
    assert len(names) == 1
    for look in looks.all():
        assert look.cell("bad", chosen=True) != look.cell("bad")
        assert look.cell("bad", stale=True) == look.style("stale")
        assert look.style("") == look.style("text")


def test_the_users_own_themes_are_added_and_win(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(_DARK, encoding="utf-8")
    (tmp_path / "dark.toml").write_text(_DARK.replace("#c9d1d6", "#ffffff"), encoding="utf-8")
    looks = load_looks("mine", [tmp_path])
    assert [look.name for look in looks.all()] == ["dark", "high-contrast", "light", "mine"]
    assert str(looks.all()[0].style("text")) == "#ffffff"


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ("= =", "cannot be read as a theme"),
        (_DARK.replace("[tones]", "[tunes]"), r"the table \[tones\] is missing"),
        (_DARK.replace('good = "#86b387"', "good = 7"), "tones.good is missing, or is no text"),
        (_DARK.replace('good = "#86b387"', 'good = "#86b387"\nfine = "red"'), "tones.fine is not known"),
        (_DARK.replace('primary = "#7aa2c7"', 'primary = "blueish"'), "base.primary: 'blueish' is no colour"),
        (_DARK.replace('rule = "#333d47"', 'rule = "not not"'), "parts.rule: 'not not' is no style"),
    ],
)
def test_a_wrong_theme_is_refused(tmp_path: Path, wrong: str, why: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(wrong, encoding="utf-8")
    with pytest.raises(SettingsError, match=why) as refused:
        load_looks("dark", [tmp_path])
    assert str(path) in refused.value.message
