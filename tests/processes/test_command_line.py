"""view, watch, do, info and config against a running serve: what they print, what they change, how they end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from tests.processes.processes import CHECKOUT, Finished, House, Process, Serving
from tests.upstream import Upstream

pytestmark = pytest.mark.xdist_group("command line")

SETTINGS = """
[[admission.models]]
id = "echo"
input_usd_per_million = 2
[[admission.models]]
id = "slow-between?s=60"
"""
ENDLESS = "slow-between?s=60"

Rows = list[dict[str, Any]]


def ask(serving: Serving, model: str = "echo", **headers: str) -> httpx.Response:
    """A whole turn; `headers` with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = {"model": model, "messages": [{"role": "user", "content": "hello there"}]}
    with serving.http(token=None) as http:
        return http.post("/v1/chat/completions", json=body, headers=named)


@contextlib.contextmanager
def endless(serving: Serving, session: str) -> Iterator[tuple[str, Iterator[bytes]]]:
    """A turn that goes on and on: its run, and what comes of it."""
    body = {"model": ENDLESS, "messages": [{"role": "user", "content": "hello there"}], "stream": True}
    headers = {"x-session-id": session, "x-user-id": session}
    with (
        serving.http(token=None) as http,
        http.stream("POST", "/v1/chat/completions", json=body, headers=headers) as response,
    ):
        yield response.headers["x-maitred-run"], response.iter_bytes()


def do(serving: Serving, *arguments: str) -> tuple[int, dict[str, Any]]:
    """`maitred do`: its exit code, and the outcome that it printed as JSON."""
    done = serving.house.run("do", *arguments)
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1
    return done.code, msgspec.json.decode(done.stdout)


def last_act(serving: Serving) -> tuple[str, str, str, str, str]:
    """The latest entry of the audit: actor, action, target, reason, outcome."""
    entry = serving.audit()[0]
    return entry["actor"], entry["action"], entry["target"], entry["reason"], entry["outcome"]


def rows(serving: Serving, kind: str, **fields: Any) -> Rows:
    return [row for row in serving.view() if ({"row": kind} | fields).items() <= row.items()]


# ------------------------------------------------------------------------------------------------ view


def test_a_view_is_one_document(serving: Serving) -> None:
    ask(serving, x_session_id="seen", x_user_id="ann")
    for arguments in (["view", "--json"], ["view"], ["view", serving.url]):
        done = serving.house.run(*arguments)
        assert (done.code, done.stderr) == (0, "")
        view = msgspec.json.decode(done.stdout)
        assert view["cursor"].startswith(view["epoch"] + ".")
        assert view.keys() >= {"house", "instance", "epoch", "version", "now", "counts", "rows", "cursor"}
        assert sum(view["counts"].values()) == len(view["rows"])
        kinds = {row["row"] for row in view["rows"]}
        assert kinds == view["counts"].keys() == {"queue", "seat", "session", "pin", "cost", "run"}
        assert [row["micros"] for row in view["rows"] if row["row"] == "cost" and row["key"] == "ann"] == [4]


def test_a_reader_that_goes_away_leaves_no_traceback(serving: Serving) -> None:
    head = subprocess.run(
        ["sh", "-c", '"$0" -m console view | head -c 1', sys.executable],
        env=serving.house.environment,
        cwd=serving.house.home,
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert (head.stdout, head.stderr) == ("{", "")


@pytest.mark.parametrize(
    "arguments", [["view"], ["watch"], ["info"], ["--version"], ["do", "resume", "all"]], ids=" ".join
)
def test_nobody_reads(serving: Serving, arguments: list[str]) -> None:
    """The reader was gone before the first byte; or there is no standard output at all."""
    if arguments == ["watch"]:
        ask(serving)  # so that there is something to write
    reading, writing = os.pipe()
    os.close(reading)
    with serving.house.start(*arguments, stdout=writing) as process:
        os.close(writing)
        done = process.finish()
    assert (done.code, done.stderr) == (0, "")
    closed = ["sh", "-c", 'exec "$0" -m console "$@" >&-', sys.executable, *arguments]
    with Process(closed, serving.house, env=serving.house.environment) as process:
        done = process.finish()
    assert (done.code, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", [["view"], ["info"], ["do", "resume", "all"]], ids=" ".join)
def test_a_full_disk_is_said_in_one_line(serving: Serving, arguments: list[str]) -> None:
    with (
        Path("/dev/full").open("w", encoding="utf-8") as full,
        serving.house.start(*arguments, stdout=full) as process,
    ):
        done = process.finish()
    assert done.refused("standard output", "No space left")


# ----------------------------------------------------------------------------------------------- watch


def followed(process: Process) -> Rows:
    """What a watch has printed so far."""
    return [
        msgspec.json.decode(line) for line in process.stdout.splitlines(keepends=True) if line[-1:] == "\n"
    ]


def ended_runs(process: Process) -> int:
    return sum(event["kind"] == "run_changed" and event["what"] == "ended" for event in followed(process))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_watch_prints_every_event_and_ends_when_the_core_goes_away(
    house: House, number: signal.Signals
) -> None:
    with house.serve() as serving, house.start("watch", "--jsonl") as watch:
        for turn in range(5):
            ask(serving, x_session_id=f"s{turn}", x_user_id=f"u{turn}")
        watch.wait_for(lambda process: ended_runs(process) == 5, "five ended runs")
        with serving.http() as http:
            told = http.get("/v1/events", params={"wait": 0}).json()["events"]
        serving.signal(number)
        done = watch.finish()
    printed = [msgspec.json.decode(line) for line in done.stdout.splitlines()]
    assert printed[: len(told)] == told
    assert [event["seq"] for event in printed] == list(range(1, len(printed) + 1))
    assert {event["kind"] for event in printed} >= {
        "run_changed",
        "session_changed",
        "cost_changed",
        "pin_changed",
    }
    assert done.code == 3
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"maitred: {serving.url}: ")


def test_watch_can_begin_now(serving: Serving) -> None:
    ask(serving, x_session_id="before")
    with serving.http() as http:
        cursor = http.get("/v1/events", params={"after": "now", "wait": 0}).json()["cursor"]
    with serving.house.start("watch", "--new") as watch:
        while not followed(watch):
            ask(serving, x_session_id="after")
        assert followed(watch)[0]["seq"] > int(cursor.rpartition(".")[2])
        watch.signal(signal.SIGINT)
        assert "Traceback" not in watch.finish().stderr


# -------------------------------------------------------------------------------------------------- do


def test_abort(serving: Serving) -> None:
    with endless(serving, "aborted") as (run, reading):
        code, outcome = do(serving, "abort", run, "--reason", "it went on and on")
        assert (code, outcome["outcome"], outcome["count"]) == (0, "done", 1)
        received = b"".join(reading)
    assert b"it went on and on" in received
    assert b"[DONE]" not in received
    assert serving.run_row("aborted", runId=run)["exitCode"] == 0
    assert last_act(serving) == ("local", "abort", run, "it went on and on", "done")
    code, outcome = do(serving, "abort", run)
    assert (code, outcome["outcome"], outcome["code"]) == (1, "refused", "no_active_run")
    assert last_act(serving) == ("local", "abort", run, "", "refused")


def test_evict(serving: Serving) -> None:
    ask(serving, x_session_id="evicted")
    key = "api:local/evicted"
    (row,) = rows(serving, "session", sessionKey=key)
    code, outcome = do(serving, "evict", key, "--generation", str(row["generation"] + 1))
    assert (code, outcome["code"]) == (1, "gone"), "another generation of the session is another session"
    assert rows(serving, "session", sessionKey=key)
    code, outcome = do(serving, "evict", key, "--generation", str(row["generation"]), "--reason", "stale")
    assert (code, outcome["outcome"]) == (0, "done")
    assert not rows(serving, "session", sessionKey=key)
    assert last_act(serving) == ("local", "evict", key, "stale", "done")
    assert rows(serving, "pin", sessionKey=key), "pin and cost stay"
    code, outcome = do(serving, "evict", key)
    assert (code, outcome["code"]) == (1, "gone")


def test_evict_refuses_a_session_with_a_turn_and_close_ends_it(serving: Serving) -> None:
    with endless(serving, "busy") as (_, reading):
        code, outcome = do(serving, "evict", "api:busy/busy")
        assert (code, outcome["code"]) == (1, "session_busy")
        code, outcome = do(serving, "close", "api:busy/busy", "--reason", "enough")
        assert (code, outcome["outcome"]) == (0, "done")
        assert b"[DONE]" not in b"".join(reading)
    assert not rows(serving, "session", sessionKey="api:busy/busy")
    assert last_act(serving) == ("local", "close", "api:busy/busy", "enough", "done")


@pytest.mark.parametrize(
    ("target", "hit", "told"),
    [
        ("api:local/d1", {"d1"}, "api:local/d1"),
        ("project:left", {"d1", "d2"}, "project:left"),
        ("all", {"d1", "d2", "d3"}, "*"),
    ],
)
def test_dirty(serving: Serving, target: str, hit: set[str], told: str) -> None:
    for name, project in (("d1", "left"), ("d2", "left"), ("d3", "right")):
        for _ in range(2):  # the second turn rebuilds what an earlier test has marked
            ask(serving, x_session_id=name, x_project=project)
    code, outcome = do(serving, "dirty", target, "--reason", "new tools")
    assert (code, outcome["outcome"]) == (0, "done")
    marked = {
        name
        for name in ("d1", "d2", "d3")
        if rows(serving, "session", sessionKey=f"api:local/{name}")[0]["dirty"] is not None
    }
    assert marked == hit
    assert outcome["count"] >= len(hit)
    assert last_act(serving) == ("local", "dirty", told, "new tools", "done")
    ask(serving, x_session_id="d1", x_project="left")
    assert rows(serving, "session", sessionKey="api:local/d1")[0]["dirty"] is None, "rebuilt at its next use"


def test_dirty_refuses_what_is_not_there(serving: Serving) -> None:
    code, outcome = do(serving, "dirty", "api:local/nobody")
    assert (code, outcome["outcome"]) == (1, "refused")


@pytest.mark.parametrize(("target", "told"), [("echo", "echo"), ("all", "*")])
def test_pause_and_resume(serving: Serving, target: str, told: str) -> None:
    code, outcome = do(serving, "pause", target, "--reason", "maintenance")
    assert (code, outcome["outcome"]) == (0, "done")
    assert [row["pausedReason"] for row in rows(serving, "queue", model="echo")] == ["paused"]
    other = "paused" if target == "all" else None
    assert [row["pausedReason"] for row in rows(serving, "queue", model=ENDLESS)] == [other]
    assert last_act(serving) == ("local", "pause", told, "maintenance", "done")
    assert ask(serving, x_user_id=f"late-{target}").status_code == 429
    with serving.http() as http:
        nameless = {"action": "resume", "commandId": f"nameless {target}", "model": ""}
        assert http.post("/v1/commands", json=nameless).json()["code"] == "invalid_argument"
    code, _ = do(serving, "resume", target, "--reason", "done with it")
    assert code == 0
    assert [row["pausedReason"] for row in rows(serving, "queue")] == [None, None]
    assert last_act(serving) == ("local", "resume", told, "done with it", "done")
    code, outcome = do(serving, "pause", "no-such-model")
    assert (code, outcome["code"]) == (1, "invalid_argument")


def test_ban_and_unban(serving: Serving) -> None:
    assert ask(serving, x_user_id="mallory").status_code == 200
    code, outcome = do(serving, "ban", "mallory", "--reason", "spam")
    assert (code, outcome["outcome"]) == (0, "done")
    assert last_act(serving) == ("local", "ban", "mallory", "spam", "done")
    refused = ask(serving, x_user_id="mallory")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "banned")
    assert do(serving, "unban", "mallory", "--reason", "sorry")[0] == 0
    assert last_act(serving) == ("local", "unban", "mallory", "sorry", "done")
    assert ask(serving, x_user_id="mallory").status_code == 200


def test_the_journal_tells_of_acts(serving: Serving) -> None:
    do(serving, "dirty", "all", "--reason", "journalled")
    with serving.http() as http:
        events = http.get("/v1/events", params={"wait": 0, "limit": 10_000}).json()["events"]
    acted = [event for event in events if event["kind"] == "acted"][-1]
    told = {name: acted[name] for name in ("actor", "action", "target", "reason", "outcome")}
    assert told == {
        "actor": "local",
        "action": "dirty",
        "target": "*",
        "reason": "journalled",
        "outcome": "done",
    }


# ------------------------------------------------------------------------------------------ exit codes

WRONG_USAGE = [
    ["nonsense"],
    ["--nonsense"],
    ["--port", "many"],
    ["view", "--nonsense"],
    ["do"],
    ["do", "pause"],
    ["do", "frobnicate", "all"],
    ["do", "evict", "key", "--generation", "old"],
    ["do", "pause", ""],
    ["do", "dirty", "project:"],
    ["config", "nonsense"],
    *(
        ["view", url]
        for url in ("", "http://", "ftp://127.0.0.1", "127.0.0.1:99999", "http://h:x", "http://[")
    ),
]


@pytest.mark.parametrize("arguments", WRONG_USAGE, ids=" ".join)
def test_wrong_usage(serving: Serving, arguments: list[str]) -> None:
    done = serving.house.run(*arguments)
    assert (done.code, done.stdout) == (2, "")
    assert "Error: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_core_that_cannot_be_reached(house: House, upstream: Upstream) -> None:
    nobody = "127.0.0.1:1"  # a port that no ordinary process may have
    no_maitred = f"http://127.0.0.1:{upstream.port}"
    for arguments in (
        ["view"],
        ["view", nobody],
        ["view", no_maitred],
        ["watch", nobody],
        ["do", "resume", "all", nobody],
        ["do", "resume", "all", no_maitred],
    ):
        done = house.run(*arguments, env={"MAITRED_SERVER_PORT": "1"})
        assert (done.code, done.stdout) == (3, ""), done
        assert len(done.stderr.splitlines()) == 1
        assert done.stderr.startswith("maitred: http://127.0.0.1:")


def test_a_token_that_is_not_good_enough(serving: Serving) -> None:
    house = serving.house
    for arguments in (["view"], ["watch"], ["do", "ban", "ann"]):
        done = house.run(*arguments, "--token-env", "THE_TOKEN", env={"THE_TOKEN": "mtr_wrong"})
        done.refused("token")
        assert "mtr_" not in done.stderr
    house.run("view", "--token-env", "THERE_IS_NONE").refused("THERE_IS_NONE")
    house.run("view", serving.url, env={"XDG_STATE_HOME": str(house.home / "no")}).refused("token")
    good = {"THE_TOKEN": house.token()}
    assert house.run("view", "--token-env", "THE_TOKEN", env=good).code == 0


# ----------------------------------------------------------------------------------------------- paper


def test_info_says_where_everything_is_and_comes_from_and_no_secret(house: House) -> None:
    house.settings(
        '[server]\nport = 0\n[storage]\nurl = "postgresql://me:hidden-password@db/maitred"\n'
        f'[[tokens]]\nname = "ops"\nrole = "operator"\nsha256 = "{"ab" * 32}"\n',
        upstream='api_key_env = "THE_KEY"',
    )
    house.state.mkdir(parents=True)
    (house.state / "token").write_text("mtr_hidden", encoding="ascii")
    done = house.run("info", env={"THE_KEY": "sk-hidden", "MAITRED_RUNS_STALL_SECONDS": "7"})
    assert (done.code, done.stderr) == (0, "")
    for path in (house.settings_file, house.data, house.database, house.state / "token", house.log):
        assert str(path) in done.stdout
    assert f"server.port = 0  # {house.settings_file}" in done.stdout
    assert 'server.host = "127.0.0.1"  # default' in done.stdout
    assert "runs.stall_seconds = 7.0  # $MAITRED_RUNS_STALL_SECONDS" in done.stdout
    assert "ops (operator)" in done.stdout
    assert "me@db/maitred" in done.stdout
    assert "hidden" not in done.stdout
    assert "ab" * 32 not in done.stdout
    assert not house.data.exists(), "looking makes nothing"


def test_who_only_asks_a_core_needs_no_key_of_its_upstreams(house: House) -> None:
    house.settings(upstream='api_key_env = "THE_KEY"')
    with house.serve(env={"THE_KEY": "sk-any"}):
        for arguments in (["view"], ["do", "resume", "all"], ["info"]):
            assert house.run(*arguments).code == 0
        house.run("config", "check").refused("THE_KEY")


def test_config_check(house: House, tmp_path: Path) -> None:
    good = house.run("config", "check")
    assert (good.code, good.stdout) == (0, "")
    assert good.stderr == f"{house.settings_file}: good\n"
    house.settings_file.unlink()
    none = house.run("config", "check")
    assert (none.code, none.stdout) == (0, "")
    assert "the defaults hold" in none.stderr
    other = tmp_path / "other.toml"
    other.write_text("[server]\nprot = 1\n", encoding="utf-8")
    house.run("config", "check", str(other)).refused(str(other), "prot", "port")


@pytest.mark.parametrize("arguments", [["--version"], ["--version", "view"]], ids=" ".join)
def test_version(house: House, arguments: list[str]) -> None:
    project = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8")
    version = next(line for line in project.splitlines() if line.startswith("version")).split('"')[1]
    assert house.run(*arguments) == Finished(0, f"maitred {version}\n", "")


def test_nothing_of_the_core_is_imported_before_it_is_needed(tmp_path: Path) -> None:
    """The console's first picture waits for whatever every command imports."""
    ended = House(tmp_path, "").run("info", env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert ended.code == 0
    assert "core.settings" in ended.stderr, "the imports are told"
    assert "core.embedded" not in ended.stderr
    assert "sqlalchemy" not in ended.stderr
