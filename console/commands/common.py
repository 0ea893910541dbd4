"""What the commands share: settings from flags, and the log file."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
