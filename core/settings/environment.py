"""The surroundings: variables, the user, the folders. The only file that reads the environment."""

from __future__ import annotations

import contextlib
import getpass
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
import platformdirs

from core.errors import FolderUnusable


class Folders(msgspec.Struct, frozen=True, kw_only=True):
    """Where maitred keeps its files; made with mode 0700 when first used."""

    config: Path
    data: Path
    state: Path
    log: Path

    def make(self) -> None:
        """Create what is missing; raises FolderUnusable with the remedy.

        What is in the config folder is only read: one that cannot be made is as good as an empty one.
        """
        with contextlib.suppress(OSError):
            self.config.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.config.chmod(0o700)
        for folder in (self.data, self.state, self.log):
            try:
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                folder.chmod(0o700)
            except OSError as error:
                raise FolderUnusable(
                    f"{folder}: cannot be used ({error.strerror}); make it a folder that is writable for you, or point "
                    "XDG_DATA_HOME and XDG_STATE_HOME elsewhere"
                ) from error
            if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
                raise FolderUnusable(f"{folder}: is not writable; make it writable for you (chmod u+rwx)")


def folders() -> Folders:
    """The user's folders for maitred, by the platform's custom (XDG variables move them)."""
    dirs = platformdirs.PlatformDirs("maitred", appauthor=False)
    return Folders(
        config=dirs.user_config_path,
        data=dirs.user_data_path,
        state=dirs.user_state_path,
        log=dirs.user_log_path,
    )


def user_name() -> str:
    """Who runs this process, for the audit."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.getuid())


def environment(name: str) -> str | None:
    """One variable, for what may come only from the environment (tokens)."""
    return os.environ.get(name) or None


def no_color() -> bool:
    """Whether the user asked for no colours (NO_COLOR)."""
    return bool(os.environ.get("NO_COLOR"))


def variables() -> Mapping[str, str]:
    """All variables, for settings that come from them."""
    return os.environ
