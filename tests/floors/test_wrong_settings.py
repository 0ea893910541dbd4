"""Wrong settings are refused in one line, whatever is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.agents import Directory
from core.errors import DatabaseUnusable, SettingsError, StartRefused
from core.session_core import SessionCore
from core.settings import Settings, Storage, load, without_secrets


@pytest.mark.parametrize(
    ("text", "env", "flags"),
    [
        ("server = 5", {}, {"server.port": 1}),
        ("server = 5", {"MAITRED_SERVER_PORT": "1"}, {}),
        ("[admission]\nquota = 1", {"MAITRED_ADMISSION_QUOTA_ZONE": "UTC"}, {}),
        ("server = 5", {}, {}),
        ("[[server]]\nport = 1", {"MAITRED_SERVER_PORT": "1"}, {}),
        ("", {"MAITRED_SERVER_PORT": "9" * 5000}, {}),
        ("", {"MAITRED_SERVER_PORT": ""}, {}),
        ("", {"MAITRED_ROUTER_IDLE_SECONDS": "nan"}, {}),
        ("", {"MAITRED_RUNS_ON_DISCONNECT": "maybe"}, {}),
        ("[keys]\nabort = 5", {}, {}),
        ("[[upstreams]]\nname='a'\nbase_url='http://h'\napi_key_env='K'", {"K": "a\nb"}, {}),
        ("[[upstreams]]\nname='a'\nbase_url='http://h'\napi_key_env='K'", {"K": "ключ"}, {}),
        ("[[upstreams]]\nname='a'\nbase_url='http://h/?x=1'", {}, {}),
        ("[[upstreams]]\nname='a'\nbase_url='http://h/#x'", {}, {}),
        ("[pins]\nheader='x session'", {}, {}),
        ("[pins]\nheader='Host'\n[pinz]\n", {}, {}),
        ("[server]\nport = 99999999999999999999999", {}, {}),
        ("[admission]\nsession_seconds = nan", {}, {}),
        ("x = " + "[" * 3000 + "]" * 3000, {}, {}),
    ],
    ids=range(19),
)
def test_what_is_wrong_is_one_line(
    tmp_path: Path, text: str, env: dict[str, str], flags: dict[str, Any]
) -> None:
    path = tmp_path / "maitred.toml"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load(path, env=env, flags=flags)
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 2000


def test_a_key_is_taken_without_the_white_space_around_it(tmp_path: Path) -> None:
    path = tmp_path / "maitred.toml"
    path.write_text(
        "[pins]\nheader = 'X-Session-ID'\n[[upstreams]]\nname='a'\nbase_url='http://h'\napi_key_env='K'"
    )
    loaded = load(path, env={"K": " key\n"})
    assert loaded.api_keys == {"a": "key"}


async def test_a_storage_that_cannot_be_reached_is_refused(tmp_path: Path) -> None:
    settings = Settings(storage=Storage(url=f"postgresql://u:hidden@/house?host={tmp_path}"))
    with pytest.raises(DatabaseUnusable, match="start the server") as refused:
        await SessionCore.open(settings, tmp_path, directory=Directory([]))
    assert "hidden" not in refused.value.message
    assert "\n" not in refused.value.message
    assert list(tmp_path.iterdir()) == [], "nothing was begun"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hidden@[::1/house",
        "postgresql://u:hidden@h:port/house",
        "postgresql://u:hidden@h/house?hidden=1",
    ],
)
async def test_a_storage_that_no_server_understands_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(StartRefused, match=r"storage|database") as refused:
        await SessionCore.open(Settings(storage=Storage(url=url)), tmp_path, directory=Directory([]))
    assert "hidden" not in refused.value.message


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite", "sqlite"),
        ("postgresql:///d", "postgresql:///d"),
        ("postgresql://u:hidden@h:1/d", "postgresql://u@h:1/d"),
        ("postgresql://u:hid:den@h,i/d?sslmode=require", "postgresql://u@h,i/d?sslmode=require"),
        ("postgres://u@h/d?host=/run&password=hidden&p%61ssword=hidden", "postgres://u@h/d?host=/run"),
        ("postgresql://h/d?password=hidden@x", "postgresql://***"),
        ("postgresql://u:hid?den@h/d", "postgresql://***"),
        ("u:hidden@h", "***"),
    ],
)
def test_a_storage_is_shown_without_its_password(url: str, shown: str) -> None:
    assert without_secrets(url) == shown
