"""A real server whose disk has no room: what clients are told, what is kept, and that it goes on without a restart."""

from __future__ import annotations

import resource
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.processes.processes import PATIENCE, House, Process, Serving

limited = pytest.mark.skipif(
    not hasattr(resource, "prlimit"), reason="this system cannot limit another process"
)


def has_namespaces() -> bool:
    """Whether this user may mount something that only a process of its own sees."""
    if shutil.which("unshare") is None:
        return False
    trial = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/tmp"]
    return subprocess.run(trial, capture_output=True, check=False).returncode == 0


mounted = pytest.mark.skipif(not has_namespaces(), reason="this system has no user namespaces for mounts")


def let_files_grow(serving: Serving, most: int) -> None:
    """To so many bytes and no further; what would go beyond fails as on a disk that is full."""
    resource.prlimit(serving.pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))


def ask(serving: Serving, text: str, *, stream: bool = False, session: str = "s") -> httpx.Response:
    with serving.http(token=None) as http:
        body = {"model": "echo", "messages": [{"role": "user", "content": text}], "stream": stream}
        return http.post("/v1/chat/completions", json=body, headers={"x-session-id": session})


def check_refused(answer: httpx.Response, *said: str) -> None:
    """OpenAI's shape, the stable code, and what to do."""
    if answer.headers["content-type"].startswith("text/event-stream"):
        assert b"[DONE]" not in answer.content
        error = httpx.Response(200, content=answer.content.split(b"data: ")[-1]).json()["error"]
    else:
        assert answer.status_code == 503, answer.text
        error = answer.json()["error"]
    assert error["code"] == "storage_failed", error
    assert {"message", "type", "param", "code"} <= error.keys()
    for text in said:
        assert text in error["message"], error


def ready(serving: Serving) -> tuple[int, dict[str, Any]]:
    with serving.http(token=None) as http:
        answer = http.get("/readyz")
    return answer.status_code, answer.json()


def until_ready(serving: Serving) -> None:
    deadline = time.monotonic() + PATIENCE
    while ready(serving)[0] != 200:
        assert time.monotonic() < deadline, ready(serving)
        time.sleep(0.05)


def kept(serving: Serving) -> dict[str, str]:
    """What the sessions hold, by question."""
    found: dict[str, str] = {}
    for session in ("s0", "s1", "s2"):
        with serving.http() as http:
            page = http.get(f"/v1/sessions/api%3Alocal%2F{session}/messages", params={"limit": 1000})
        if page.status_code == 200:
            said = page.json()["messages"]
            found.update(
                (asked["content"], answered["content"])
                for asked, answered in zip(said[::2], said[1::2], strict=True)
            )
    return found


def fill(serving: Serving, session: str) -> None:
    """Ask until something is refused; with a text that never is long enough to be refused for its own sake."""
    for number in range(200):
        if ask(serving, f"filling {number} " * 2000, session=f"{session}-{number}").status_code != 200:
            return
    raise AssertionError("there was room for everything")


def check_a_full_disk(
    serving: Serving, full: Callable[[], None], room: Callable[[], None], said: str
) -> None:
    """Before, while and after; and after a crash."""
    assert ask(serving, "before", session="s0").status_code == 200
    full()
    fill(serving, "full")
    for stream in (False, True):
        check_refused(ask(serving, "refused", stream=stream, session="s1"), said, "no turn begins")
    code, told = ready(serving)
    assert (code, told["error"]["code"]) == (503, "storage_failed")
    assert said in told["error"]["message"]
    with serving.http() as http:
        assert http.get("/healthz").status_code == 200
        assert http.get("/v1/search", params={"q": "before"}).json(), "reading goes on"
    room()
    until_ready(serving)
    assert ask(serving, "after", session="s2").status_code == 200
    assert kept(serving) == {"before": "before", "after": "after"}
    serving.kill()


@limited
def test_files_that_cannot_grow(house: House) -> None:
    with house.serve() as serving:
        check_a_full_disk(
            serving,
            lambda: let_files_grow(serving, 700_000),
            lambda: let_files_grow(serving, resource.RLIM_INFINITY),
            "see whether the disk is full or broken",
        )
    with house.serve() as serving:
        assert kept(serving) == {"before": "before", "after": "after"}


@limited
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_the_turn_that_finds_it_full(house: House, stream: bool) -> None:
    """It cannot be told before the upstream was asked; it is no clean end, and leaves the session free."""
    with house.serve() as serving:
        let_files_grow(serving, 1)
        check_refused(ask(serving, "lost", stream=stream), "see whether the disk is full or broken")
        let_files_grow(serving, resource.RLIM_INFINITY)
        until_ready(serving)
        assert ask(serving, "kept", stream=stream).status_code == 200
        assert house.query("SELECT count(*) FROM messages WHERE role = 'assistant'") == [(1,)]


class Mounted:
    """A disk of a megabyte for the data of one house, which only its processes see."""

    def __init__(self, house: House) -> None:
        self._house = house
        house.data.mkdir(parents=True)

    def command(self, *, first: str = "true") -> list[str]:
        """A server on it; `first` is done before, in the folder."""
        script = (
            f'mount -t tmpfs -o size=1m none "$0" && cd "$0" && {{ {first}; cd /; }} 2>/dev/null && exec "$@"'
        )
        served = self._house.command("serve", "--port", "0")
        return ["unshare", "-rm", "sh", "-c", script, str(self._house.data), *served]

    def serve(self) -> Serving:
        serving = Serving(self.command(), self._house, env=self._house.environment)
        serving.wait_until_it_serves()
        return serving

    def seen_by(self, serving: Serving) -> Path:
        """The folder as the process has it."""
        return Path(f"/proc/{serving.pid}/root{self._house.data}")


@mounted
def test_a_disk_that_is_full(house: House) -> None:
    disk = Mounted(house)
    with disk.serve() as serving:
        filler = disk.seen_by(serving) / "filler"

        def full() -> None:
            with filler.open("wb") as file:
                free = shutil.disk_usage(filler.parent).free
                file.write(bytes(max(0, free - 100_000)))

        check_a_full_disk(serving, full, filler.unlink, "make room on the disk")


@mounted
@pytest.mark.parametrize("left", [0, 1, 3, 20], ids="{} pages left".format)
def test_a_start_on_a_full_disk(house: House, left: int) -> None:
    command = Mounted(house).command(first=f"dd if=/dev/zero of=filler bs=4k count={256 - left} || true")
    with Process(command, house, env=house.environment) as process:
        said = process.finish().refused(str(house.data))
    assert "make room on the disk" in said or "see whether the disk is full" in said


@mounted
def test_a_folder_on_a_disk_that_is_read_only(house: House) -> None:
    command = Mounted(house).command(first='mount -o remount,ro none "$PWD"')
    with Process(command, house, env=house.environment) as process:
        process.finish().refused(str(house.data), "Read-only", "writable")
