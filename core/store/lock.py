"""The exclusive lock on a data folder: one process per SQLite database."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

from core.errors import FolderInUse, FolderUnusable
from core.settings import SQLITE


class FolderLock:
    """The exclusive lock on a data folder; the file says who holds it, for whoever comes second."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "maitred.lock"
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise FolderUnusable(
                f"{self._path}: cannot be opened ({error.strerror}); make it writable for you"
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = _holder(self._path)
            os.close(self._file)
            raise FolderInUse(
                f"{folder}: maitred runs on it already{holder.get('who', '')}; "
                f"attach to that one: maitred attach {holder.get('url', 'http://127.0.0.1:8484')}"
            ) from None
        try:
            self.tell(None)
        except FolderUnusable:
            self.release()
            raise

    def tell(self, url: str | None, certificate: str | None = None) -> None:
        """Write down who holds the folder, where that process listens, and the file of what it proves itself with.

        Raises FolderUnusable when the disk is full.
        """
        note = json.dumps({"pid": os.getpid(), "url": url, "certificate": certificate}).encode()
        try:
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, note, 0)
        except OSError as error:
            raise FolderUnusable(
                f"{self._path}: cannot be written ({error.strerror}); make room on the disk"
            ) from error

    def release(self) -> None:
        """Let the folder go; releasing twice does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def lock_for(storage_url: str, folder: Path) -> FolderLock | None:
    """The lock that a storage needs: SQLite's data folder, and none for a server, which watches over its own."""
    return FolderLock(folder) if storage_url == SQLITE else None


def url_of_holder(folder: Path) -> str | None:
    """Where the process that holds (or last held) a data folder listens, if it says so."""
    return _holder(folder / "maitred.lock").get("url")


def certificate_of_holder(folder: Path) -> str | None:
    """The file with the certificate of that process, if it speaks HTTPS."""
    return _holder(folder / "maitred.lock").get("certificate")


def held_by(folder: Path) -> str | None:
    """Who holds a data folder now, in words; None when nobody does. Takes nothing away from anybody."""
    path = folder / "maitred.lock"
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        holder = _holder(path)
        return f"maitred{holder.get('who', '')} at {holder.get('url', 'no address yet')}"
    finally:
        os.close(file)
    return None


def _holder(path: Path) -> dict[str, str]:
    try:
        note = json.loads(path.read_bytes()[:4096])
        holder = {"who": f" (process {int(note['pid'])})"}
        if isinstance(note["url"], str):
            holder["url"] = note["url"]
        if isinstance(note.get("certificate"), str):
            holder["certificate"] = note["certificate"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return holder
