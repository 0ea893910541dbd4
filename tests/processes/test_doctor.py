"""`maitred doctor`: a line for each check, what to do, and an exit code; it changes nothing."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from console.commands.health.terminal import _characters, _clipboard, _colours, _size
from console.commands.health.upstreams import _judged
from core.settings import Upstream as UpstreamSettings
from tests.processes.processes import House, Serving
from tests.storage.storage import Storage
from tests.upstream import Upstream

UTF8 = {"PYTHONIOENCODING": "utf-8"}


@pytest.fixture
def empty(tmp_path: Path, upstream: Upstream) -> House:
    """A home with nothing in it."""
    return House(tmp_path, upstream.base_url)


@contextlib.contextmanager
def taken() -> Iterator[int]:
    """A port that somebody listens on, who never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def examined(house: House, **env: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code, and the checks by name."""
    done = house.run("doctor", "--json", env={"MAITRED_SERVER_PORT": "0"} | UTF8 | env)
    document = json.loads(done.stdout)
    assert document["ok"] == (done.code == 0)
    assert all(check["advice"] for check in document["checks"] if check["verdict"] == "note")
    return done.code, {check["name"]: check for check in document["checks"]}


def test_an_empty_home_is_well_and_stays_empty(empty: House) -> None:
    code, checks = examined(empty)
    assert code == 0
    assert "maitred/echo answers" in checks["upstream"]["said"]
    assert "the defaults hold" in checks["settings"]["said"]
    assert [path.name for path in empty.home.iterdir()] == []
    done = empty.run("doctor", env={"MAITRED_SERVER_PORT": "0"} | UTF8)
    assert (done.code, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == len(checks)
    assert all(line[:7] in ("✓ good ", "! note ", "✗ wrong") for line in lines)


def test_a_house_at_work(house: House) -> None:
    with house.serve() as serving:
        code, checks = examined(house, MAITRED_SERVER_PORT=str(serving.port))
    assert code == 0
    assert f"process {serving.pid}" in checks["database"]["said"]
    assert (checks["port"]["verdict"], checks["port"]["name"]) == ("note", "port")
    assert "held by a maitred" in checks["port"]["said"]
    assert {checks[name]["verdict"] for name in ("config", "data", "state", "log")} <= {"good", "note"}
    _, checks = examined(house)
    assert "nobody works on it" in checks["database"]["said"]


def test_another_house_on_the_port_is_known(house: House, tmp_path: Path, serving: Serving) -> None:
    _, checks = examined(house, MAITRED_SERVER_PORT=str(serving.port))
    assert "held by a maitred" in checks["port"]["said"]


def test_a_port_that_somebody_else_has(empty: House) -> None:
    with taken() as port:
        code, checks = examined(empty, MAITRED_SERVER_PORT=str(port))
    assert (code, checks["port"]["verdict"]) == (1, "wrong")
    assert "somebody listens there already" in checks["port"]["said"]


def test_a_foreign_address_without_a_token(empty: House) -> None:
    code, checks = examined(empty, MAITRED_SERVER_HOST="192.0.2.1")
    assert (code, checks["port"]["verdict"]) == (1, "wrong")
    assert "without a token" in checks["port"]["said"]


def test_wrong_settings_are_told_beside_what_can_be_checked(house: House) -> None:
    house.settings("[server]\nprot = 1")
    code, checks = examined(house)
    assert (code, checks["settings"]["verdict"]) == (1, "wrong")
    assert "prot" in checks["settings"]["said"]
    assert {"data", "database", "terminal"} <= set(checks)


def test_a_storage_that_does_not_answer(house: House) -> None:
    url = f"postgresql://me:hidden@/maitred?host={house.home}"
    code, checks = examined(house, MAITRED_STORAGE_URL=url)
    assert (code, checks["database"]["verdict"]) == (1, "wrong")
    assert "me@/maitred" in checks["database"]["said"]
    assert "hidden" not in str(checks)


def test_a_storage_that_answers(house: House, postgres: Storage) -> None:
    _, checks = examined(house, MAITRED_STORAGE_URL=postgres.url)
    assert checks["database"]["verdict"] == "good"


def test_a_wrong_theme_and_a_wrong_key(house: House) -> None:
    themes = house.config / "themes"
    themes.mkdir(parents=True)
    (themes / "mine.toml").write_text("dark = 3\n", encoding="utf-8")
    code, checks = examined(house)
    assert (code, checks["console"]["verdict"]) == (1, "wrong")
    assert str(themes / "mine.toml") in checks["console"]["said"]


@pytest.mark.parametrize(("mode", "verdict"), [(0o755, "note"), (0o700, "good")])
def test_folders(empty: House, mode: int, verdict: str) -> None:
    empty.data.mkdir(parents=True)
    empty.data.chmod(mode)
    assert examined(empty)[1]["data"]["verdict"] == verdict


def test_what_is_no_folder_and_no_database(empty: House) -> None:
    empty.state.parent.mkdir(parents=True)
    empty.state.write_text("", encoding="ascii")
    empty.data.mkdir(parents=True, mode=0o700)
    empty.database.write_bytes(b"not a database, but long enough to look like one" * 100)
    code, checks = examined(empty)
    assert code == 1
    assert [checks[name]["verdict"] for name in ("state", "log", "database")] == ["wrong"] * 3


def test_a_folder_that_cannot_even_be_looked_at(empty: House) -> None:
    code, checks = examined(empty, XDG_DATA_HOME=f"{empty.home}/{'n' * 300}")
    assert code == 1
    for name in ("data", "database"):
        assert checks[name]["verdict"] == "wrong"
        assert "cannot be looked at (File name too long)" in checks[name]["said"]


def test_a_config_folder_that_cannot_be_made_keeps_nobody_from_starting(empty: House) -> None:
    code, checks = examined(empty, XDG_CONFIG_HOME=f"{empty.home}/{'n' * 300}")
    assert checks["config"]["verdict"] == "note"
    assert (code, checks["settings"]["verdict"]) == (1, "wrong"), "but what may stand in it cannot be read"


def test_a_database_of_a_newer_maitred(empty: House) -> None:
    with empty.serve() as serving:
        serving.leave()
    import sqlite3

    with contextlib.closing(sqlite3.connect(empty.database)) as database, database:
        database.execute("UPDATE schema_version SET version = 99")
    code, checks = examined(empty)
    assert (code, checks["database"]["verdict"]) == (1, "wrong")
    assert "schema 99" in checks["database"]["said"]


def test_upstreams(empty: House) -> None:
    with taken() as port:
        pass  # and now nobody listens there
    empty.config.mkdir(parents=True)
    empty.settings_file.write_text(
        f'[[upstreams]]\nname = "gone"\nbase_url = "http://127.0.0.1:{port}/v1"\n'
        '[[upstreams]]\nname = "nowhere"\nbase_url = "http://no-such-host.invalid/v1"\n'
        '[[upstreams]]\nname = "keyless"\nbase_url = "http://127.0.0.1:1/v1"\napi_key_env = "NO_KEY"\n',
        encoding="utf-8",
    )
    done = empty.run("doctor", "--json", env={"MAITRED_SERVER_PORT": "0"} | UTF8)
    told = [check["said"] for check in json.loads(done.stdout)["checks"] if check["name"] == "upstream"]
    assert done.code == 1
    assert "takes no connection" in told[0]
    assert "does not resolve" in told[1]
    assert "NO_KEY is not set" in told[2]


@pytest.mark.parametrize(
    ("status", "body", "verdict", "said"),
    [
        (200, {"data": [{"id": "m"}, {"id": "n"}]}, "good", "2 models, the key is accepted"),
        (200, {"data": [{"id": "n"}]}, "note", "does not list m"),
        (200, {"models": []}, "note", "not as OpenAI does"),
        (200, [], "note", "not as OpenAI does"),
        (401, {}, "wrong", "refuses the key"),
        (307, {}, "wrong", "leads elsewhere"),
        (404, {}, "note", "no list of models"),
        (500, {}, "wrong", "answers 500"),
    ],
)
def test_what_an_upstream_answers(status: int, body: Any, verdict: str, said: str) -> None:
    upstream = UpstreamSettings(name="u", base_url="http://h/v1", models=["m"])
    check = _judged(upstream, httpx.Response(status, json=body), keyed=True)
    assert (check.verdict, said in check.said) == (verdict, True), check


def test_without_a_terminal_nothing_is_wrong_with_it(empty: House) -> None:
    code, checks = examined(empty, TERM="", PYTHONIOENCODING="ascii")
    assert (code, checks["terminal"]["verdict"]) == (0, "note")
    assert not {"colours", "letters"} & set(checks)


def test_the_terminal() -> None:
    assert _size((80, 24)).verdict == "good"
    assert _size((79, 24)).verdict == _size((80, 23)).verdict == "note"
    assert _colours("dumb", "", plain=False).verdict == "wrong"
    assert _colours("xterm", "", plain=False).verdict == "note"
    assert _colours("xterm-256color", "", plain=False).verdict == "good"
    assert _colours("xterm", "truecolor", plain=False).said == "16 million"
    assert _colours("xterm", "", plain=True).verdict == "good"
    assert _clipboard("on").verdict == _clipboard("").verdict == "good"
    assert _clipboard("external").verdict == "note"
    assert "set-clipboard on" in _clipboard("off").advice
    assert _characters("UTF-8").verdict == "good"
    assert _characters("ascii").verdict == "wrong"
