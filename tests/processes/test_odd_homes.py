"""Homes as people have them: folders with blanks and letters of every kind, no HOME, a config that nobody may write."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.look import theme_folders
from tests.processes.processes import House
from tests.processes.terminal import Terminal

_DARK = (theme_folders()[0] / "dark.toml").read_text(encoding="utf-8")


@pytest.fixture(params=[{}, {"LC_ALL": "C"}], ids=["own language", "LC_ALL=C"])
def odd(tmp_path: Path, request: pytest.FixtureRequest) -> House:
    """An empty home whose path has blanks and letters beyond ASCII."""
    home = tmp_path / "mit Leerzeichen" / "größe ☕ 家"
    home.mkdir(parents=True)
    house = House(home, "http://127.0.0.1:1/v1")
    house.environment.update(request.param)
    return house


def test_paths_with_blanks_and_letters_of_every_kind(odd: House) -> None:
    written = odd.run("init")
    assert (written.code, written.stdout) == (0, f"{odd.settings_file}\n")
    told = odd.run("info")
    assert str(odd.database) in told.stdout
    with odd.serve() as serving:
        assert odd.run("view").code == 0
        assert serving.leave().code == 0
    (odd.config / "themes").mkdir()
    (odd.config / "themes" / "mein dünkles.toml").write_text(_DARK, encoding="utf-8")
    examined = odd.run("doctor", env={"MAITRED_SERVER_PORT": "0", "MAITRED_CONSOLE_THEME": "mein dünkles"})
    assert examined.code == 0, examined.stdout
    assert "theme mein dünkles, 6 themes" in examined.stdout


def test_a_theme_of_ones_own_is_walked_to_on_a_terminal(odd: House) -> None:
    (odd.config / "themes").mkdir(parents=True)
    (odd.config / "themes" / "mein dünkles.toml").write_text(_DARK, encoding="utf-8")
    with Terminal(odd.command("--port", "0"), odd, env={"MAITRED_CONSOLE_THEME": "light"}) as terminal:
        terminal.shows("● live")
        terminal.press("\x14")
        terminal.shows("theme: mein dünkles")
        terminal.press("q")
        assert terminal.finish() == 0
        terminal.check_given_back()


def test_a_wrong_theme_of_ones_own_is_refused_before_the_screen_is_taken(odd: House) -> None:
    path = odd.config / "themes" / "mein.toml"
    path.parent.mkdir(parents=True)
    path.write_text(_DARK.replace("#d8a657", "orangeish"), encoding="utf-8")
    with Terminal(odd.command("--port", "0"), odd) as terminal:
        assert terminal.finish() == 1
        (line,) = terminal.said()
        assert line.startswith(
            f"maitred: {path}: base.warning: found 'orangeish'; allowed: a colour as #rrggbb"
        )
        assert b"\x1b" not in terminal.sent
    with odd.serve() as serving:
        assert serving.leave().code == 0, "a core without a console needs no theme, and nothing is held"


def test_without_a_home(tmp_path: Path) -> None:
    house = House(tmp_path, "http://127.0.0.1:1/v1")
    del house.environment["HOME"]
    assert house.run("info").code == 0
    with house.serve() as serving:
        assert serving.leave().code == 0


def test_a_config_folder_that_cannot_be_made_is_done_without(tmp_path: Path) -> None:
    house = House(tmp_path, "http://127.0.0.1:1/v1")
    house.config.parent.mkdir()
    house.config.symlink_to(tmp_path / "nowhere" / "at all")
    with house.serve() as serving:
        assert serving.leave().code == 0
    house.run("init").refused(str(house.settings_file), "make its folder writable")
