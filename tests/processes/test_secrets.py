"""No token, and no hash of one, stands anywhere but where it belongs: whatever is asked, and however it goes wrong."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from hashlib import sha256

import httpx
import pytest

from core.errors import CoreUnreachable, MaitredError
from core.remote import RemoteCore
from tests.processes.processes import House, Serving
from tests.processes.terminal import Terminal
from tests.processes.test_security import JSON, ROUTES, SETTINGS, TOKENS, Answer, address, send, token

HASHES = [sha256(each.encode()).hexdigest() for each in TOKENS.values()]


def without_secrets(seen: dict[str, str], secrets: Iterable[str]) -> None:
    for where, text in seen.items():
        for secret in secrets:
            assert secret not in text, (where, secret)


def everything(serving: Serving) -> list[Answer]:
    """Every route with every token, and with some that are none."""
    local = serving.house.token()
    given = [token(each) for each in (*TOKENS.values(), *HASHES[:1], local, local[:-1])]
    answers = [send(serving, method, address(path), each, JSON) for method, path in ROUTES for each in given]
    nearly = TOKENS["operator"]
    odd = [
        [("Authorization", f"Basic {nearly}")],
        [("Authorization", nearly)],
        [token(nearly), token(nearly)],
        [token(nearly), ("Host", "evil.example")],
        [token(nearly), ("x-big", "y" * 100_000)],
        [token(nearly), ("Content-Length", "x")],
        [token(nearly), ("Transfer-Encoding", "nonsense")],
    ]
    return answers + [send(serving, "GET", "/v1/view", *headers) for headers in odd]


def test_no_token_is_told(house: House) -> None:
    house.settings(SETTINGS)
    with house.serve() as serving, house.start("watch") as watch:
        answers = everything(serving)
        with serving.http() as http:
            paper = {path: http.get(path).text for path in ("/metrics", "/openapi.json")}
        for name, given in (("WRONG", "mtr_operator_secret_of_another"), ("GOOD", TOKENS["viewer"])):
            for command in (["view"], ["do", "resume", "all"]):
                done = house.run(*command, "--token-env", name, env={name: given})
                paper[f"{command} {name}"] = done.stderr
                assert (done.code == 0) == (name == "GOOD" and command == ["view"])
        for command in (["view"], ["info"], ["doctor"], ["config", "check"]):
            done = house.run(*command)
            paper[str(command)] = done.stdout + done.stderr
        paper["audit"] = str(serving.audit())
        local = house.token()
        ended = serving.leave()
        paper["journal"] = watch.stdout + watch.finish().stderr
    paper["the log"] = house.log.read_text(encoding="utf-8")
    paper["standard error"] = ended.stdout + ended.stderr
    paper |= {f"answer {place}": str(answer) for place, answer in enumerate(answers)}
    assert {answer.status for answer in answers} >= {200, 400, 401, 403, 431}
    without_secrets(paper, [*TOKENS.values(), *HASHES, local, sha256(local.encode()).hexdigest()])


def test_no_token_is_kept(house: House) -> None:
    """But for the local one, which stands in its own file, and the hashes of the others, in the settings."""
    house.settings(SETTINGS)
    with house.serve() as serving:
        everything(serving)
        local = house.token()
        serving.leave()
    files = [
        each
        for folder in (house.data, house.state)
        for each in folder.rglob("*")
        if each.is_file() and each != house.state / "token"
    ]
    assert len(files) > 2
    held = {str(each): each.read_bytes().decode("latin-1") for each in files}
    without_secrets(held, [*TOKENS.values(), *HASHES, local])


@pytest.mark.parametrize("answer", ["nobody", "html", "mine"])
async def test_no_token_is_in_an_error_of_a_remote_core(answer: str) -> None:
    core = RemoteCore("http://127.0.0.1:1", "mtr_secret")

    def reply(request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == "Bearer mtr_secret"
        if answer == "nobody":
            raise httpx.ConnectError("refused", request=request)
        return httpx.Response(500, text="<html>" if answer == "html" else "{}")

    core._client._transport = httpx.MockTransport(reply)
    try:
        with pytest.raises(CoreUnreachable) as failed:
            await core.events("")
        told: list[str] = []
        error: BaseException | None = failed.value
        while error is not None:
            told += [str(error), repr(error), repr(vars(error))]
            error = error.__cause__ or error.__context__
        assert isinstance(failed.value, MaitredError)
        without_secrets({"an error": "\n".join(told)}, ["mtr_secret"])
        without_secrets({"itself": repr(core) + repr(core._client.headers)}, ["mtr_secret"])
    finally:
        await core.aclose()


def test_a_crash_tells_where_and_not_with_what(house: House) -> None:
    """The console's last words are where it broke; the variables there may hold a key, or what somebody said."""
    secret = "mtr_held_in_a_variable"
    script = (
        "import sys\nfrom console import app\nheld = sys.argv.pop()\n"
        "def draw(self):\n    token = held[::-1]\n    raise RuntimeError('the picture fell off the wall')\n"
        "app.ConsoleApp.draw = draw\nfrom console.__main__ import main\nmain()\n"
    )
    command = [sys.executable, "-c", script, "--port", "0", secret[::-1]]
    with Terminal(command, house) as terminal:
        assert terminal.finish() == 1
        terminal.check_given_back()
        assert b"fell off the wall" in terminal.sent
        without_secrets({"the terminal": terminal.sent.decode("utf-8", "replace")}, [secret, secret[::-1]])
    log = house.log.read_text(encoding="utf-8")
    assert "fell off the wall" in log
    without_secrets({"the log": log}, [secret, secret[::-1]])
