"""behaviours/history.md, decisions 2 and 6."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import InvalidArgument
from tests.store.remembered import Remembered


async def test_the_last_value_counts_and_sessions_are_apart(store: Remembered) -> None:
    await store.configuration.set("a:1", "k", "v")
    await store.configuration.set("b:1", "k", "w")
    await store.configuration.set("a:1", "k", "v2")
    assert await store.configuration.get("a:1", "k") == "v2"
    assert await store.configuration.get("b:1", "k") == "w"
    assert await store.configuration.get("c:1", "k") is None
    assert await store.configuration.delete("a:1", "k") is True
    assert await store.configuration.delete("a:1", "k") is False
    assert await store.configuration.get("a:1", "k") is None
    await store.restart()
    assert await store.configuration.get("b:1", "k") == "w"


async def test_all_of_a_session(store: Remembered) -> None:
    for name in ("b", "a:x", "é"):
        await store.configuration.set("k", name, name.upper())
    assert list((await store.configuration.all("k")).items()) == [("a:x", "A:X"), ("b", "B"), ("é", "É")]
    assert await store.configuration.all("other") == {}


async def test_it_survives_clear_and_replace(store: Remembered) -> None:
    await store.history.append("k", "user", "x")
    await store.configuration.set("k", "tier", "x")
    await store.history.replace("k", [])
    await store.history.clear("k")
    assert await store.configuration.get("k", "tier") == "x"


@pytest.mark.parametrize(
    ("value", "kept"), [("", ""), ("a\0b\ud800", "a\ufffdb\ufffd"), ("x" * 100_000, "x" * 100_000)]
)
async def test_values_are_cleaned_like_content(store: Remembered, value: str, kept: str) -> None:
    await store.configuration.set("k", "a", value)
    assert await store.configuration.get("k", "a") == kept


@pytest.mark.parametrize("name", ["", "\0", "\ud800"])
async def test_a_name_is_a_key(store: Remembered, name: str) -> None:
    for call in (store.configuration.set("k", name, "v"), store.configuration.get("k", name)):
        with pytest.raises(InvalidArgument, match="configuration key"):
            await call
    assert await store.configuration.all("k") == {}


@pytest.mark.parametrize("value", [None, 1, {}, b"x"])
async def test_a_value_is_a_text(store: Remembered, value: Any) -> None:
    with pytest.raises(InvalidArgument, match="must be a text"):
        await store.configuration.set("k", "a", value)
    assert await store.told("k") == []
