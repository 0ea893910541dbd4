"""What the README says of keys, settings and commands is true."""

from __future__ import annotations

import re
import tomllib
import typing
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from console.commands import cli
from console.commands.meanings import MEANINGS
from console.keymap import key_table_markdown
from core.settings import Settings

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
_REQUIRED = object()


def settings(section: type[msgspec.Struct], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Every key with its default."""
    hints = typing.get_type_hints(section)
    for field in msgspec.structs.fields(section):
        kind, key = hints[field.name], prefix + field.name
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            yield from settings(kind, f"{key}.")
            continue
        if field.default_factory is not msgspec.NODEFAULT:
            yield key, field.default_factory()
        else:
            yield key, _REQUIRED if field.default is msgspec.NODEFAULT else field.default
        item = typing.get_args(kind)[0] if typing.get_origin(kind) is list else None
        if isinstance(item, type) and issubclass(item, msgspec.Struct):
            yield from settings(item, f"{key}[].")


def default_in(cell: str) -> object:
    if cell == "required":
        return _REQUIRED
    if cell == "none":
        return None
    return tomllib.loads(f"value = {cell.strip('`')}")["value"]


def test_the_settings_table() -> None:
    table = re.search(r"\| key \| default \| means \|\n\|---.*\n((?:\|.*\n)+)", README)
    assert table is not None
    told = {}
    for line in table.group(1).splitlines():
        key, default, means = (cell.strip() for cell in line.strip("|").split("|"))
        assert means
        told[key.strip("`")] = default_in(default)
    assert told == dict(settings(Settings))


def test_the_settings_mean_the_same_everywhere() -> None:
    table = re.search(r"\| key \| default \| means \|\n\|---.*\n((?:\|.*\n)+)", README)
    assert table is not None
    rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in table.group(1).splitlines())
    assert {key.strip("`"): means for key, _, means in rows} == MEANINGS


def test_the_key_table() -> None:
    told = re.search(r"<!-- keys: .* -->\n(.*?)\n?<!-- /keys -->", README, re.DOTALL)
    assert told is not None
    assert told.group(1).strip() == key_table_markdown().strip()


def test_every_command_is_told() -> None:
    told = set(re.findall(r"^\| `maitred (\w+)", README, re.MULTILINE))
    assert told == set(cli.commands)


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\((?!https?:)([^)#]+)\)", README))))
def test_what_is_linked_exists(path: str) -> None:
    assert (ROOT / path).is_file()


def test_the_rooms_that_are_named_exist() -> None:
    for path in re.findall(r"(?:core|console)/\w+(?:/\w+)*\.py", README):
        assert (ROOT / path).is_file(), path


def test_the_two_commands_come_first() -> None:
    first = README.split("```")[1]
    assert "make run" in first
    assert "make test" in first
