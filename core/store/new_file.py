"""Files that are made whole: written beside their place, and put there when nothing is missing any more."""

from __future__ import annotations

import os
from pathlib import Path

from core.errors import FolderUnusable, StartRefused


def check_free(target: Path) -> None:
    """Raises StartRefused when something is in a new file's place."""
    if os.path.lexists(target):
        raise _in_the_way(target)


def put(partial: Path, target: Path) -> None:
    """Give a file its own name, durably, and never over another; raises StartRefused, FolderUnusable."""
    try:
        for path in (partial, partial.parent):
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(file)
            finally:
                os.close(file)
        try:
            os.link(partial, target)
        except FileExistsError:
            raise _in_the_way(target) from None
        except OSError:  # a file system without links: whoever made the file in this very moment loses it
            check_free(target)
            partial.rename(target)
    except OSError as error:
        raise unwritable(target, error) from error


def unwritable(path: Path, error: OSError) -> FolderUnusable:
    """What is told of a file that cannot be written."""
    return FolderUnusable(
        f"{path}: cannot be written ({error.strerror}); choose a folder that is writable for you, with room"
    )


def _in_the_way(target: Path) -> StartRefused:
    return StartRefused(f"{target}: is there already; choose another name, or move it away first")
