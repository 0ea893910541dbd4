"""Whatever keeps maitred from starting is told in one line: what, where, and what to do. For serve and the console."""

from __future__ import annotations

import os
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.processes.processes import House
from tests.processes.terminal import Terminal

SECRET = "do-not-show-this"


def refused_by_both(house: House, *arguments: str, said: tuple[str, ...]) -> None:
    """Neither `maitred serve` nor `maitred` starts; each says so in one line, exits with 1 and leaves no trace."""
    refused(house, "serve", "--port", "0", *arguments, said=said)
    with Terminal(house.command("--port", "0", *arguments), house) as terminal:
        assert terminal.finish() == 1, terminal.text()
        terminal.check_given_back()
        (line,) = terminal.said()
        assert line.startswith("maitred: ")
        for text in said:
            assert text in line, (text, line)


def refused(house: House, *arguments: str, said: tuple[str, ...]) -> None:
    line = house.run(*arguments).refused(*said)
    assert SECRET not in line


# -------------------------------------------------------------------------------------------- settings

WRONG_SETTINGS = {
    "not TOML": ("[server\n", ("not TOML", "line 1")),
    "an unknown section": ("[sever]\nport = 1", ("sever", "allowed here", "server")),
    "an unknown key": ("[server]\nprot = 1", ("server", "prot", "allowed here", "port")),
    "a wrong type": ('[server]\nport = "http"', ("server.port", "int", "'http'")),
    "out of range": ("[server]\nport = 70000", ("server.port", "65535", "70000")),
    "a nested key": (
        '[admission.quota]\nzone = "Mars/Base"',
        ("admission.quota.zone", "Mars/Base", "America/"),
    ),
    "not one of": ('[runs]\non_disconnect = "shrug"', ("runs.on_disconnect", "shrug")),
    "a model that there is not": (
        '[admission]\nfallback_model = "b"\n[[admission.models]]\nid = "a"',
        ("admission.fallback_model", "'b'", "allowed: a"),
    ),
    "no address": ('[[upstreams]]\nname = "u"\nbase_url = "nonsense"', ("upstreams.u.base_url", "https://")),
    "another scheme": (
        '[[upstreams]]\nname = "u"\nbase_url = "ftp://host/v1"',
        ("upstreams.u.base_url", "https://"),
    ),
    "a bad port": (
        '[[upstreams]]\nname = "u"\nbase_url = "http://h:x/v1"',
        ("upstreams.u.base_url", "https://"),
    ),
    "a password in an address": (
        f'[[upstreams]]\nname = "u"\nbase_url = "https://me:{SECRET}@host/v1"',
        ("upstreams.u.base_url", "api_key_env"),
    ),
    "a key that is not set": (
        '[[upstreams]]\nname = "u"\nbase_url = "http://h/v1"\napi_key_env = "NO_SUCH_KEY"',
        ("upstreams.u.api_key_env", "NO_SUCH_KEY", "export"),
    ),
    "an upstream twice": (
        '[[upstreams]]\nname = "u"\nbase_url = "http://h/v1"\n' * 2,
        ("upstreams.u", "same name"),
    ),
    "a token in place of its hash": (
        f'[[tokens]]\nname = "t"\nrole = "viewer"\nsha256 = "{SECRET}"',
        ("tokens[0].sha256",),
    ),
    "a user's token without a user": (
        f'[[tokens]]\nname = "t"\nrole = "user"\nsha256 = "{"0" * 64}"',
        ("tokens.t.user",),
    ),
}


@pytest.mark.parametrize("case", WRONG_SETTINGS)
def test_a_wrong_settings_file(house: House, case: str) -> None:
    text, said = WRONG_SETTINGS[case]
    house.settings_file.write_text(text, encoding="utf-8")
    refused(house, "serve", said=(str(house.settings_file), *said))
    assert not house.data.exists(), "nothing was made"


def test_the_console_refuses_a_wrong_settings_file_alike(house: House) -> None:
    house.settings_file.write_text("[server]\nprot = 1", encoding="utf-8")
    refused_by_both(house, said=(str(house.settings_file), "server", "prot", "allowed here"))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ('[console]\ntheme = "none-such"', ("none-such", "dark")),
        ('[keys]\nfly = "F"', ("fly", "abort")),
    ],
    ids=["theme", "key"],
)
def test_what_only_the_console_wants(house: House, settings: str, said: tuple[str, ...]) -> None:
    house.settings(settings)
    with Terminal(house.command("--port", "0"), house) as terminal:
        assert terminal.finish() == 1
        terminal.check_given_back()
        (line,) = terminal.said()
    assert line.startswith("maitred: ")
    assert all(text in line for text in said), line


def test_settings_that_cannot_be_read(house: House, tmp_path: Path) -> None:
    refused(house, "serve", "--config", str(tmp_path / "nowhere.toml"), said=("nowhere.toml", "maitred info"))
    refused(house, "serve", "--config", str(tmp_path), said=(str(tmp_path), "cannot be read"))
    house.settings_file.write_bytes(b"\xff\xfe[server]")
    refused(house, "serve", said=(str(house.settings_file), "cannot be read"))


def test_a_wrong_variable(house: House) -> None:
    for name, value, said in (
        ("MAITRED_SERVER_PORT", "many", "int"),
        ("MAITRED_SERVER_PORT", "70000", "65535"),
        ("MAITRED_ADMISSION_ENABLED", "perhaps", "bool"),
    ):
        house.run("serve", env={name: value}).refused(f"${name}", value, said)


# ------------------------------------------------------------------------------------- address and port


def test_an_occupied_port(house: House) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = str(holder.getsockname()[1])
        refused_by_both(house, "--port", port, said=(f"127.0.0.1:{port}", "listens", "--port"))


def test_a_foreign_address_without_a_token(house: House) -> None:
    refused_by_both(house, "--host", "0.0.0.0", said=("0.0.0.0", "token", "127.0.0.1"))
    for host in ("::", "192.0.2.1", "a.name.invalid", "127.0.0.1.invalid"):
        refused(house, "serve", "--port", "0", "--host", host, said=(host, "token"))


@pytest.mark.parametrize("host", ["192.0.2.1", "a.name.invalid"])
def test_an_address_that_is_not_ours(house: House, host: str) -> None:
    house.settings(f'[[tokens]]\nname = "t"\nrole = "viewer"\nsha256 = "{"0" * 64}"')
    refused(house, "serve", "--port", "0", "--host", host, said=(host, "cannot listen", "[server] host"))


# --------------------------------------------------------------------------------------------- folders


def blocked_folder(name: str) -> Callable[[House], Path]:
    def block(house: House) -> Path:
        path: Path = getattr(house, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("a file where a folder should be", encoding="utf-8")
        return path

    return block


def blocked_parent(house: House) -> Path:
    (house.home / "data").write_text("a file where a folder should be", encoding="utf-8")
    return house.data


def a_folder_at(*parts: str) -> Callable[[House], Path]:
    def block(house: House) -> Path:
        path: Path = getattr(house, parts[0]).joinpath(*parts[1:])
        path.mkdir(parents=True)
        return path

    return block


BLOCKED = {
    "data": blocked_folder("data"),
    "the folder of data": blocked_parent,
    "state": blocked_folder("state"),
    "log": a_folder_at("state", "log", "maitred.log"),
    "lock": a_folder_at("data", "maitred.lock"),
    "database": a_folder_at("data", "maitred.db"),
    "token": a_folder_at("state", "token"),
}


@pytest.mark.parametrize("what", BLOCKED)
def test_a_folder_that_cannot_be_used(house: House, what: str) -> None:
    path = BLOCKED[what](house)
    refused_by_both(house, said=(str(path), "move it away" if what == "database" else "writable for you"))


if os.geteuid() != 0:  # root may write everywhere

    def test_a_folder_that_may_not_be_written(house: House) -> None:
        house.data.parent.mkdir()
        house.data.parent.chmod(0o500)
        try:
            refused_by_both(house, said=(str(house.data), "writable"))
        finally:
            house.data.parent.chmod(0o700)


def test_a_token_file_that_holds_something_else(house: House) -> None:
    house.state.mkdir(parents=True)
    (house.state / "token").write_bytes(b"\xff\xfe\x00")
    refused_by_both(house, said=(str(house.state / "token"), "holds no token", "remove it"))
    house.run("view").refused(str(house.state / "token"), "--token-env")


def test_a_second_process_is_told_to_attach(house: House) -> None:
    with house.serve() as serving:
        refused_by_both(house, said=(str(house.data), str(serving.pid), f"maitred attach {serving.url}"))
        assert serving.view() == [], "the first one goes on"
        with serving.http() as http:
            assert http.get("/readyz").status_code == 200


def test_a_crashed_process_holds_nothing(house: House) -> None:
    with house.serve() as serving:
        serving.kill()
    with house.serve() as serving:
        assert serving.leave().code == 0


# -------------------------------------------------------------------------------------------- database


@contextmanager
def a_database(house: House) -> Iterator[sqlite3.Connection]:
    house.data.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(house.database)) as connection:
        yield connection
        connection.commit()


def test_a_database_of_a_newer_version(house: House) -> None:
    with a_database(house) as connection:
        connection.execute("CREATE TABLE schema_version (version INTEGER NOT NULL)")
        connection.execute("INSERT INTO schema_version VALUES (999)")
    refused_by_both(house, said=(str(house.database), "newer", "999", "another data folder"))
    assert house.query("SELECT name, sql IS NULL FROM sqlite_schema") == [("schema_version", 0)]
    assert house.query("SELECT version FROM schema_version") == [(999,)]


@pytest.mark.parametrize("size", [20, 100_000])
def test_a_database_that_is_none(house: House, size: int) -> None:
    house.data.mkdir(parents=True)
    garbage = (b"this is no database " * size)[:size]
    house.database.write_bytes(garbage)
    refused_by_both(house, said=(str(house.database), "not a database", "move it away"))
    assert house.database.read_bytes() == garbage


@pytest.mark.parametrize("version", ["NULL", "'nonsense'", "-1"])
def test_a_database_without_a_version(house: House, version: str) -> None:
    with a_database(house) as connection:
        connection.execute("CREATE TABLE schema_version (version)")
        connection.execute(f"INSERT INTO schema_version VALUES ({version})")
    refused(house, "serve", "--port", "0", said=(str(house.database), "move it away"))


def test_what_was_refused_leaves_the_folder_free(house: House) -> None:
    """A start that failed late holds neither lock nor port: the next one works."""
    house.data.mkdir(parents=True)
    house.database.write_bytes(b"x" * 5000)
    refused_by_both(house, said=("not a database",))
    house.database.unlink()
    with house.serve() as serving:
        assert serving.leave().code == 0
