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
    assert [look.name for look in looks.all()] == [
        "ansi",
        "colour-blind",
        "dark",
        "high-contrast",
        "light",
        "mine",
    ]
    assert str(looks.all()[2].style("text")) == "#ffffff"


_ANSI = (theme_folders()[0] / "ansi.toml").read_text(encoding="utf-8")

_GOOD = 'good = "#86b387"'
_BLUE = 'primary = "#7aa2c7"'


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ("= =", "cannot be read as a theme"),
        ("[a]\nb = " + "[" * 5000, "cannot be read as a theme"),
        (
            _DARK.replace("[tones]", "[tunes]"),
            "tunes is not known; allowed here: dark, ansi, base, tones, parts",
        ),
        (_DARK.partition("[parts]")[0], r"the table \[parts\] is missing; it says text, heading"),
        (_DARK.replace("dark = true", 'dark = "yes"'), "dark: found 'yes'; allowed: true, false"),
        (_DARK.replace(_GOOD, "good = 7"), 'tones.good: found 7; allowed: a text, as in "#86b387"'),
        (_DARK.replace(_GOOD, ""), "tones.good is missing"),
        (_DARK.replace(_GOOD, f'{_GOOD}\nfine = "red"'), "tones.fine is not known; allowed here: dim, good"),
        (_DARK.replace(_BLUE, 'primary = "blueish"'), "base.primary: found 'blueish'; allowed: .* #rrggbb"),
        (
            _DARK.replace(_BLUE, 'primary = "ansi_blue"'),
            "base.primary: found 'ansi_blue'; allowed: .* #rrggbb",
        ),
        (
            _DARK.replace('rule = "#333d47"', 'rule = "not not"'),
            "parts.rule: found 'not not'; allowed: a style",
        ),
        (_ANSI.replace('"ansi_red"', '"#ff0000"'), "base.error: found '#ff0000'; allowed: .* ansi_green"),
        (_ANSI.replace('"bold red"', '"bold #ff0000"'), "tones.bad: found 'bold #ff0000'; allowed with ansi"),
        (_ANSI.replace('"bold red"', '"bold orange3"'), "tones.bad: found 'bold orange3'; allowed with ansi"),
    ],
)
def test_a_wrong_theme_is_refused(tmp_path: Path, wrong: str, why: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(wrong, encoding="utf-8")
    with pytest.raises(SettingsError, match=why) as refused:
        load_looks("dark", [tmp_path])
    assert refused.value.message.startswith(f"{path}: ")
    assert "\n" not in refused.value.message


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(SettingsError, match=r"folder\.toml: cannot be read as a theme"):
        load_looks("dark", [tmp_path])


def test_a_theme_that_there_is_not_is_refused_with_those_there_are() -> None:
    with pytest.raises(
        SettingsError, match="'pink'; there are: ansi, colour-blind, dark, high-contrast, light"
    ):
        load_looks("pink")
