"""The folders, the database in one of them, and the port."""

from __future__ import annotations

import os
import shlex
import sqlite3
import stat
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from console.commands.health.check import Check, good, note, wrong

if TYPE_CHECKING:
    from core.settings import Folders, Server, Token

_PATIENCE = 2.0
"""Seconds for a server on this machine to say who it is."""
_ELSEWHERE = "point XDG_DATA_HOME and XDG_STATE_HOME elsewhere"


def check_folders(folders: Folders) -> list[Check]:
    """Each of maitred's folders: is it there, private and writable, or can it be made?"""
    kinds = (
        ("config", folders.config),
        ("data", folders.data),
        ("state", folders.state),
        ("log", folders.log),
    )
    found = [_folder(kind, path) for kind, path in kinds]
    if found[0].verdict == "wrong":
        # what is in it is only read, so that a start does without
        found[0] = note("config", found[0].said, "a start does without; maitred init would write there")
    return found


def _folder(kind: str, path: Path) -> Check:
    try:
        status = path.stat()
    except FileNotFoundError:
        parent = next(each for each in path.parents if each.exists())
        if parent.is_dir() and os.access(parent, os.W_OK | os.X_OK):
            return good(kind, f"{path} will be made by the first start")
        return wrong(kind, f"{path} cannot be made", f"make {parent} writable for you, or {_ELSEWHERE}")
    except OSError as error:
        return wrong(
            kind, f"{path} cannot be looked at ({error.strerror})", f"make it yours, or {_ELSEWHERE}"
        )
    if not stat.S_ISDIR(status.st_mode):
        return wrong(kind, f"{path} is no folder", "move it away")
    if status.st_uid != os.getuid():
        return wrong(kind, f"{path} belongs to somebody else", f"make it yours, or {_ELSEWHERE}")
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        return wrong(kind, f"{path} is not writable", f"chmod u+rwx {shlex.quote(str(path))}")
    if stat.S_IMODE(status.st_mode) & 0o077:
        return note(kind, f"{path} is open to others", "the next start closes it, or: chmod 700")
    return good(kind, f"{path} is private and writable")


def check_database(data: Path) -> Check:
    """Does the database open, is its version known, and does somebody work on it?"""
    from core.store.lock import held_by
    from core.store.migrations import CURRENT

    path = data / "maitred.db"
    try:
        path.lstat()
    except FileNotFoundError:
        return good("database", f"{path} will be made by the first start")
    except OSError as error:
        return wrong("database", f"{path} cannot be looked at ({error.strerror})", "make its folder yours")
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=1)) as database:
            found = database.execute("SELECT version FROM schema_version").fetchone()
    except sqlite3.Error as error:
        return wrong(
            "database", f"{path} cannot be read ({error})", "restore it from a copy, or move it away"
        )
    version = found[0] if found else None
    if not isinstance(version, int) or version > CURRENT:
        return wrong(
            "database",
            f"{path} has schema {version!r:.40}, this maitred knows {CURRENT}",
            "start the version that wrote it, or use another data folder",
        )
    holder = held_by(data)
    held = f"; held by {holder}: maitred attach shows it" if holder else ", nobody works on it"
    return good("database", f"{path} opens, schema {version}{held}")


def check_port(server: Server, tokens: Sequence[Token], data: Path) -> Check:
    """May and can the address be taken, or has a maitred taken it already?"""
    from core.errors import PortInUse, StartRefused
    from core.server.auth import check_exposure
    from core.server.listener import bind

    where = f"[{server.host}]:{server.port}" if ":" in server.host else f"{server.host}:{server.port}"
    try:
        check_exposure(server.host, tokens)
        bind(server).close()
    except PortInUse as error:
        if _is_maitred(server, data):
            return note("port", f"{where} is held by a maitred", "maitred attach opens a console over it")
        return wrong("port", error.message, "")
    except StartRefused as error:
        return wrong("port", error.message, "")
    return good("port", f"{where} is free" if server.port else f"{server.host}: any free port will be taken")


def _is_maitred(server: Server, data: Path) -> bool:
    """Whether who listens there answers as maitred does."""
    import httpx

    from core.store.lock import held_by

    if (held_by(data) or "").endswith(f":{server.port}"):
        return True
    if server.tls_certificate:
        return False  # who else holds it would have to prove itself first
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(server.host, server.host)  # noqa: S104 - asked, not bound
    address = f"[{host}]" if ":" in host and not host.startswith("[") else host
    try:
        answer = httpx.get(f"http://{address}:{server.port}/v1/models", timeout=_PATIENCE, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL):
        return False
    return '"owned_by":"maitred"' in answer.text.replace(" ", "")
