"""``maitred token new``: a token that is shown once, and known to the settings by its hash alone."""

from __future__ import annotations

import json
from pathlib import Path

import click

from console.output import write_line

ROLES = ("viewer", "operator", "service", "user")
_ODD = "\x7f"  # the one character that JSON leaves as it is and TOML does not allow


@click.group()
def token() -> None:
    """Tokens for those who call."""


@token.command()
@click.option("--role", type=click.Choice(ROLES), required=True, help="What its holder may do.")
@click.option("--user", default="", help="Whom a token of role user stands for.")
@click.option("--name", default="", help="Its name in the audit; else the user's, or the role's.")
@click.option("--write", is_flag=True, help="Add it to the settings file, too.")
@click.option("--config", "config_file", type=click.Path(), help="The settings file to add it to.")
def new(role: str, user: str, name: str, write: bool, config_file: str | None) -> None:
    """Make a token: itself to standard output, once; what the settings hold of it to standard error.

    Roles: viewer sees all but content, operator sees content and acts, service runs the data plane for anybody, user
    for that user.
    """
    if (role == "user") != bool(user):
        raise click.UsageError("--user NAME belongs to --role user, which needs it")
    if config_file is not None and not write:
        raise click.UsageError("--config names the file for --write")
    name = name or user or role
    for option, text in (("--name", name), ("--user", user)):
        if not text.isprintable() or _ODD in text:
            raise click.UsageError(f"{option} has characters that nobody could read in the audit")

    from core.server.auth import hash_of, new_token

    made = new_token()
    table = _table(name, role, user, hash_of(made))
    told = table
    if write:
        from console.commands.settings_file import append_token
        from core.settings import folders

        path = Path(config_file) if config_file is not None else folders().config / "maitred.toml"
        append_token(path, table, name=name)
        told = f"added to {path}; a maitred that runs takes it in at its next start"
    click.echo(told, err=True)
    write_line(made.encode("ascii"))


def _table(name: str, role: str, user: str, sha256: str) -> str:
    """What the settings hold of a token."""
    fields = {"name": name, "role": role, "user": user, "sha256": sha256}
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in fields.items() if value]
    return "\n".join(["[[tokens]]", *lines])
