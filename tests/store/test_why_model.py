"""Why a session is on its model: what decided, and how far it is from a higher tier."""

from __future__ import annotations

from typing import Any

import pytest

from core.store.why_model import why_model
from tests.console.rows import a_pin


@pytest.mark.parametrize(
    ("pin", "rules", "said"),
    [
        ({}, ["pinned", "strikes"], "chosen with the first request"),
        ({"explicit": True}, ["explicit"], "named this model"),
        ({"escalated": True, "run": 4, "strikes": 3}, ["escalated", "strikes"], "3 equal requests in a row"),
    ],
)
def test_what_decided(pin: dict[str, Any], rules: list[str], said: str) -> None:
    told = why_model(a_pin("s", **pin))
    assert [because.rule for because in told.because] == rules
    assert said in told.summary


@pytest.mark.parametrize(
    ("run", "said"),
    [(1, "2 more equal requests"), (2, "the next equal request lifts it"), (3, "go on being equal")],
)
def test_how_far_it_is(run: int, said: str) -> None:
    strikes = why_model(a_pin("s", run=run, repeat_limit=3)).because[1]
    assert said in strikes.text
    assert strikes.facts["equalInARow"] == str(run)
