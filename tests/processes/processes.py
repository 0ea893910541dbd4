"""A home of its own, and the processes of maitred that run in it. Every wait has an end; none is a sleep."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, TypeVar

import httpx
import msgspec

T = TypeVar("T")

CHECKOUT = Path(__file__).parents[2]
PATIENCE = 20.0
"""Seconds that anything may take on a busy machine before the test has failed."""

_SERVES = re.compile(r"maitred serves at (https?://\S+);")


@dataclass(frozen=True)
class Finished:
    """A command that has ended."""

    code: int
    stdout: str
    stderr: str

    def refused(self, *said: str) -> str:
        """The one line on standard error of a command that could not start; holds every one of `said`."""
        assert self.code == 1, self
        assert self.stdout == "", self
        (line,) = self.stderr.splitlines()
        assert line.startswith("maitred: "), line
        for text in said:
            assert text in line, (text, line)
        return line


class House:
    """An empty home with settings, and the command line in it."""

    def __init__(self, home: Path, upstream_url: str) -> None:
        self.home = home
        self.upstream_url = upstream_url
        self.config = home / "config" / "maitred"
        self.data = home / "data" / "maitred"
        self.state = home / "state" / "maitred"
        self.settings_file = self.config / "maitred.toml"
        self.database = self.data / "maitred.db"
        self.log = self.state / "log" / "maitred.log"
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        self.environment = kept | {
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_DATA_HOME": str(home / "data"),
            "XDG_STATE_HOME": str(home / "state"),
            "XDG_CACHE_HOME": str(home / "cache"),
            "PYTHONPATH": str(CHECKOUT),
            "PYTHONFAULTHANDLER": "1",
            "TERM": "xterm-256color",
        }

    def settings(self, text: str = "", *, upstream: str = "") -> Path:
        """Write the settings file: the test upstream, with these further lines, and whatever else is in `text`."""
        self.config.mkdir(parents=True, exist_ok=True)
        served = f'[[upstreams]]\nname = "test"\nbase_url = "{self.upstream_url}"\n{upstream}\n'
        self.settings_file.write_text(f"{text}\n{served}", encoding="utf-8")
        return self.settings_file

    def token(self) -> str:
        """The local operator's token."""
        return (self.state / "token").read_text(encoding="ascii").strip()

    def start(self, *arguments: str, env: Mapping[str, str] | None = None, **options: Any) -> Process:
        """Start a command; `options` are Popen's."""
        return Process(self.command(*arguments), self, env=self.environment | dict(env or {}), **options)

    def command(self, *arguments: str) -> list[str]:
        """The command line with these arguments."""
        return [sys.executable, "-m", "console", *arguments]

    def run(
        self, *arguments: str, env: Mapping[str, str] | None = None, seconds: float = PATIENCE
    ) -> Finished:
        """Run a command to its end."""
        with self.start(*arguments, env=env) as process:
            return process.finish(seconds)

    def serve(self, *arguments: str, env: Mapping[str, str] | None = None) -> Serving:
        """Start `maitred serve` on a free port, and wait until it takes requests."""
        command = self.command("serve", "--port", "0", *arguments)
        serving = Serving(command, self, env=self.environment | dict(env or {}))
        try:
            serving.wait_until_it_serves()
        except BaseException:
            serving.close()
            raise
        return serving

    @contextmanager
    def rows(self) -> Iterator[sqlite3.Connection]:
        """The database as a reader from outside sees it, whether somebody works on it or not."""
        connection = sqlite3.connect(self.database, timeout=10)
        try:
            connection.execute("PRAGMA query_only = ON")
            yield connection
        finally:
            connection.close()

    def query(self, sql: str, *parameters: Any) -> list[Any]:
        """The rows of one query."""
        with self.rows() as connection:
            return connection.execute(sql, parameters).fetchall()


class Process:
    """A process with what it says so far. Leaving its context kills what is left of it."""

    def __init__(self, command: list[str], house: House, *, env: Mapping[str, str], **options: Any) -> None:
        self.house = house
        self._told = threading.Condition()
        self._lines: dict[str, list[str]] = {"stdout": [], "stderr": []}
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        self.popen = subprocess.Popen(
            command,
            cwd=house.home,
            env=dict(env),
            encoding="utf-8",
            errors="replace",
            **pipes,
        )
        self._readers = [
            threading.Thread(target=self._read, args=(name, pipe), daemon=True)
            for name, pipe in (("stdout", self.popen.stdout), ("stderr", self.popen.stderr))
            if pipe is not None
        ]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def stdout(self) -> str:
        """What it wrote to standard output so far."""
        return self._text("stdout")

    @property
    def stderr(self) -> str:
        """What it wrote to standard error so far."""
        return self._text("stderr")

    def signal(self, number: signal.Signals) -> None:
        self.popen.send_signal(number)

    def wait_for(self, found: Callable[[Process], T | None], what: str, seconds: float = PATIENCE) -> T:
        """Whatever `found` answers first that is true; it is asked after every line that the process writes."""
        deadline = time.monotonic() + seconds
        with self._told:
            while not (answer := found(self)):
                left = deadline - time.monotonic()
                if left <= 0 or self._silent():
                    raise AssertionError(
                        f"no {what}; code {self.popen.poll()}; it said:\n{self.stdout}\n{self.stderr}"
                    )
                self._told.wait(min(left, 0.5))
        return answer

    def line(self, text: str, seconds: float = PATIENCE) -> str:
        """The first line on standard error that holds `text`."""

        def found(process: Process) -> str | None:
            return next((line for line in process._lines["stderr"] if text in line), None)

        return self.wait_for(found, f"line with {text!r}", seconds)

    def finish(self, seconds: float = PATIENCE) -> Finished:
        """Wait for its end; kills it and fails when that does not come."""
        try:
            code = self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            said = f"{self.stdout}\n{self.stderr}"
            self.close()
            raise AssertionError(f"did not end within {seconds} s; it said:\n{said}") from None
        for reader in self._readers:
            reader.join(5)
        return Finished(code, self.stdout, self.stderr)

    def kill(self) -> None:
        """SIGKILL, and wait until the process is gone."""
        self.popen.kill()
        self.finish()

    def close(self) -> None:
        """Kill what is left."""
        if self.popen.poll() is None:
            self.popen.kill()
            self.popen.wait(10)
        for reader in self._readers:
            reader.join(5)
        for pipe in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _text(self, name: str) -> str:
        return "".join(self._lines[name])

    def _silent(self) -> bool:
        """Whether nothing more can come."""
        return self.popen.poll() is not None and not any(reader.is_alive() for reader in self._readers)

    def _read(self, name: str, pipe: IO[str]) -> None:
        for line in pipe:
            with self._told:
                self._lines[name].append(line)
                self._told.notify_all()
        with self._told:
            self._told.notify_all()


class Serving(Process):
    """A running `maitred serve`."""

    url = ""

    def __enter__(self) -> Serving:
        return self

    def wait_until_it_serves(self) -> None:
        self.url = self.wait_for(lambda process: _url(process.stderr), "address")

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def http(self, **options: Any) -> httpx.Client:
        """A plain client with the operator's token; `token` is another one, or None."""
        return httpx.Client(**self._options(options))

    def http_async(self, **options: Any) -> httpx.AsyncClient:
        """The same, for a loop."""
        return httpx.AsyncClient(**self._options(options))

    def view(self) -> list[dict[str, Any]]:
        """The rows of a view."""
        with self.http() as http:
            parts = [msgspec.json.decode(line) for line in http.get("/v1/view").content.splitlines()]
        return [row for part in parts if part["part"] == "rows" for row in part["rows"]]

    def until(
        self, holds: Callable[[list[dict[str, Any]]], T | None], what: str = "row", wait: float = 10
    ) -> T:
        """Whatever `holds` answers first that is true for the view's rows; asked whenever the journal moves."""
        deadline = time.monotonic() + wait
        cursor = "now"
        with self.http(timeout=wait + 10) as http:
            while True:
                answer = holds(self.view())
                if answer:
                    return answer
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"no such {what} within {wait} s: {self.view()}")
                batch = http.get("/v1/events", params={"after": cursor, "wait": min(left, 0.5)}).json()
                cursor = batch["cursor"]

    def run_row(self, state: str = "running", **fields: Any) -> dict[str, Any]:
        """The first run in that state, once there is one."""

        def found(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
            wanted = {"row": "run", "state": state} | fields
            return next((row for row in rows if wanted.items() <= row.items()), None)

        return self.until(found, f"run {state} {fields}")

    def audit(self) -> list[dict[str, Any]]:
        """The newest entries of the audit."""
        with self.http() as http:
            entries: list[dict[str, Any]] = http.get("/v1/audit").raise_for_status().json()["entries"]
        return entries

    def leave(self) -> Finished:
        """SIGTERM, and its end."""
        self.signal(signal.SIGTERM)
        return self.finish()

    def _options(self, options: dict[str, Any]) -> dict[str, Any]:
        given: dict[str, str] = options.pop("headers", {})
        token = options.pop("token", "local")
        if token == "local":
            token = self.house.token()
        headers = ({"authorization": f"Bearer {token}"} if token else {}) | given
        return {"base_url": self.url, "trust_env": False, "timeout": PATIENCE, "headers": headers} | options


def _url(text: str) -> str | None:
    found = _SERVES.search(text)
    return found[1] if found else None
