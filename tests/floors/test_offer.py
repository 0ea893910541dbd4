"""Where the settings name no upstream, the variables of OpenAI's clients offer one."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import SettingsError
from core.settings import Upstream, load

OPENAI = "https://api.openai.com/v1"


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("env", "base_url", "variable"),
    [
        ({"OPENAI_API_KEY": "sk-1"}, OPENAI, "$OPENAI_API_KEY"),
        ({"OPENAI_API_KEY": "sk-1", "OPENAI_BASE_URL": "http://h/v1"}, "http://h/v1", "$OPENAI_API_KEY"),
        ({"OPENAI_BASE_URL": "http://127.0.0.1:11434/v1"}, "http://127.0.0.1:11434/v1", "$OPENAI_BASE_URL"),
    ],
)
def test_it_is_offered(env: dict[str, str], base_url: str, variable: str) -> None:
    loaded = load(env=env)
    key_variable = "OPENAI_API_KEY" if "OPENAI_API_KEY" in env else ""
    assert loaded.settings.upstreams == [Upstream(name="openai", base_url=base_url, api_key_env=key_variable)]
    assert loaded.api_keys == ({"openai": "sk-1"} if key_variable else {})
    assert loaded.origins["upstreams"] == variable
    assert loaded.offered
    assert "sk-1" not in repr(loaded.settings)


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    "env",
    [
        {},
        {"OPENAI_API_KEY": " "},
        {"OPENAI_API_KEY": "any", "OPENAI_BASE_URL": "http://127.0.0.1:8484/v1"},
        {"OPENAI_BASE_URL": "http://localhost:8484/v1"},
        {"OPENAI_BASE_URL": "http://[::1]:9999/v1", "MAITRED_SERVER_PORT": "9999"},
    ],
    ids=str,
)
def test_nothing_is_offered_and_never_the_house_itself(env: dict[str, str]) -> None:
    loaded = load(env=env)
    assert (loaded.settings.upstreams, loaded.api_keys, loaded.offered) == ([], {}, False)


def test_what_the_file_names_comes_first(tmp_path: Path) -> None:
    file = tmp_path / "maitred.toml"
    file.write_text("[[upstreams]]\nname = 'mine'\nbase_url = 'http://h/v1'\n")
    loaded = load(file, env={"OPENAI_API_KEY": "sk-1"})
    assert [each.name for each in loaded.settings.upstreams] == ["mine"]
    assert loaded.api_keys == {}
    assert not loaded.offered


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("env", "told"),
    [
        ({"OPENAI_BASE_URL": "nowhere"}, r"\$OPENAI_BASE_URL: .*allowed: an address"),
        ({"OPENAI_BASE_URL": "http://[x/v1"}, r"\$OPENAI_BASE_URL: .*allowed: an address"),
        ({"OPENAI_API_KEY": "sk\n1"}, r"\$OPENAI_API_KEY: holds characters"),
    ],
)
def test_a_wrong_variable_is_named(env: dict[str, str], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        load(env=env)
