"""What the tests of the console share."""

from __future__ import annotations

import pytest

from tests.console.idle import wait_for_idle


@pytest.fixture(autouse=True)
def keys_wait_for_what_they_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pilot goes on as soon as nothing is on its way any more."""
    monkeypatch.setattr("textual.app.wait_for_idle", wait_for_idle)
    monkeypatch.setattr("textual.pilot.wait_for_idle", wait_for_idle)
