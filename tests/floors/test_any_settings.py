"""Whatever stands in the settings: it is in force, or refused in a line that names file, key, and what is allowed."""

from __future__ import annotations

import datetime
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import SettingsError
from core.settings import Settings, load

on_one_file = settings(
    max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


def keys(section: type[msgspec.Struct], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every key; a step that ends in [] is a list of tables."""
    hints = typing.get_type_hints(section)
    for field in msgspec.structs.fields(section):
        kind = hints[field.name]
        yield (*path, field.name)
        inner = [each for each in (kind, *typing.get_args(kind)) if isinstance(each, type)]
        for each in inner:
            if issubclass(each, msgspec.Struct):
                many = "[]" if typing.get_origin(kind) is list else ""
                yield from keys(each, (*path, field.name + many))


KEYS = sorted(keys(Settings))
NEEDED = {
    "models[]": {"id": "m"},
    "upstreams[]": {"name": "u", "base_url": "http://h/v1"},
    "tokens[]": {"name": "t", "role": "viewer", "sha256": "0" * 64},
    "hours": {"open": "09:00 UTC", "close": "17:00 UTC"},
}
"""What a table of that name has beside the key that is tried."""


def toml(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return '"' + "".join(f"\\U{ord(each):08X}" for each in value) + '"'
        case list():
            return f"[{', '.join(map(toml, value))}]"
        case dict():
            return "{" + ", ".join(f"{toml(name)} = {toml(each)}" for name, each in value.items()) + "}"
        case datetime.datetime() | datetime.date() | datetime.time():
            return value.isoformat()
        case _:
            return repr(value)


def file_of(key: tuple[str, ...], value: Any) -> dict[str, Any]:
    """A whole file with this value under this key."""
    *tables, name = key
    inner: Any = {name: value}
    for table in reversed(tables):
        inner = NEEDED.get(table, {}) | inner
        inner = {table.removesuffix("[]"): [inner] if table.endswith("[]") else inner}
    made: dict[str, Any] = inner
    return made


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.booleans()
    | st.integers()
    | st.integers(-2, 70_000)
    | st.floats()
    | TEXTS
    | st.sampled_from(
        ["", "http://h", "09:00 UTC", "UTC", "sqlite", "../etc", "a" * 70_000, "postgresql://u:p@h/d"]
    )
    | st.dates()
    | st.times()
    | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def refused(path: Path, env: dict[str, str]) -> str | None:
    """What the settings are refused with, None when they are not."""
    try:
        load(path, env=env)
    except SettingsError as refusal:
        return refusal.message
    return None


def check_told(told: str, origin: str) -> None:
    assert told.startswith(f"{origin}: "), told
    assert told.isprintable(), told
    assert len(told) < 2000, len(told)


@pytest.mark.parametrize("key", KEYS, ids=".".join)
@on_one_file
@given(data=st.data())
def test_any_value_of_any_key(key: tuple[str, ...], data: st.DataObject, tmp_path: Path) -> None:
    path, value = tmp_path / "maitred.toml", data.draw(VALUES)
    text = "\n".join(f"{name} = {toml(each)}" for name, each in file_of(key, value).items())
    path.write_text(text, encoding="utf-8")
    told = refused(path, {})
    if told is None:
        check_in_force(load(path, env={}).settings, key, value)
        return
    check_told(told, str(path))
    wanted = key if not isinstance(value, dict | list) else key[:1]
    assert [step for step in wanted if step.removesuffix("[]") not in told] == [], told
    assert any(word in told for word in ALLOWED), told


ALLOWED = ("allowed", "xpected", "needs", "required", "not set", "the same")
"""How a refusal says what may stand there."""


def check_in_force(settings: Settings, key: tuple[str, ...], value: Any) -> None:
    found: Any = settings
    for step in key:
        found = getattr(found, step.removesuffix("[]"))
        found = found[0] if step.endswith("[]") else found
    if isinstance(value, bool | int | str):
        assert found == value


@on_one_file
@given(
    content=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))
)
def test_any_bytes(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "maitred.toml"
    path.write_bytes(content)
    told = refused(path, {})
    if told is not None:
        check_told(told, str(path))


VARIABLES = [
    "MAITRED_" + "_".join(key).upper() for key in KEYS if not any(step.endswith("[]") for step in key)
]


@pytest.mark.parametrize("name", VARIABLES)
@on_one_file
@given(text=st.text(max_size=20) | st.integers().map(str) | st.floats().map(str))
def test_any_variable(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "maitred.toml"
    path.touch()
    told = refused(path, {name: text})
    if told is not None:
        # what one setting is may be too much or little for another, which is told then
        check_told(told, f"${name}" if told.startswith("$") else str(path))
