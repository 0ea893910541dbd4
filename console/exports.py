"""Writes new files for the operator: whole or not at all, never over another one, and off the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO, NamedTuple

_FILE_MODE, _FOLDER_MODE = 0o600, 0o700
_MOST_OF_A_NAME = 1_000
"""So many files of one name are passed over before it is given up."""


class Written(NamedTuple):
    """All of it is there."""

    path: Path


class Unwritten(NamedTuple):
    """Nothing of it is there; `why` says so in plain words."""

    why: str


async def write(
    folder: Path,
    stem: str,
    suffix: str,
    pieces: Iterable[str],
    *,
    stopped: Callable[[], bool] = lambda: False,
) -> Written | Unwritten:
    """Write a new file ``stem.suffix`` into the folder, which is made if it is missing.

    The pieces are made here and now, one between two frames, and written in another thread. It ends when `stopped`
    says so, and then as when it is cancelled there is nothing of the file either.
    """
    file = _NewFile(folder, stem, suffix)
    try:
        for piece in pieces:
            if stopped():
                file.discard()
                return Unwritten("it was stopped")
            await asyncio.to_thread(file.write, piece.encode())
        return Written(await asyncio.to_thread(file.close))
    except OSError as error:
        file.discard()
        return Unwritten(f"{error.strerror or error} ({error.filename or folder})")
    except BaseException:
        file.discard()
        raise


class _NewFile:
    """A file that is made with its first piece. `discard` may come while another thread still writes."""

    def __init__(self, folder: Path, stem: str, suffix: str) -> None:
        self._folder, self._stem, self._suffix = folder, stem, suffix
        self._lock = threading.Lock()
        self._open: BinaryIO | None = None
        self._path: Path | None = None
        self._discarded = False

    def write(self, data: bytes) -> None:
        """Append to the file; raises OSError."""
        with self._lock:
            if not self._discarded:
                self._file().write(data)

    def close(self) -> Path:
        """The file is complete: answers where it is. Raises OSError for what could not be written."""
        with self._lock:
            self._file().close()
            assert self._path is not None
            return self._path

    def discard(self) -> None:
        """Take away what there is of it."""
        with self._lock:
            self._discarded = True
            if self._open is not None:
                with contextlib.suppress(OSError):
                    self._open.close()
            if self._path is not None:
                with contextlib.suppress(OSError):
                    self._path.unlink()

    def _file(self) -> BinaryIO:
        if self._open is None:
            # the mode is for the last one only: a console that is attached elsewhere may be the first to need both
            for folder in (self._folder.parent, self._folder):
                folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
            self._path, self._open = self._make()
        return self._open

    def _make(self) -> tuple[Path, BinaryIO]:
        for number in range(1, _MOST_OF_A_NAME):
            name = self._stem if number == 1 else f"{self._stem}-{number}"
            path = self._folder / f"{name}.{self._suffix}"
            with contextlib.suppress(FileExistsError):
                # exclusively: neither a file that is there nor one that a link points to is written over
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE)
                return path, os.fdopen(descriptor, "wb")
        raise FileExistsError(None, "there are too many files of this name", str(self._folder))
