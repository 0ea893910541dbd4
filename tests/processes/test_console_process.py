"""The console as it is started by hand: on a terminal, over its own core, with real clients at its port."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.processes.processes import PATIENCE, House
from tests.processes.terminal import Terminal

ENDLESS, SLOW = "slow-between?s=60", "slow-between?s=0.2"
WORDS = "one two three four five six seven eight nine ten"

CTRL_C, CTRL_Q, ESCAPE, ENTER, RIGHT = "\x03", "\x11", "\x1b", "\r", "\x1b[C"


@pytest.fixture
def console(house: House) -> Iterator[Terminal]:
    """`maitred` on a terminal, with its core live."""
    with Terminal(house.command("--port", "0"), house) as terminal:
        terminal.shows("● live")
        yield terminal


def url(house: House) -> str:
    """Where the console's own core listens."""
    found: str = json.loads((house.data / "maitred.lock").read_text(encoding="utf-8"))["url"]
    return found


def body(model: str, *, stream: bool) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": WORDS}], "stream": stream}


def ask(house: House, model: str = "echo", session: str = "s") -> httpx.Response:
    """A whole turn."""
    headers = {"x-session-id": session}
    with httpx.Client(base_url=url(house), trust_env=False, timeout=PATIENCE) as http:
        return http.post("/v1/chat/completions", json=body(model, stream=False), headers=headers)


@contextlib.contextmanager
def streaming(house: House, model: str) -> Iterator[tuple[str, Future[bytes]]]:
    """A turn that has begun to answer: its run, and what will have come of it when it is over."""
    with (
        httpx.Client(base_url=url(house), trust_env=False, timeout=PATIENCE) as http,
        http.stream(
            "POST", "/v1/chat/completions", json=body(model, stream=True), headers={"x-session-id": "slow"}
        ) as response,
        ThreadPoolExecutor(1) as pool,
    ):
        assert response.status_code == 200
        yield response.headers["x-maitred-run"], pool.submit(response.read)


def is_cut_off(received: bytes) -> bool:
    return b'"error"' in received.strip().rpartition(b"data: ")[2] and b"[DONE]" not in received


def leave(console: Terminal) -> None:
    """ctrl+q, and a look at what is left."""
    console.press(CTRL_Q)
    assert console.finish() == 0
    console.check_given_back()


def test_a_chat_through_its_port_is_a_row(console: Terminal, house: House) -> None:
    text = console.text()
    for title in ("queues", "runs", "sessions", "strikes", "cost", "journal", "findings"):
        assert title in text
    assert ask(house, session="my-session").json()["choices"][0]["message"]["content"] == WORDS
    console.until(lambda shown: "api:local/my-session" in shown and "completed" in shown, "row of the run")
    for key in "345":
        console.press(key)
        console.shows(f"▸{key}")
        console.shows("my-session")
    leave(console)
    assert console.said() == []


def test_abort_asks_and_cuts_off_the_client(console: Terminal, house: House) -> None:
    with streaming(house, ENDLESS) as (run, reading):
        console.until(lambda shown: "api:local/slow" in shown and "running" in shown, "running run")
        console.press("X")
        console.shows("Cancel")
        console.press(ENTER)
        # the screen is drawn from top to bottom: what stood in the middle may still stand when the last line is new
        console.until(lambda shown: "nothing was done" in shown and "Cancel" not in shown, "closed question")
        assert not reading.done()
        console.press("X")
        console.shows("Cancel")
        console.press(RIGHT)
        console.press(ENTER)
        assert is_cut_off(reading.result(PATIENCE))
        console.until(lambda shown: "api:local/slow" in shown and "aborted" in shown, "aborted run")
    acts = house.query("SELECT actor, action, target, outcome FROM audit WHERE action = 'abort'")
    assert [act[1:] for act in acts] == [("abort", run, "done")]
    assert acts[0][0], "it says who"
    leave(console)


LEAVE: dict[str, Callable[[Terminal], None]] = {
    "q": lambda console: console.press("q"),
    "ctrl+q": lambda console: console.press(CTRL_Q),
    "ctrl+c": lambda console: console.press(CTRL_C),
    "SIGTERM": lambda console: console.signal(signal.SIGTERM),
    "SIGINT": lambda console: console.signal(signal.SIGINT),
    "SIGHUP": lambda console: console.signal(signal.SIGHUP),
}


@pytest.mark.parametrize("way", LEAVE)
def test_the_terminal_is_given_back(console: Terminal, house: House, way: str) -> None:
    assert console.taken
    LEAVE[way](console)
    assert console.finish() == 0
    console.check_given_back()
    assert console.said() == []
    with pytest.raises(httpx.ConnectError):
        ask(house)


@pytest.mark.parametrize("way", ["q", "ctrl+c"])
def test_who_leaves_with_a_turn_in_flight_is_asked_and_it_ends_whole(
    console: Terminal, house: House, way: str
) -> None:
    with streaming(house, SLOW) as (_, reading):
        console.shows("api:local/slow")
        LEAVE[way](console)
        console.shows("Quit while 1 turn is in flight?")
        console.press(RIGHT)
        console.press(ENTER)
        assert reading.result(PATIENCE).endswith(b"data: [DONE]\n\n")
    assert console.finish() == 0
    console.check_given_back()
    assert house.query("SELECT status FROM runs") == [("completed",)]


def test_who_stays_stays(console: Terminal, house: House) -> None:
    with streaming(house, SLOW) as (_, reading):
        console.shows("api:local/slow")
        console.press("q")
        console.shows("Quit while 1 turn is in flight?")
        console.press(ENTER)
        console.until(lambda shown: "Quit while" not in shown, "end of the question")
        assert reading.result(PATIENCE).endswith(b"data: [DONE]\n\n")
    console.shows("completed")
    leave(console)


def test_a_signal_drains_without_asking(console: Terminal, house: House) -> None:
    with streaming(house, SLOW) as (_, reading):
        console.shows("api:local/slow")
        console.signal(signal.SIGTERM)
        assert reading.result(PATIENCE).endswith(b"data: [DONE]\n\n")
    assert console.finish() == 0
    console.check_given_back()


@pytest.mark.parametrize("way", ["ctrl+q", "SIGTERM twice", "drain_seconds over"])
def test_what_is_left_is_cut_off(house: House, way: str) -> None:
    if way == "drain_seconds over":
        house.settings("[server]\ndrain_seconds = 0.2")
    with Terminal(house.command("--port", "0"), house) as console:
        console.shows("● live")
        with streaming(house, ENDLESS) as (_, reading):
            console.shows("api:local/slow")
            if way == "ctrl+q":
                console.press(CTRL_Q)
            else:
                console.signal(signal.SIGTERM)
            if way == "SIGTERM twice":
                console.shows("leaving")
                console.signal(signal.SIGTERM)
            assert is_cut_off(reading.result(PATIENCE))
        assert console.finish() == 0
        console.check_given_back()
    assert house.query("SELECT status, exit_code FROM runs") == [("interrupted", 1)]
    assert house.query("SELECT partial FROM messages WHERE role = 'assistant'") == [(1,)]


CRASHES = {
    "in a widget that draws": "from console.widgets.table import LiveTable as broken; name = 'draw'",
    "in a screen that opens": "from console.screens.help import HelpScreen as broken; name = 'compose'",
    "before the first picture": "from console.app import ConsoleApp as broken; name = 'on_mount'",
    "in the feed": "from console.feed import Feed as broken; name = 'run'",
}
_INJECT = """
import sys
{where}
def fail(*arguments, **options):
    raise RuntimeError("an injected defect")
if name == "draw":
    whole = broken.draw
    def fail(self, now):
        if self.app.desk.cores[0].state.rows.runs:
            raise RuntimeError("an injected defect")
        whole(self, now)
setattr(broken, name, fail)
sys.argv = ["maitred", "--port", "0"]
from console.__main__ import main
main()
"""


@pytest.mark.parametrize("where", CRASHES)
def test_a_crash_gives_the_terminal_back(house: House, where: str) -> None:
    command = [*house.command()[:1], "-c", _INJECT.format(where=CRASHES[where])]
    with Terminal(command, house) as console:
        if where == "in a widget that draws":
            console.shows("● live")
            with contextlib.suppress(httpx.TransportError):
                ask(house)
        elif where == "in a screen that opens":
            console.shows("● live")
            console.press("?")
        assert console.finish() == 1
        console.check_given_back()
        assert "an injected defect" in "\n".join(console.said())
    with house.serve() as serving:
        assert serving.leave().code == 0, "what the crashed one held is free"


def test_a_crash_cuts_off_what_runs(house: House) -> None:
    where = CRASHES["in a screen that opens"]
    with Terminal([*house.command()[:1], "-c", _INJECT.format(where=where)], house) as console:
        console.shows("● live")
        with streaming(house, ENDLESS) as (_, reading):
            console.press("?")
            assert is_cut_off(reading.result(PATIENCE))
        assert console.finish() == 1
        console.check_given_back()
    assert house.query("SELECT status FROM runs") == [("interrupted",)]


def test_attach_shows_a_core_that_stays(house: House) -> None:
    with house.serve() as serving, Terminal(house.command("attach"), house) as console:
        console.shows("● live")
        ask(house, session="far-away")
        console.until(lambda shown: "api:local/far-away" in shown and "completed" in shown, "row of the run")
        console.press("q")
        assert console.finish() == 0
        console.check_given_back()
        assert ask(house).status_code == 200
        assert serving.leave().code == 0


def test_attach_outlives_its_core(house: House) -> None:
    with house.serve() as serving, Terminal(house.command("attach"), house) as console:
        console.shows("● live")
        serving.kill()
        console.until(lambda shown: "● live" not in shown, "lost link")
        with house.serve("--port", str(serving.port)):
            console.shows("● live")
        leave(console)


def test_attach_to_two_cores_and_abort_where_the_turn_is(house: House, tmp_path: Path) -> None:
    """Two houses, each with its own token; the turn of one is aborted by a key, and one of them goes away."""
    other = House(tmp_path / "other", house.upstream_url)
    other.home.mkdir()
    other.settings()
    with contextlib.ExitStack() as stack:
        here, there = stack.enter_context(house.serve()), stack.enter_context(other.serve())
        command = ["attach", here.url, there.url]
        for each in (house, other):
            command += ["--token-file", str(each.state / "token")]
        console = stack.enter_context(Terminal(house.command(*command), house))
        console.shows("● 2 live")
        ask(house, session="near")
        _, reading = stack.enter_context(streaming(other, ENDLESS))
        console.until(lambda shown: "local/near" in shown and "local/slow" in shown, "rows of both")
        line = next(line for line in console.text().split("\n") if "local/slow" in line)
        assert there.url.partition("://")[2] in line
        console.press("/slow" + ENTER)
        console.until(lambda shown: "local/near" not in shown, "filter")
        console.press("X")
        console.shows(f"on {there.url.partition('://')[2]}?")
        console.press(RIGHT + ENTER)
        console.shows("✓ aborted")
        assert is_cut_off(reading.result(PATIENCE))
        there.kill()
        console.shows("● 1 live  ✗ ")
        console.press(ESCAPE)
        console.until(lambda shown: "local/near" in shown and "local/slow" in shown, "rows of both, still")
        leave(console)
        assert ask(house).status_code == 200


def test_a_token_that_is_taken_no_more_is_told_and_the_one_that_comes_in_its_place_is_used(
    house: House, tmp_path: Path
) -> None:
    token = tmp_path / "a-token"
    token.touch(0o600)
    token.write_text("m" * 43, encoding="ascii")
    with house.serve() as serving:
        command = house.command("attach", serving.url, "--token-file", str(token))
        with Terminal(command, house) as console:
            console.shows("token")
            # it is asked again and again, and says the same
            console.until(
                lambda shown: "lost" in shown and "The core cannot be reached" in shown, "lost core"
            )
            assert "client has been closed" not in console.text()
            token.write_text(house.token(), encoding="ascii")
            console.shows("● live")
            leave(console)
