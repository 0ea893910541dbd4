"""``maitred info`` and ``config check``: what is in force, and from where."""

from __future__ import annotations

import json
from typing import Any

import click
import msgspec

from console.commands.common import load_settings
from console.output import write_line


@click.command()
@click.option("--config", "config_file", type=click.Path(), help="The settings file to use.")
def info(config_file: str | None) -> None:
    """Print every path, and every setting in force with where it came from."""
    from importlib.metadata import version

    from core.settings import folders

    loaded = load_settings(config_file, with_keys=False)
    here = folders()
    lines = [f"maitred {version('maitred')}"]
    paths = {
        "settings": loaded.path,
        "data": here.data,
        "database": here.data / "maitred.db",
        "state": here.state,
        "token": here.state / "token",
        "log": here.log / "maitred.log",
        "themes": here.config / "themes",
    }
    lines += [f"{name:10} {path}" for name, path in paths.items()]
    lines.append("")
    for key, value in _flat(msgspec.to_builtins(loaded.settings)):
        lines.append(
            f"{key} = {json.dumps(value, ensure_ascii=False)}  # {loaded.origins.get(key, 'default')}"
        )
    write_line("\n".join(lines).encode("utf-8", "surrogateescape"))


def _flat(section: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Dotted keys with their values; lists of tables stay together, and no token's hash is shown."""
    from core.settings import without_secrets

    rows: list[tuple[str, Any]] = []
    for name, value in section.items():
        if name == "tokens":
            rows.append((name, [f"{token['name']} ({token['role']})" for token in value]))
        elif name == "url":
            rows.append((prefix + name, without_secrets(value)))
        elif isinstance(value, dict):
            rows.extend(_flat(value, f"{prefix}{name}."))
        else:
            rows.append((prefix + name, value))
    return rows


@click.group()
def config() -> None:
    """Look at the settings."""


@config.command()
@click.argument("file", required=False, type=click.Path())
def check(file: str | None) -> None:
    """Check a settings file, or the one in force; says where it is wrong and what is allowed."""
    loaded = load_settings(file)
    there = (
        "good" if loaded.path.is_file() else "there is no such file, and none is needed: the defaults hold"
    )
    click.echo(f"{loaded.path}: {there}", err=True)
