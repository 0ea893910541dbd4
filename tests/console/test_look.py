"""Themes: all of maitred's own are whole, and a wrong one is refused with its file and its key."""

from __future__ import annotations

import os
from collections.abc import Callable
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
        ("# " + "x" * 70_000, "cannot be read as a theme: is larger than 65,536 bytes"),
        (_DARK + '"a\\nb" = 1', r"parts.a␊b is not known"),
        (
            _DARK.replace(_GOOD, 'good = "link x\\u001b]0;y"'),
            r"tones.good: found 'link x\\x1b\]0;y'; a link is no",
        ),
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


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _loop(path: Path) -> None:
    path.symlink_to(path)


def _nowhere(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere"))


def _binary(path: Path) -> None:
    path.write_bytes(bytes(range(256)))


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (Path.mkdir, "Is a directory"),
        (os.mkfifo, "is no file"),
        (_device, "is no file"),
        (_loop, "Too many levels of symbolic links"),
        (_nowhere, "No such file"),
        (_binary, "can't decode byte 0x80"),
    ],
)
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, make: Callable[[Path], None], why: str) -> None:
    path = tmp_path / "odd.toml"
    make(path)
    with pytest.raises(SettingsError, match=why) as refused:
        load_looks("dark", [tmp_path])
    assert refused.value.message.startswith(f"{path}: cannot be read as a theme: ")
    assert refused.value.message.count(str(path)) == 1


def test_what_an_editor_leaves_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / ".#dark.toml").symlink_to("somebody@there.1234")
    (tmp_path / "._dark.toml").write_bytes(b"\x00\x05\x16\x07")
    (tmp_path / "dark.toml~").write_text("= =", encoding="utf-8")
    assert len(load_looks("dark", [tmp_path]).all()) == 5


def test_a_name_that_cannot_be_shown_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a\x1b[2Jb.toml").write_text(_DARK, encoding="utf-8")
    with pytest.raises(SettingsError, match="letters that can be shown") as refused:
        load_looks("dark", [tmp_path])
    assert refused.value.message.isprintable()


def test_without_colours_what_has_a_ground_of_its_own_is_reversed() -> None:
    looks = load_looks("dark")
    looks.do_without_colours()
    for look in looks.all():
        assert look.cell("bad", chosen=True).reverse
        assert look.style("tab_shown").reverse
        assert not look.style("text").reverse
    assert looks.current.name == "dark"
    assert looks.next().style("cursor").reverse


def test_a_theme_that_there_is_not_is_refused_with_those_there_are() -> None:
    with pytest.raises(
        SettingsError, match="'pink'; there are: ansi, colour-blind, dark, high-contrast, light"
    ):
        load_looks("pink")
