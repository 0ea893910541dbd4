"""`maitred init`: a private file that names every setting, sets none, and never goes over one that is there."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import msgspec
import pytest

from console.commands.init import settings_text
from console.commands.meanings import MEANINGS
from core.errors import SettingsError
from core.settings import Settings, load
from tests.processes.processes import House


@pytest.fixture
def empty(tmp_path: Path) -> House:
    """A home with nothing in it."""
    return House(tmp_path, "http://127.0.0.1:1/v1")


def test_it_writes_once(empty: House) -> None:
    done = empty.run("init")
    assert (done.code, done.stdout) == (0, f"{empty.settings_file}\n")
    assert stat.S_IMODE(empty.settings_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(empty.config.stat().st_mode) == 0o700
    assert empty.settings_file.read_text(encoding="utf-8") == settings_text()
    assert empty.run("config", "check").code == 0
    empty.settings_file.write_text("# mine\n", encoding="utf-8")
    empty.run("init").refused(str(empty.settings_file), "is there already")
    assert empty.settings_file.read_text(encoding="utf-8") == "# mine\n"


def test_a_link_to_nowhere_is_not_followed(empty: House) -> None:
    empty.config.mkdir(parents=True)
    elsewhere = empty.home / "elsewhere"
    empty.settings_file.symlink_to(elsewhere)
    empty.run("init").refused("is there already")
    assert not elsewhere.exists()


def test_a_folder_that_cannot_be_made_is_named(empty: House) -> None:
    empty.config.parent.write_text("", encoding="ascii")
    empty.run("init").refused(str(empty.settings_file), "make its folder writable")


def test_what_is_written_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "maitred.toml"
    file.write_text(settings_text(), encoding="utf-8")
    assert load(file, env={}).settings == Settings()


def one_by_one() -> list[tuple[str, str]]:
    """Every setting that is commented out, by its place, and the file in which that one is taken in.

    With it come its table's own line and what the table requires, as the file says.
    """
    lines = settings_text().splitlines()
    tables, table = [], ""
    for line in lines:
        table = line.lstrip("#") if re.match(r"#?\[", line) else table
        tables.append(table)
    marked = [
        at for at, line in enumerate(lines) if line.startswith("#[[") or lines[at - 1].endswith("(required)")
    ]
    found = []
    for number, line in enumerate(lines):
        if re.match(r"#[\w\[]", line):
            taken = {number, *(at for at in marked if tables[at] == tables[number])}
            text = "\n".join(each[1:] if at in taken else each for at, each in enumerate(lines))
            found.append((f"{tables[number]} {line.lstrip('#').partition(' =')[0]}", text))
    return found


def test_each_line_may_be_taken_in_alone(tmp_path: Path) -> None:
    file = tmp_path / "maitred.toml"
    cases = one_by_one()
    assert len(cases) > 60
    assert len({name for name, _ in cases}) == len(cases)
    for name, text in cases:
        file.write_text(text, encoding="utf-8")
        try:
            loaded = load(file, env={}, with_keys=False)
        except SettingsError as error:
            pytest.fail(f"{name}: {error}")
        assert loaded.origins, name


def test_what_is_no_default_is_marked() -> None:
    marked = re.findall(r"\((required|an example, not the default)\)\n#(\w+)", settings_text())
    assert {name for how, name in marked if how == "required"} == {"id", "name", "base_url", "role", "sha256"}
    assert {name for how, name in marked if how != "required"} == {
        "hours",
        "cached_usd_per_million",
        "reasoning_usd_per_million",
    }


def test_what_was_written_starts_a_house(empty: House) -> None:
    assert empty.run("init").code == 0
    with empty.serve() as serving:
        assert serving.leave().code == 0


def test_with_every_line_taken_in_it_says_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "maitred.toml"
    file.write_text(re.sub(r"^#(?=[\[\w])", "", settings_text(), flags=re.MULTILINE), encoding="utf-8")
    loaded = load(file, env={})
    made, default = loaded.settings, Settings()
    (model,), (upstream,), (token,) = made.admission.models, made.upstreams, made.tokens
    assert made == msgspec.structs.replace(
        default,
        admission=msgspec.structs.replace(default.admission, models=[model]),
        upstreams=[upstream],
        tokens=[token],
        keys={"abort": "X"},
    )
    named = {key for key in loaded.origins if "." in key}
    plain = {key for key in MEANINGS if "[]" not in key and "." in key} - {"admission.models"}
    assert plain <= named
    sections = {"admission.models[]": model, "upstreams[]": upstream, "tokens[]": token}
    raw = settings_text()
    for key in MEANINGS:
        section, _, name = key.rpartition(".")
        if section in sections:
            assert hasattr(sections[section], name)
        if key not in ("admission.models", "upstreams", "tokens", "keys"):
            assert re.search(rf"^#{name} = ", raw, re.MULTILINE), key
