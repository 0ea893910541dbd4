"""Processes under measurement: on a core of their own choice, with their CPU time and memory."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import AnyStr

_CHECKOUT = Path(__file__).parents[2]


def cores() -> tuple[int, int]:
    """A core for servers and one for clients; the same one where there is no other."""
    ours = sorted(os.sched_getaffinity(0))
    return ours[0], ours[-1]


@contextlib.contextmanager
def pinned(core: int) -> Iterator[None]:
    """Have this process on one core for a while."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and all its threads so far; raises OSError when it has been waited for."""
    # the clock of another process, numbered as clock_getcpuclockid(3) does; /proc counts in hundredths only
    return time.clock_gettime((~pid << 3) | 2)


def resident_mb(pid: int, *, peak: bool = False) -> float:
    """Resident memory in MB (10^6 bytes), now or the most there has been; raises OSError when it has ended."""
    figure = "VmHWM:" if peak else "VmRSS:"
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(figure):
            return int(line.split()[1]) * 1024 / 1e6
    raise ProcessLookupError(f"process {pid} is gone")


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def environment(home: Path) -> dict[str, str]:
    """An environment with an empty home, so that nothing of the user's own is read or written."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAITRED_", "XDG_"))}
    return {**kept, "HOME": str(home), "PYTHONPATH": str(_CHECKOUT), "TERM": "xterm-256color"}


@contextlib.contextmanager
def upstream_process(core: int) -> Iterator[int]:
    """The test upstream as a process on a core; gives its port."""
    command = [sys.executable, "-m", "tests.upstream", "--port", "0"]
    with _started(
        subprocess.Popen(command, cwd=_CHECKOUT, stdout=subprocess.PIPE, text=True), core
    ) as process:
        assert process.stdout is not None
        yield int(json.loads(process.stdout.readline())["port"])


@contextlib.contextmanager
def gateway_process(config: str, home: Path, core: int) -> Iterator[tuple[int, int]]:
    """`maitred serve` with these settings (TOML) on a core; gives its port and process id once it answers."""
    settings = home / "bench.toml"
    settings.write_text(config, encoding="utf-8")
    port = free_port()
    command = [sys.executable, "-m", "console", "serve", "--config", str(settings), "--port", str(port)]
    with (home / "serve.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment(home), stdout=log, stderr=log)
        with _started(process, core):
            try:
                wait_until_healthy(port, process)
            except (OSError, TimeoutError) as error:
                tail = (home / "serve.log").read_text(encoding="utf-8", errors="replace")[-2000:]
                raise SystemExit(f"maitred serve did not come up: {error}\n{tail}") from error
            yield port, process.pid


def wait_until_healthy(port: int, process: subprocess.Popen[bytes], seconds: float = 20.0) -> float:
    """Ask /healthz until it answers 200; gives the moment (perf_counter). Raises TimeoutError, ChildProcessError."""
    deadline = time.perf_counter() + seconds
    request = f"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n".encode()
    while time.perf_counter() < deadline:
        if process.poll() is not None:
            raise ChildProcessError(f"it ended with code {process.returncode}")
        if _answers(port, request):
            return time.perf_counter()
        time.sleep(0.005)
    raise TimeoutError(f"no answer within {seconds:.0f} s")


def _answers(port: int, request: bytes) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as sock:
            sock.sendall(request)
            return b" 200 " in sock.recv(1024).partition(b"\r\n")[0]
    except (ConnectionError, TimeoutError):
        return False


@contextlib.contextmanager
def _started(process: subprocess.Popen[AnyStr], core: int) -> Iterator[subprocess.Popen[AnyStr]]:
    os.sched_setaffinity(process.pid, {core})
    try:
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[AnyStr], seconds: float = 10.0) -> None:
    """End a process that we started: politely, then not."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()
