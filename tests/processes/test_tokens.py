"""`maitred token new`, and tokens that commands read from files."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import subprocess
import threading
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from console.commands.init import settings_text
from console.commands.token import ROLES
from core.settings import load
from core.settings.schema import Token
from tests.processes.processes import Finished, House, Serving

pytestmark = pytest.mark.xdist_group("tokens")

SETTINGS = ""


def made(done: Finished) -> str:
    """The token that was printed, alone."""
    assert done.code == 0, done
    assert re.fullmatch(r"mtr_[\w-]{43}\n", done.stdout), done
    assert done.stdout.strip() not in done.stderr
    return done.stdout.strip()


def hash_of(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def tokens(file: Path) -> list[Token]:
    return load(file, env={}, with_keys=False).settings.tokens


def private_file(path: Path, text: str, mode: int = 0o600) -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    path.chmod(mode)
    return path


def test_the_roles_are_those_of_the_settings() -> None:
    (kind,) = (field.type for field in msgspec.structs.fields(Token) if field.name == "role")
    assert get_args(kind) == ROLES


# ---------------------------------------------------------------------------------------- token new


@pytest.mark.parametrize("role", ["viewer", "operator", "service", "user"])
def test_what_it_prints_lets_its_holder_in(house: House, role: str) -> None:
    user = ["--user", "ann"] if role == "user" else []
    done = house.run("token", "new", "--role", role, "--name", 'the "new" ü', *user)
    token = made(done)
    house.settings(done.stderr)
    (known,) = tokens(house.settings_file)
    assert msgspec.to_builtins(known) == {
        "name": 'the "new" ü',
        "role": role,
        "user": "ann" if user else "",
        "sha256": hash_of(token),
    }
    path = "/v1/models" if role in ("service", "user") else "/v1/view"
    with house.serve() as serving:
        for given, status in ((token, 200), (token + "x", 401), (hash_of(token), 401)):
            with serving.http(token=given) as http:
                assert http.get(path).status_code == status


def test_no_two_are_alike(house: House) -> None:
    assert made(house.run("token", "new", "--role", "viewer")) != made(
        house.run("token", "new", "--role", "viewer")
    )
    assert not house.data.exists(), "nothing is made where nothing is asked for"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--role", "user"],
        ["--role", "viewer", "--user", "ann"],
        ["--role", "king"],
        [],
        ["--role", "viewer", "--name", "a\nb"],
        ["--role", "user", "--user", "a\x7fb"],
        ["--role", "viewer", "--name", b"\xff"],
        ["--role", "viewer", "--config", "x.toml"],
    ],
    ids=range(8),
)
def test_wrong_usage(house: House, arguments: list[str]) -> None:
    before = house.settings_file.read_bytes()
    done = house.run("token", "new", *arguments)
    assert (done.code, done.stdout) == (2, "")
    assert "Error: " in done.stderr
    assert house.settings_file.read_bytes() == before


@pytest.mark.parametrize("begun_with", ["init", "nothing", "no newline", "windows"])
def test_written_into_the_settings(house: House, begun_with: str) -> None:
    file = house.settings_file
    text = {
        "init": settings_text(),
        "no newline": "[server]\nport = 1",
        "windows": "[server]\r\nport = 1\r\n",
    }
    file.unlink()
    if begun_with in text:
        private_file(file, text[begun_with])
    first = made(house.run("token", "new", "--role", "viewer", "--write"))
    second = made(house.run("token", "new", "--role", "user", "--user", "ann", "--write"))
    assert [(each.name, each.role, each.user, each.sha256) for each in tokens(file)] == [
        ("viewer", "viewer", "", hash_of(first)),
        ("ann", "user", "ann", hash_of(second)),
    ]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in house.config.iterdir()] == [file.name], "nothing is left beside it"
    written = file.read_text()
    assert first not in written
    if begun_with == "init":
        assert written.startswith(settings_text().rstrip())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[tokens]]\nname = "viewer"\nrole = "operator"\nsha256 = "%s"\n' % ("0" * 64), "is there already"),
        ("tokens = []\n", "cannot be added to"),
        ("[server]\nprot = 1\n", "prot"),
        ("[server\n", "not TOML"),
    ],
    ids=["the name", "another way of writing", "wrong", "no TOML"],
)
def test_what_cannot_be_added_to_stays_as_it_is(house: House, text: str, said: str) -> None:
    private_file(house.settings_file, text)
    house.run("token", "new", "--role", "viewer", "--write").refused(str(house.settings_file), said)
    assert house.settings_file.read_text() == text
    assert [path.name for path in house.config.iterdir()] == [house.settings_file.name]


def test_another_file_and_a_link_to_it(house: House, tmp_path: Path) -> None:
    real = private_file(tmp_path / "real.toml", "# mine\n", 0o640)
    link = tmp_path / "link.toml"
    link.symlink_to(real)
    made(house.run("token", "new", "--role", "viewer", "--write", "--config", str(link)))
    assert link.is_symlink()
    assert real.read_text().startswith("# mine\n\n[[tokens]]\n")
    assert stat.S_IMODE(real.stat().st_mode) == 0o640, "a group that was let in stays so"
    real.chmod(0o644)
    made(house.run("token", "new", "--role", "operator", "--write", "--config", str(link)))
    assert stat.S_IMODE(real.stat().st_mode) == 0o640, "and nobody else reads whose tokens there are"
    nowhere = tmp_path / "file"
    nowhere.touch()
    house.run("token", "new", "--role", "viewer", "--write", "--config", str(nowhere / "x.toml")).refused(
        "x.toml", "writable for you"
    )


def test_many_at_once_lose_nothing(house: House) -> None:
    found: list[Finished] = []

    def add(number: int) -> None:
        found.append(house.run("token", "new", "--role", "viewer", "--name", f"n{number}", "--write"))

    adding = [threading.Thread(target=add, args=(number,)) for number in range(6)]
    for each in adding:
        each.start()
    for each in adding:
        each.join()
    hashes = {hash_of(made(done)) for done in found}
    assert {each.sha256 for each in tokens(house.settings_file)} == hashes
    assert len(hashes) == 6


# --------------------------------------------------------------------------------------- token files


@pytest.mark.parametrize("arguments", [["view"], ["watch"], ["do", "resume", "all"]], ids=" ".join)
def test_a_token_s_file(serving: Serving, tmp_path: Path, arguments: list[str]) -> None:
    house = serving.house
    token = house.token()
    good = private_file(tmp_path / "good", f"{token}\n")
    if arguments != ["watch"]:
        assert house.run(*arguments, "--token-file", str(good)).code == 0
    bad = private_file(tmp_path / "bad", "mtr_wrong")
    house.run(*arguments, "--token-file", str(bad)).refused("needs a token")
    for mode in (0o640, 0o604, 0o620, 0o602, 0o644):
        good.chmod(mode)
        line = house.run(*arguments, "--token-file", str(good)).refused(str(good), "chmod 600")
        assert token not in line


@pytest.mark.parametrize(
    "held", ["", "\n", "mtr secret", "mtr_secret\x1b", "mtr_secret\nand more", "mtr_secret" * 1000, "ü"]
)
def test_a_file_that_holds_no_token(serving: Serving, tmp_path: Path, held: str) -> None:
    file = private_file(tmp_path / "token", held)
    line = serving.house.run("view", "--token-file", str(file)).refused(str(file), "holds ")
    assert "secret" not in line


def test_a_file_that_cannot_be_read(serving: Serving, tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        serving.house.run("view", "--token-file", str(path)).refused(str(path), "cannot be read")


def test_a_token_comes_from_one_place(serving: Serving, tmp_path: Path) -> None:
    file = private_file(tmp_path / "token", serving.house.token())
    done = serving.house.run(
        "view", "--token-file", str(file), "--token-env", "T", env={"T": serving.house.token()}
    )
    assert (done.code, done.stdout) == (2, "")
    assert "--token-env" in done.stderr


def test_a_token_that_a_shell_hands_over(serving: Serving) -> None:
    """As in --token-file <(pass show maitred): a pipe, which nobody else can read."""
    script = 'exec "$0" -m console view --token-file <(printf %s "$TOKEN")'
    house = serving.house
    done = subprocess.run(
        ["bash", "-c", script, house.command()[0]],
        env=house.environment | {"TOKEN": house.token()},
        cwd=house.home,
        capture_output=True,
        check=False,
        timeout=20,
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_no_command_takes_a_token_as_an_argument(serving: Serving) -> None:
    """What stands there is readable for everybody on the machine."""
    for command in ("attach", "view", "watch", "do"):
        told = serving.house.run(command, "--help").stdout
        assert re.findall(r"--token[\w-]*", told) == ["--token-env", "--token-file"]
    assert os.access(serving.house.state / "token", os.R_OK)
