"""Adding to the settings file: all of it or nothing, whoever else writes it, and only what it can be read with."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import FolderUnusable, SettingsError, StartRefused


def append_token(path: Path, table: str, *, name: str) -> None:
    """Add a table of ``[[tokens]]`` to the settings file, or begin one with it; only its owner can read that.

    Raises SettingsError when the file is wrong, or would be, or knows a token of that name; FolderUnusable when it
    cannot be written. The file is then as it was.
    """
    from core.settings import load

    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        real = path.resolve()  # a link stays one: what it leads to is written
        with _alone(real.parent):
            old = _read(real)
            if old is not None and any(
                each.name == name for each in load(path, with_keys=False).settings.tokens
            ):
                raise SettingsError(f"{path}: tokens.{name}: is there already; choose another --name")
            text = (old or "").rstrip("\n")
            _replace(real, f"{text}\n\n{table}\n" if text else f"{table}\n", shown=path, name=name)
    except OSError as error:
        raise FolderUnusable(
            f"{path}: cannot be written ({error.strerror or error}); make it and its folder writable for you"
        ) from error


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: is not UTF-8; write it anew") from None


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Nobody else adds to a file of this folder meanwhile."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace(path: Path, text: str, *, shown: Path, name: str) -> None:
    """Write it whole beside, see whether it can be read, and only then put it in the place of the old one."""
    from core.settings import load

    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            _keep_owner(path, file.fileno())
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        try:
            read = load(fresh, with_keys=False).settings.tokens
        except StartRefused as error:
            raise SettingsError(
                f"{shown}: cannot be added to as it is ({error.message.replace(str(fresh), 'it')}); nothing was changed"
            ) from None
        if [each.name for each in read][-1:] != [name]:
            raise SettingsError(f"{shown}: cannot be added to as it is; put the table in by hand")
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def _keep_owner(path: Path, descriptor: int) -> None:
    """The new file belongs to whom the old one does, and is readable for no more people than that was."""
    try:
        old = path.stat()
    except FileNotFoundError:
        return
    made = os.fstat(descriptor)
    if (old.st_uid, old.st_gid) != (made.st_uid, made.st_gid):
        os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode) & 0o660)
