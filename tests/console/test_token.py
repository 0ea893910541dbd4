"""The local token is shown to cores of this machine only."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.commands.common import remote_core


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://127.0.0.1:1", True),
        ("localhost:1", True),
        ("http://[::1]:1", True),
        ("http://evil.example:8484", False),
        ("http://127.0.0.1.evil.example", False),
        ("http://127.0.0.1@evil.example", False),
        ("https://10.0.0.7", False),
    ],
)
def test_the_local_token_is_for_this_machine(home: Path, url: str, shown: bool) -> None:
    folder = home / "state" / "maitred"
    folder.mkdir(parents=True)
    (folder / "token").write_text("mtr_secret\n")
    sent = remote_core(url, None)._client.headers.get("authorization")
    assert (sent == "Bearer mtr_secret") is shown


def test_a_named_token_goes_where_it_is_told_to(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THERE", "mtr_there")
    assert (
        remote_core("https://there.example", "THERE")._client.headers["authorization"] == "Bearer mtr_there"
    )
