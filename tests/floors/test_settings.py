"""What may be set, how, and what is said of a wrong value."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from core.errors import FolderUnusable, SettingsError
from core.settings import Folders, Settings, folders, load


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "maitred.toml"


def refused(file: Path, text: str) -> str:
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load(file, env={})
    assert "\n" not in caught.value.message
    return caught.value.message


def test_without_a_file_the_defaults_hold(home: Path) -> None:
    loaded = load(env={})
    assert loaded.settings == Settings()
    assert loaded.settings.server.port == 8484
    assert loaded.path == home / "config" / "maitred" / "maitred.toml"


def test_flags_beat_the_environment_beats_the_file(file: Path) -> None:
    file.write_text("[server]\nport = 1\nhost = '127.0.0.2'\n[admission.quota]\nfull = 2\n")
    env = {
        "MAITRED_SERVER_PORT": "2",
        "MAITRED_ADMISSION_QUOTA_FULL": "7.5",
        "MAITRED_ADMISSION_ENABLED": "off",
    }
    loaded = load(file, env=env, flags={"server.port": 3, "server.host": None})
    assert loaded.settings.server.port == 3
    assert loaded.settings.server.host == "127.0.0.2"
    assert loaded.settings.admission.quota.full == 7.5
    assert loaded.settings.admission.enabled is False
    assert loaded.origins["server.port"] == "flag"
    assert loaded.origins["server.host"] == str(file)
    assert loaded.origins["admission.enabled"] == "$MAITRED_ADMISSION_ENABLED"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[server]\nport = 'x'", ["server.port", "int", "'x'"]),
        ("[server]\nport = 70000", ["server.port", "65535", "70000"]),
        ("[server]\nprt = 1", ["server", "prt", "host, port"]),
        ("[sever]\nport = 1", ["sever", "server"]),
        ("server = 1", ["server", "object"]),
        ("[server", ["TOML"]),
        ("[[admission.models]]\nid = 'a'\ntier = 'HUGE'", ["admission.models[0].tier", "HUGE"]),
        (
            "[[admission.models]]\nid = 'a'\ncolour = 'HUGE'",
            ["admission.models[0]", "colour", "instant_admit_capacity"],
        ),
        ("[[admission.models]]\nid = 'a'\n[[admission.models]]\nid = 'a'", ["same id"]),
        ("[admission]\nfallback_model = 'b'", ["fallback_model", "'b'", "none is configured"]),
        ("[admission.health]\nstale_seconds = 29.9", ["admission.health.stale_seconds", "29.9", "(30)"]),
        (
            "[admission]\nlimited_model = 'a'\n[[admission.models]]\nid = 'a'",
            ["limited_model", "'a'", "limited = true"],
        ),
        ("[[admission.models]]\nid = 'a'\ncompanions = ['b']", ["companions", "'b'", "allowed: a"]),
        (
            "[[admission.models]]\nid = 'a'\nhours = { open = '9 UTC', close = '17:00 UTC' }",
            ["hours.open", "'9 UTC'"],
        ),
        (
            "[[admission.models]]\nid = 'a'\nhours = { open = '09:00 UTC', close = '17:00 Mars' }",
            ["hours.close"],
        ),
        ("[admission.quota]\nzone = 'Mars/North'", ["quota.zone", "Mars/North"]),
        ("[storage]\nurl = 'mysql://x'", ["storage.url", "postgresql"]),
        ("[[upstreams]]\nname = 'a'\nbase_url = 'nowhere'", ["upstreams.a.base_url", "https://"]),
        ("[[upstreams]]\nname = 'a'\nbase_url = 'https://u:p@x/v1'", ["upstreams.a.base_url", "api_key_env"]),
        ("[[upstreams]]\nname='a'\nbase_url='http://x'\napi_key_env='NOT_THERE'", ["NOT_THERE", "not set"]),
        ("[[tokens]]\nname = 't'\nrole = 'king'\nsha256 = '%s'" % ("0" * 64), ["tokens[0].role", "king"]),
        ("[[tokens]]\nname = 't'\nrole = 'user'\nsha256 = '%s'" % ("0" * 64), ["tokens.t.user"]),
        ("[[tokens]]\nname = 't'\nrole = 'viewer'\nsha256 = 'secret'", ["tokens[0].sha256"]),
    ],
)
def test_what_is_wrong_is_named(file: Path, text: str, told: list[str]) -> None:
    message = refused(file, text)
    assert str(file) in message
    assert [part for part in told if part not in message] == []


def test_a_wrong_variable_is_named() -> None:
    with pytest.raises(SettingsError, match=r"\$MAITRED_SERVER_PORT.*'many'"):
        load(env={"MAITRED_SERVER_PORT": "many"})


def test_a_file_that_is_asked_for_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such settings file"):
        load(tmp_path / "none.toml", env={})


def test_api_keys_come_from_the_environment_and_are_not_settings(file: Path) -> None:
    file.write_text("[[upstreams]]\nname = 'a'\nbase_url = 'http://x/v1'\napi_key_env = 'KEY'\n")
    loaded = load(file, env={"KEY": "sk-secret"})
    assert loaded.api_keys == {"a": "sk-secret"}
    assert "sk-secret" not in repr(loaded.settings)


def test_folders_are_private(home: Path) -> None:
    made = folders()
    made.make()
    for folder in (made.config, made.data, made.state, made.log):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert home in folder.parents


def test_a_config_folder_that_cannot_be_made_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    own = tmp_path / "own"
    Folders(config=tmp_path / "file" / "config", data=own, state=own, log=own).make()
    assert own.is_dir()


def test_a_file_that_cannot_be_read_is_told_once_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        load(tmp_path, env={})
    told = f"{tmp_path}: cannot be read (Is a directory); make it a file that you may read"
    assert refused.value.message == told


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    broken = Folders(config=tmp_path, data=tmp_path / "file" / "data", state=tmp_path, log=tmp_path)
    with pytest.raises(FolderUnusable, match="data: cannot be used"):
        broken.make()
