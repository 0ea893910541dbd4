"""The built wheel, in an empty environment outside the checkout, started by a user with an empty home."""

from __future__ import annotations

import os
import pty
import select
import signal
import socket
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyte
import pytest

CHECKOUT = Path(__file__).parents[2]
VERSION = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
# Generous: the first start of a fresh environment also compiles every module.
START_SECONDS = 30.0

# One environment for the whole file: its tests go to one worker.
pytestmark = pytest.mark.xdist_group("wheel")


@dataclass(frozen=True)
class Installed:
    """An environment that holds the wheel and what it asks for, and nothing else."""

    wheel: Path
    bin: Path
    cwd: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a bare login shell has; nothing of the checkout, of pip or of the tests."""
        return {"PATH": "/usr/bin:/bin", "HOME": str(self.cwd), "LANG": "C.UTF-8", "TERM": "xterm-256color"}

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.bin / program, *arguments],
            cwd=self.cwd,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


def quietly(*command: str | Path, cwd: Path) -> None:
    """Run a step of the preparation; show what it said only if it fails."""
    step = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert step.returncode == 0, f"{command} failed:\n{step.stdout}{step.stderr}"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    quietly(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, cwd=CHECKOUT)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    environment = tmp_path_factory.mktemp("environment")
    cwd = tmp_path_factory.mktemp("elsewhere")
    quietly(sys.executable, "-m", "venv", environment, cwd=cwd)
    python = environment / "bin" / "python"
    constraints = CHECKOUT / "constraints.txt"
    quietly(python, "-I", "-m", "pip", "install", "--quiet", "-c", constraints, wheel, cwd=cwd)
    return Installed(wheel, environment / "bin", cwd)


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """However the test ends, its process ends with it."""
    try:
        yield
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def test_the_wheel_holds_the_packages_and_the_themes_and_no_more(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    themes = {f"console/themes/{path.name}" for path in (CHECKOUT / "themes").glob("*.toml")}

    assert themes
    assert themes <= set(names)
    assert {name.split("/")[0] for name in names} == {"console", "core", f"maitred-{VERSION}.dist-info"}


def test_the_themes_are_where_an_installed_console_looks(installed: Installed) -> None:
    listed = installed.run(
        "python",
        "-c",
        "import console, pathlib; print(*pathlib.Path(console.__file__).parent.glob('themes/*.toml'))",
    )

    assert listed.stdout.split(), listed.stderr
    assert str(installed.bin.parent) in listed.stdout


def test_it_says_its_version(installed: Installed) -> None:
    said = installed.run("maitred", "--version")

    assert said.returncode == 0, said.stderr
    assert VERSION in said.stdout.split()
    assert said.stderr == ""


def test_it_serves(installed: Installed) -> None:
    port = free_port()
    log = installed.cwd / "serve.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [installed.bin / "maitred", "serve", "--port", str(port)],
            cwd=installed.cwd,
            env=installed.environment,
            stdout=output,
            stderr=output,
        )
    with ended(server):
        until = time.monotonic() + START_SECONDS
        while not answers(f"http://127.0.0.1:{port}/healthz"):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < until, f"no answer in {START_SECONDS} s:\n{log.read_text()}"
            time.sleep(0.05)
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=15) == 0, log.read_text()


def test_its_console_opens_and_quits(installed: Installed) -> None:
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    console = subprocess.Popen(
        [installed.bin / "maitred"],
        cwd=installed.cwd,
        env=installed.environment | {"MAITRED_SERVER_PORT": str(free_port()), "COLUMNS": "80", "LINES": "24"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    screen = pyte.Screen(80, 24)
    stream = pyte.ByteStream(screen)

    def draw() -> str:
        if select.select([ours], [], [], 0.1)[0]:
            try:
                stream.feed(os.read(ours, 65536))
            except OSError:  # Linux: the other end is closed
                time.sleep(0.05)
        return "\n".join(screen.display).strip()

    with ended(console):
        until = time.monotonic() + START_SECONDS
        while "queues" not in draw().lower():
            assert console.poll() is None, draw()
            assert time.monotonic() < until, f"no queues in {START_SECONDS} s:\n{draw()}"
        os.write(ours, b"\x11")  # ctrl+q
        while console.poll() is None:
            draw()
            assert time.monotonic() < until, f"still there {START_SECONDS} s after its start:\n{draw()}"
    os.close(ours)
    assert console.returncode == 0, "\n".join(screen.display)
