"""``maitred init``: a settings file that says everything that can be set, and sets nothing yet."""

from __future__ import annotations

import json
import os
import textwrap
import typing
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from console.commands.meanings import MEANINGS
from console.output import write_line

if TYPE_CHECKING:
    from pathlib import Path

    import msgspec

_HEAD = """\
# The settings of maitred. Every setting is here with its default, commented out: take the # away from a line that
# begins with #name, and change it. Tables in double brackets may come as often as you need them: take the # away
# from their own line, too, and from what they require.
# `maitred config check` says whether the file is right, `maitred info` what is in force and from where.
"""
_EXAMPLES: dict[str, Any] = {
    "admission.models[].id": "gpt-4o-mini",
    "admission.models[].hours": {"open": "09:00 America/New_York", "close": "17:00 America/Los_Angeles"},
    "admission.models[].cached_usd_per_million": 0.0,
    "admission.models[].reasoning_usd_per_million": 0.0,
    "upstreams[].name": "openai",
    "upstreams[].base_url": "https://api.openai.com/v1",
    "tokens[].name": "ops",
    "tokens[].role": "operator",
    "tokens[].sha256": "0" * 64,
}
"""What stands in the file for what has no default."""


@click.command()
def init() -> None:
    """Write a settings file with every setting commented out; refuses to overwrite one."""
    from core.settings import folders

    path = folders().config / "maitred.toml"
    write_new(path, settings_text())
    write_line(str(path).encode("utf-8", "surrogateescape"))
    click.echo("written; every setting is in it, commented out. Next: maitred doctor", err=True)


def write_new(path: Path, text: str) -> None:
    """Write a private file where there is none; raises FolderUnusable, or StartRefused for one that is there."""
    from core.errors import FolderUnusable, StartRefused

    def unusable(error: OSError, remedy: str) -> FolderUnusable:
        return FolderUnusable(f"{path}: cannot be written ({error.strerror}); {remedy}")

    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise unusable(error, "make its folder writable for you") from error
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise StartRefused(f"{path}: is there already; edit it, or move it away first") from None
    except OSError as error:
        raise unusable(error, "make its folder writable for you") from error
    try:
        with os.fdopen(file, "w", encoding="utf-8") as written:
            written.write(text)
    except OSError as error:
        path.unlink(missing_ok=True)  # half a file would only stand in the way of the next try
        raise unusable(error, "make room for it") from error


def settings_text() -> str:
    """The settings file with every setting commented out: its meaning, then the line with its default."""
    from core.settings import Settings

    return _HEAD + "\n".join(_lines(Settings, "")) + "\n"


def _lines(section: type[msgspec.Struct], prefix: str) -> Iterator[str]:
    """The lines of a table: its own keys first, for TOML counts what follows a table's heading to that table."""
    import msgspec

    hints = typing.get_type_hints(section)
    tables: list[tuple[str, type[msgspec.Struct], bool]] = []
    for field in msgspec.structs.fields(section):
        key, kind = prefix + field.name, hints[field.name]
        item = typing.get_args(kind)[0] if typing.get_origin(kind) is list else None
        if _is_table(kind):
            tables.append((key, kind, False))
        elif item is not None and _is_table(item):
            tables.append((key, item, True))
        elif key == "keys":
            yield from ("", "[keys]", *_prose(MEANINGS[key]), '#abort = "X"')
        else:
            yield from _prose(_meaning(key, field))
            yield f"#{field.name} = {_toml(_EXAMPLES.get(key, _default(field)))}"
    for key, table, many in tables:
        if many:
            yield from ("", *_prose(MEANINGS[key]), f"#[[{key}]]")
            yield from _lines(table, f"{key}[].")
        else:
            yield from ("", f"[{key}]")
            yield from _lines(table, f"{key}.")


def _is_table(kind: Any) -> bool:
    import msgspec

    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _default(field: msgspec.structs.FieldInfo) -> Any:
    import msgspec

    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()


def _meaning(key: str, field: msgspec.structs.FieldInfo) -> str:
    """What a setting means, and whether what stands beside it is not its default."""
    if key not in _EXAMPLES:
        return MEANINGS[key]
    return f"{MEANINGS[key]} ({'required' if field.required else 'an example, not the default'})"


def _prose(text: str) -> list[str]:
    return textwrap.wrap(text.replace("`", ""), 108, initial_indent="# ", subsequent_indent="# ")


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_toml(part)}" for name, part in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)
