"""The tables of the sandbox: words, people, models, scenarios, hours of the day."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.commands.sandbox import sandbox
from console.sandbox import words
from console.sandbox.dice import Dice
from console.sandbox.fleet import BRISK, BY_MODEL, FALLBACK, MAKES, PROVIDERS, leisure, settings_for
from console.sandbox.personas import AUTO, PERSONAS, identity
from console.sandbox.scenarios import OPENING_SECONDS, SCENARIOS, Scenario, arrival_rate
from core.settings import Settings
from core.settings.check import check

SEEDS = st.integers(0, 2**32)


def test_everybody_has_a_name_of_their_own() -> None:
    names = [words.user_name(number) for number in range(50_000)]
    assert len(set(names)) == 50_000
    assert all(name.isascii() and "/" not in name and " " not in name for name in names)


@given(SEEDS)
def test_texts_have_no_empty_places(seed: int) -> None:
    dice = Dice(seed)
    texts = [words.prompt(dice), words.answer(dice, 60), words.thought(dice)]
    use = words.tool_use(dice)
    assert not any("{" in text or "}" in text for text in texts)
    assert isinstance(msgspec.json.decode(use.arguments), dict)
    assert use.result
    assert 60 <= len(texts[1].split()) < 60 + 40


def test_a_small_cast_has_all_kinds_of_people() -> None:
    for seed in range(20):
        kinds = Counter(identity(seed, number, {}).persona.name for number in range(60))
        assert set(kinds) == {persona.name for persona in PERSONAS}


def test_weights_make_a_persona_likelier() -> None:
    def loopers(weights: dict[str, float]) -> int:
        return sum(identity(1, number, weights).persona.name == "looper" for number in range(500))

    assert loopers(SCENARIOS["runaway"].weights) > 3 * loopers({})


def test_every_kind_asks_for_models_that_there_are_and_may() -> None:
    for persona in PERSONAS:
        for model, weight in persona.models:
            assert weight > 0
            assert model == AUTO or model in BY_MODEL
            assert (
                persona.access_tier == "full" or BY_MODEL[FALLBACK if model == AUTO else model].model.limited
            )


def test_the_models_cover_all_tiers_and_some_are_premium() -> None:
    assert {make.model.tier for make in MAKES} == {"SIMPLE", "MEDIUM", "COMPLEX", "REASONING"}
    assert 0 < sum(make.model.premium for make in MAKES) < len(MAKES)
    assert sum(make.seats for make in MAKES) == pytest.approx(1)
    assert sorted(model for models in PROVIDERS.values() for model in models) == sorted(BY_MODEL)


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("users", [1, 150, 50_000])
def test_settings_are_ones_that_a_file_could_hold(name: str, users: int) -> None:
    settings = settings_for(SCENARIOS[name], users)
    check(settings, {}, Path("sandbox"))
    assert msgspec.convert(msgspec.to_builtins(settings), Settings) == settings
    for model in settings.admission.models:
        assert model.instant_admit_capacity >= 1
        assert model.max_active >= 2


def test_the_command_knows_the_scenarios() -> None:
    option = next(each for each in sandbox.params if each.name == "scenario")
    assert isinstance(option.type, click.Choice)
    assert tuple(option.type.choices) == tuple(SCENARIOS)


def test_a_spell_is_over_before_the_next_one_begins() -> None:
    for scenario in SCENARIOS.values():
        assert scenario.spells
        for spell in scenario.spells:
            assert spell.model in BY_MODEL
            assert spell.lasts < spell.every
            assert spell.health != "healthy"


def test_many_people_take_their_time() -> None:
    assert [leisure(users) for users in (1, BRISK, 2 * BRISK, 50_000)] == [1, 1, 2, 50_000 / BRISK]


EVEN = Scenario(about="", arrivals=0.6, lift=2.0, peak_every=1000, opening=0.5, seats=0.3, ceiling=0.4)


@pytest.mark.parametrize(
    ("seconds", "rate"),
    [
        (0, 1.0 + 50 / OPENING_SECONDS),  # and the crowd at the door
        (150, 2.0),
        (300, 3.0),  # its height
        (450, 2.0),
        (600, 1.0),  # over
        (999, 1.0),
        (1300, 3.0),  # the next one
    ],
)
def test_an_evening_comes_and_goes(seconds: float, rate: float) -> None:
    assert arrival_rate(EVEN, 100, 1.0, seconds) == pytest.approx(rate)


def test_the_doors_open_with_a_crowd() -> None:
    before, after = (arrival_rate(EVEN, 100, 1.0, OPENING_SECONDS + end) for end in (-1e-6, 0))
    assert (before - after) * OPENING_SECONDS == pytest.approx(50, abs=0.01)


@given(st.floats(0, 100_000), st.integers(1, 50_000), st.sampled_from(sorted(SCENARIOS)))
def test_somebody_always_may_come(seconds: float, users: int, name: str) -> None:
    pace = leisure(users)
    assert arrival_rate(SCENARIOS[name], users, pace, seconds) > 0
    if seconds > OPENING_SECONDS * 10:
        assert arrival_rate(SCENARIOS[name], users, pace, seconds) <= arrival_rate(
            SCENARIOS[name], BRISK, 1.0, seconds
        ) * (1 + 1e-9), "the work does not grow with the crowd"
