"""Reads and replaces small files of the operator's, whatever somebody has put in their place."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path
from typing import TypeVar

import msgspec

T = TypeVar("T", bound=msgspec.Struct)

_FOLDER_MODE = 0o700


def text_of(path: Path, most_bytes: int) -> str:
    """The text of a file that is one: nobody waits for a pipe, or reads a device that never ends.

    Raises OSError, or UnicodeDecodeError for what is no text.
    """
    # opened first and looked at then, without waiting for somebody at the other end
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError("is no file")
        found = file.read(most_bytes + 1)
    if len(found) > most_bytes:
        raise OSError(f"is larger than {most_bytes:,} bytes")
    return found.decode()


def recalled(path: Path, kind: type[T], most_bytes: int) -> T | str | None:
    """What was kept in a JSON file, or why it cannot be read; None where there is none. Never raises."""
    try:
        return msgspec.json.decode(text_of(path, most_bytes), type=kind)
    except FileNotFoundError:
        return None
    except OSError as error:
        return error.strerror or str(error)
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        return str(error)


def replace_text(path: Path, text: str) -> None:
    """Put this in the file's place, for its owner alone: others see all of it, or what was there. Raises OSError."""
    path.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    # made with mode 0600, under a name that nobody can have waited for
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
