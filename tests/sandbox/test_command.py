"""``maitred sandbox`` on a terminal: it lives, it leaves without a question, and nothing of it stays."""

from __future__ import annotations

import re
import signal

import httpx
import pytest

from core.server.listener import bind
from core.settings import Server
from tests.processes.processes import House
from tests.processes.terminal import Terminal
from tests.sandbox.seen import check_nothing_is_left


def sandbox(house: House, *arguments: str) -> Terminal:
    return Terminal(house.command("sandbox", "--users", "30", *arguments), house)


def test_it_lives_and_leaves_without_a_question(house: House) -> None:
    with sandbox(house, "--speed", "20", "--scenario", "runaway") as terminal:
        terminal.shows("maitred sandbox")
        terminal.until(lambda text: re.search(r"[1-9]\d* in flight", text), "turns in flight")
        assert any((house.home / "tmp").iterdir()), "its data"
        terminal.press("3")
        terminal.shows("wren-2")
        terminal.press("6")
        terminal.shows("run started")
        terminal.press("q")
        assert terminal.finish() == 0
        terminal.check_given_back()
        assert terminal.said() == []
    check_nothing_is_left(house)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_the_same_way(house: House, number: signal.Signals) -> None:
    with sandbox(house) as terminal:
        terminal.until(lambda text: re.search(r"[1-9]\d* in flight", text), "turns in flight")
        terminal.signal(number)
        assert terminal.finish() == 0
        terminal.check_given_back()
    check_nothing_is_left(house)


def test_real_clients_may_join_in(house: House) -> None:
    with bind(Server(port=0)) as taken:
        port = taken.getsockname()[1]
    with sandbox(house, "--port", str(port)) as terminal:
        terminal.until(lambda text: re.search(r"[1-9]\d* in flight", text), "turns in flight")
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=20) as http:
            models = [model["id"] for model in http.get("/v1/models").json()["data"]]
            assert models[:2] == ["auto", "wren-2"]
            answer = http.post(
                "/v1/chat/completions",
                json={
                    "model": "robin-5",
                    "messages": [{"role": "user", "content": "which table is too wide?"}],
                },
                headers={"x-user-id": "me"},
            )
        assert answer.status_code in (200, 429), "served, or told to wait for a seat like everybody"
        terminal.press("q")
        assert terminal.finish() == 0
    check_nothing_is_left(house)


def test_a_port_that_is_taken_is_told_before_the_screen_is(house: House) -> None:
    with bind(Server(port=0)) as taken:
        port = str(taken.getsockname()[1])
        with sandbox(house, "--port", port) as terminal:
            assert terminal.finish() == 1
            (line,) = terminal.said()
        assert f":{port}: somebody listens there already" in line
        assert b"\x1b" not in terminal.sent
    check_nothing_is_left(house)


@pytest.mark.parametrize(
    ("option", "value"),
    [("--users", "0"), ("--users", "50001"), ("--speed", "0"), ("--scenario", "party"), ("--seed", "x")],
)
def test_what_cannot_be_is_wrong_usage(house: House, option: str, value: str) -> None:
    ended = house.run("sandbox", option, value)
    assert (ended.code, ended.stdout) == (2, "")
    assert option in ended.stderr
