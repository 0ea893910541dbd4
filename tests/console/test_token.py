"""The local token is shown to cores of this machine only."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from console.commands.way import Way, remote_core
from core.errors import InvalidArgument
from core.remote import RemoteCore


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://127.0.0.1:1", True),
        ("localhost:1", True),
        ("http://[::1]:1", True),
        ("http://evil.example:8484", False),
        ("http://127.0.0.1.evil.example", False),
        ("https://10.0.0.7", False),
    ],
)
def test_the_local_token_is_for_this_machine(home: Path, url: str, shown: bool) -> None:
    folder = home / "state" / "maitred"
    folder.mkdir(parents=True)
    (folder / "token").write_text("mtr_secret\n")
    sent = remote_core(url, Way())._client.headers.get("authorization")
    assert (sent == "Bearer mtr_secret") is shown


def test_a_named_token_goes_where_it_is_told_to(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THERE", "mtr_there")
    core = remote_core("https://there.example", Way(token_env="THERE"))
    assert core._client.headers["authorization"] == "Bearer mtr_there"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1@evil.example",
        "http://mtr_secret@host:8484",
        "https://me:mtr_secret@host",
        "http://host:8484/?token=mtr_secret",
        "http://host:8484#mtr_secret",
        "me:mtr_secret@host:x",
    ],
)
def test_what_stands_beside_an_address_is_refused_and_not_shown(home: Path, url: str) -> None:
    with pytest.raises(click.UsageError) as refused:
        remote_core(url, Way())
    with pytest.raises(InvalidArgument) as refused_too:
        RemoteCore(f"http://{url.partition('://')[2] or url}", None)
    for told in (refused.value.message, refused_too.value.message):
        assert "secret" not in told
        assert "evil" not in told
