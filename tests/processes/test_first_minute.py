"""Nothing is configured: a first request has an answer, and what the environment offers is used and told."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from console.desk import example_request
from core.store.lock import held_by, url_of_holder
from tests.processes.processes import House
from tests.processes.terminal import Terminal
from tests.upstream import Upstream


@pytest.fixture
def empty(tmp_path: Path, upstream: Upstream) -> House:
    """A home with nothing in it."""
    return House(tmp_path, upstream.base_url)


def test_the_built_in_model_answers(empty: House) -> None:
    with empty.serve() as serving, serving.http(token=None) as http:
        listed = [model["id"] for model in http.get("/v1/models").json()["data"]]
        assert listed == ["auto", "maitred/echo"]
        said = {"messages": [{"role": "user", "content": "a table for two"}]}
        for model in listed:
            body = {"model": model, **said}
            answer = http.post("/v1/chat/completions", json=body)
            assert answer.json()["choices"][0]["message"]["content"] == "a table for two"
            assert answer.headers["x-maitred-model"] == "maitred/echo"
            streamed = http.post("/v1/chat/completions", json=body | {"stream": True}).text
            assert streamed.count("data: {") == 5
            assert streamed.endswith("data: [DONE]\n\n")
        refused = http.post("/v1/chat/completions", json={"model": "gpt-4o-mini", **said})
        assert refused.json()["error"]["code"] == "model_not_found"


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_the_line_that_is_shown_works_in_a_shell(empty: House) -> None:
    with empty.serve() as serving:
        line = example_request(serving.url, "maitred/echo").replace("\n", "   \n")
        done = subprocess.run(
            ["sh", "-c", line], capture_output=True, check=True, text=True, env=empty.environment, timeout=20
        )
    assert '"content":"hello"' in done.stdout


def test_the_environment_offers_an_upstream(empty: House) -> None:
    env = {"OPENAI_API_KEY": "sk-hidden", "OPENAI_BASE_URL": empty.upstream_url}
    told = empty.run("info", env=env)
    assert 'upstreams = [{"name": "openai", ' in told.stdout
    assert "# $OPENAI_API_KEY" in told.stdout
    assert "hidden" not in told.stdout + told.stderr
    body = {"model": "echo", "messages": [{"role": "user", "content": "hello"}]}
    with empty.serve(env=env) as serving, serving.http(token=None) as http:
        answer = http.post("/v1/chat/completions", json=body)
        assert answer.headers["x-maitred-model"] == "echo"
        assert answer.json()["choices"][0]["message"]["content"]
        own = http.post("/v1/chat/completions", json=body | {"model": "auto", "user": "new"})
        assert own.headers["x-maitred-model"] == "maitred/echo"


@pytest.mark.parametrize("env", [{}, {"OPENAI_API_KEY": "sk-hidden"}], ids=["nothing set", "a key offered"])
def test_a_key_of_the_empty_house_opens_the_sandbox_instead(empty: House, env: dict[str, str]) -> None:
    with Terminal(empty.command("--port", "0"), empty, env=env) as terminal:
        terminal.shows("press p")
        where = url_of_holder(empty.data)
        terminal.press("p")
        terminal.shows("maitred sandbox")
        terminal.until(lambda text: re.search(r"[1-9]\d* in flight", text), "turns in flight")
        assert held_by(empty.data) is None, "the house is free again"
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{where}/healthz", trust_env=False)
        terminal.press("q")
        assert terminal.finish() == 0
        terminal.check_given_back()
        assert terminal.said() == []


@pytest.mark.parametrize("how", ["settings", "attach", "somebody came"])
def test_a_house_that_is_somebodys_is_not_closed_by_that_key(empty: House, how: str) -> None:
    if how == "settings":
        empty.settings()
    with contextlib.ExitStack() as stack:
        if how == "attach":
            stack.enter_context(empty.serve())
        command = ["attach"] if how == "attach" else ["--port", "0"]
        terminal = stack.enter_context(Terminal(empty.command(*command), empty))
        terminal.shows("● live")
        if how == "somebody came":
            body = {"model": "auto", "messages": [{"role": "user", "content": "hello"}]}
            httpx.post(f"{url_of_holder(empty.data)}/v1/chat/completions", json=body, trust_env=False)
            terminal.shows("completed")
        terminal.press("p?")
        text = terminal.shows("Keys in the panes")
        assert "Begin" not in text
        terminal.press("q")
        terminal.until(lambda text: "Keys in" not in text, "end of the help")
        terminal.press("q")
        assert terminal.finish() == 0
