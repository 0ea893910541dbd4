"""What the commands share: settings from flags, the log file, and the way to a core that runs elsewhere."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

if TYPE_CHECKING:
    from core.remote import RemoteCore
    from core.settings import Folders, Loaded


def load_settings(
    config_file: str | None, host: str | None = None, port: int | None = None, *, with_keys: bool = True
) -> Loaded:
    """The settings in force, with the flags of the command line on top; see `core.settings.load`."""
    from core.settings import load

    path = Path(config_file) if config_file is not None else None
    return load(path, flags={"server.host": host, "server.port": port}, with_keys=with_keys)


def ready_folders() -> Folders:
    """The folders, made; and the log file opened in one of them. The screen is never written to by a log."""
    from core.errors import FolderUnusable
    from core.settings import folders

    ready = folders()
    ready.make()
    path = ready.log / "maitred.log"
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
        path.chmod(0o600)
    except OSError as error:
        raise FolderUnusable(
            f"{path}: cannot be used ({error.strerror}); make it a file that is writable for you"
        ) from error
    logging.basicConfig(
        filename=path, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", force=True
    )
    return ready


def remote_core(url: str | None, token_variable: str | None) -> RemoteCore:
    """The core at `url`, else the one that works on this user's data folder, else the configured address.

    The token comes from the named variable, else from the state folder; but that one is this machine's, and is never
    sent to another.
    """
    from core.errors import InvalidArgument
    from core.remote import RemoteCore
    from core.settings import environment, folders, load

    here, ours = folders(), url is None
    if url is None:
        from core.store.lock import url_of_holder

        server = load(with_keys=False).settings.server
        host = f"[{server.host}]" if ":" in server.host else server.host
        url = url_of_holder(here.data) or f"http://{host}:{server.port}"
    url = _checked(url)
    if token_variable is not None:
        token = environment(token_variable)
        if token is None:
            raise InvalidArgument(f"the variable {token_variable} holds no token; export it first")
    else:
        path = here.state / "token"
        token = _written(path) if (ours or _is_here(url)) and path.is_file() else None
    return RemoteCore(url, token)


def _is_here(url: str) -> bool:
    """Whether an address leads to this machine, whoever listens there."""
    from core.server.auth import is_loopback

    return is_loopback((urlsplit(url).hostname or "").lower())


def _written(path: Path) -> str:
    from core.errors import FolderUnusable

    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise FolderUnusable(
            f"{path}: the token cannot be read ({error}); name one with --token-env"
        ) from error


def _checked(url: str) -> str:
    """The address as a URL; a bare ``host:port`` is one, too. Raises click.UsageError for what cannot be one."""
    whole = url if "://" in url else f"http://{url}"
    try:
        parts = urlsplit(whole)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise click.UsageError(f"{url!r} is no address; give one such as http://127.0.0.1:8484")
    return whole
