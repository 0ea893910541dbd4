"""``maitred doctor``: looks at everything a start needs, changes nothing, and says what to do about what is wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click
import msgspec

from console.commands.common import load_settings
from console.commands.health import folders, terminal, upstreams
from console.commands.health.certificate import check_certificate
from console.commands.health.check import Check, good, wrong
from console.commands.health.files import check_files
from console.output import write_line
from core.errors import MaitredError

if TYPE_CHECKING:
    from pathlib import Path

    from core.settings import Loaded

_GLYPHS = {"good": "✓", "note": "!", "wrong": "✗"}


@click.command()
@click.option("--config", "config_file", type=click.Path(), help="The settings file to use.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of lines.")
def doctor(config_file: str | None, as_json: bool) -> None:
    """Check settings, folders, database, port, upstreams and terminal; says what to do."""
    checks = examine(config_file)
    sound = all(check.verdict != "wrong" for check in checks)
    if as_json:
        document = {"ok": sound, "checks": [msgspec.to_builtins(check) for check in checks]}
        write_line(json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogateescape"))
    else:
        write_line("\n".join(map(_line, checks)).encode("utf-8", "surrogateescape"))
    if not sound:
        raise SystemExit(1)


def examine(config_file: str | None) -> list[Check]:
    """Every check, in the order in which a start needs them; none of them raises."""
    from core.settings import folders as our_folders

    here = our_folders()
    try:
        loaded = load_settings(config_file, with_keys=False)
    except MaitredError as error:
        # what does not depend on the settings is looked at all the same
        found = [wrong("settings", error.message, "")]
        return [*found, *folders.check_folders(here), folders.check_database(here.data), *terminal.check()]
    settings = loaded.settings
    return [
        _settings(loaded),
        *folders.check_folders(here),
        _database(loaded, here.data),
        folders.check_port(settings.server, settings.tokens, here.data),
        *check_certificate(settings.server),
        check_files(settings.server),
        *upstreams.check(loaded),
        _console(loaded),
        *terminal.check(),
    ]


def _settings(loaded: Loaded) -> Check:
    if loaded.path.is_file():
        return good("settings", f"{loaded.path} is right")
    return good("settings", f"no file at {loaded.path}: the defaults hold (maitred init writes one)")


def _database(loaded: Loaded, data: Path) -> Check:
    """The file in the data folder, or whether the server answers."""
    from core.settings import SQLITE
    from core.store.opening import backend_of

    if loaded.settings.storage.url == SQLITE:
        return folders.check_database(data)
    try:
        backend = backend_of(loaded.settings.storage.url, data)
    except MaitredError as error:
        return wrong("database", error.message, "")
    try:
        with backend.reader() as connection:
            connection.exec_driver_sql("SELECT 1")
    except Exception as error:
        said = backend.reason(error) or str(error)
        return wrong("database", f"{backend.place}: {said}", "start the server, or correct storage.url")
    finally:
        backend.close()
    return good("database", f"{backend.place} answers")


def _console(loaded: Loaded) -> Check:
    """The theme and the keys are looked up by the console itself, when it opens."""
    from console.keymap import keymap
    from console.look import load_looks
    from core.settings import folders as our_folders

    try:
        looks = load_looks(loaded.settings.console.theme, [our_folders().config / "themes"])
        keymap(loaded.settings.keys)
    except MaitredError as error:
        return wrong("console", error.message, "correct it, or take it away")
    return good("console", f"theme {looks.current.name}, {len(looks.all())} themes, the keys are right")


def _line(check: Check) -> str:
    advice = f"; {check.advice}" if check.advice else ""
    return f"{_GLYPHS[check.verdict]} {check.verdict:5}  {check.name:9}  {check.said}{advice}"
