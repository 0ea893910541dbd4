"""export, import, backup and reindex on the command line: files, interruptions, and what is refused."""

from __future__ import annotations

import signal
import sqlite3
import stat
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec
import pytest

from console.commands.transcript import Growing, Head
from core.errors import StartRefused
from tests.processes.processes import PATIENCE, House, Serving

pytestmark = pytest.mark.xdist_group("history files")

SETTINGS = """
[[admission.models]]
id = "echo"
"""
SAID = [{"role": "user", "content": "an apple"}, {"role": "assistant", "content": "a pear", "tool": "t"}]


def put(home: Path, *messages: Any, name: str = "in.jsonl") -> str:
    lines = [each if isinstance(each, str) else msgspec.json.encode(each).decode() for each in messages]
    path = home / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def many(count: int) -> list[Any]:
    return [{"role": "user", "content": f"message {number}"} for number in range(count)]


def contents(serving: Serving, key: str) -> list[Any]:
    with serving.http() as http:
        page = http.get(f"/v1/sessions/{key}/messages", params={"limit": 1000}).raise_for_status().json()
    return [message["content"] for message in page["messages"]]


def imported(house: House, *arguments: str) -> dict[str, Any]:
    done = house.run("import", *arguments)
    assert (done.code, done.stderr) == (0, ""), done
    answer: dict[str, Any] = msgspec.json.decode(done.stdout)
    return answer


# ---------------------------------------------------------------------------------- there and back again


def test_what_is_exported_can_be_imported(serving: Serving, tmp_path: Path) -> None:
    house = serving.house
    file = put(tmp_path, *SAID)
    assert imported(house, "round", file, "--user", "ann")["messages"] == 2
    target = tmp_path / "out.jsonl"
    done = house.run("export", "round", serving.url, "--output", str(target))
    assert (done.code, done.stderr) == (0, "")
    told = msgspec.json.decode(done.stdout)
    assert told == {"file": str(target), "messages": 2, "bytes": target.stat().st_size}
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert sorted(each.name for each in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]
    head, *lines = target.read_bytes().splitlines()
    assert msgspec.json.decode(head) == {
        "maitredSession": 1,
        "sessionKey": "round",
        "owner": "ann",
        "messages": 2,
    }
    first, second = map(msgspec.json.decode, lines)
    assert (first["content"], second["extra"]) == ("an apple", {"tool": "t"})
    assert imported(house, "round trip", str(target), "--user", "bob")["messages"] == 2
    again = house.run("export", "round trip")
    assert again.stderr == ""
    assert again.stdout.splitlines()[1:] == [line.decode() for line in lines]
    assert '"owner":"bob"' in again.stdout.splitlines()[0]


def test_an_empty_history_is_a_head(serving: Serving, tmp_path: Path) -> None:
    assert imported(serving.house, "nothing", put(tmp_path, ""))["messages"] == 0
    done = serving.house.run("export", "nothing")
    assert (done.code, len(done.stdout.splitlines())) == (0, 1)


def test_what_is_not_there(serving: Serving, tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    serving.house.run("export", "never heard of", "--output", str(target)).refused("'never heard of'")
    assert list(tmp_path.iterdir()) == []
    serving.house.run("import", "k", str(tmp_path / "nowhere")).refused("nowhere: cannot be read")
    serving.house.run("import", "k", str(tmp_path)).refused("cannot be read")


def test_messages_that_are_there_are_lost_only_when_that_is_said(serving: Serving, tmp_path: Path) -> None:
    imported(serving.house, "kept", put(tmp_path, *SAID))
    other = put(tmp_path, *many(3), name="other.jsonl")
    serving.house.run("import", "kept", other).refused("'kept' has 2 messages; --replace puts")
    assert contents(serving, "kept") == ["an apple", "a pear"]
    assert imported(serving.house, "kept", other, "--replace")["messages"] == 3
    assert contents(serving, "kept") == ["message 0", "message 1", "message 2"]


# --------------------------------------------------------------------------------------------- malformed

HEAD = '{"maitredSession":1,"sessionKey":"k","owner":null,"messages":2}'
GOOD = '{"role":"user","content":"x"}'


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([GOOD, '{"role":"user"'], ":2: is no JSON"),
        ([GOOD, "", '{"role":""}'], ":3: $.role: must be a text that is not empty"),
        (['{"content":"x"}'], ":1: $.role"),
        ([GOOD, "7"], ":2: $: a message must be an object"),
        ([GOOD, '{"role":"user","content":"x","timestamp":"noon"}'], ":2: $.timestamp"),
        (
            [GOOD, '{"role":"user","content":' + "[" * 100_000 + "]" * 100_000 + "}"],
            ":2: is nested too deeply",
        ),
        ([HEAD, GOOD], "ends after 1 of 2 messages: it is cut off"),
        ([HEAD, GOOD, GOOD, GOOD], ":4: is one more than the 2 messages"),
        ([HEAD.replace("1", "9", 1), GOOD], ":1: is of version 9"),
        ([HEAD.replace("2}", '"2"}'), GOOD], ":1: Expected `int`, got `str` - at `$.messages`"),
        ([GOOD, HEAD], ":2: $.role"),
        (["\ufeff" + GOOD], ":1: is no JSON"),
    ],
)
def test_a_malformed_file_is_refused_with_its_line(
    serving: Serving, tmp_path: Path, lines: list[str], told: str
) -> None:
    serving.house.run("import", "malformed", put(tmp_path, *lines)).refused("in.jsonl", told)
    with serving.http() as http:
        assert http.get("/v1/sessions/malformed").status_code == 404


def test_bytes_that_are_no_text(serving: Serving, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_bytes(b'{"role":"user","content":"\xff"}\n')
    serving.house.run("import", "malformed", str(tmp_path / "in.jsonl")).refused(":1: is no JSON")


# ------------------------------------------------------------------------------------------ interruptions


def test_an_export_goes_on_where_it_stopped(serving: Serving, tmp_path: Path) -> None:
    house = serving.house
    imported(house, "long", put(tmp_path, *many(1200)))
    whole = house.run("export", "long").stdout
    target = tmp_path / "out.jsonl"
    partial, at = tmp_path / "out.jsonl.partial", tmp_path / "out.jsonl.partial.at"
    # as a kill in the middle of the second part leaves it: the first one, and some of what follows
    lines = whole.encode().splitlines(keepends=True)
    first = b"".join(lines[:501])
    partial.write_bytes(first + b"".join(lines[501:600])[:-7])
    head = msgspec.json.decode(lines[0])
    place = {
        "head": head,
        "until": 1201,
        "written": 500,
        "bytes": len(first),
        "seq": 500,
        "last": lines[500].decode(),
    }
    at.write_bytes(msgspec.json.encode(place))
    done = house.run("export", "long", "--output", str(target))
    assert (done.code, done.stderr) == (0, "maitred: going on after 500 messages that are there\n")
    assert target.read_text() == whole
    assert not partial.exists()
    assert not at.exists()

    # of another history nothing is taken over, nor of what cannot be read
    for left in (msgspec.json.encode(place | {"last": "x"}), b"nonsense"):
        target.unlink()
        partial.write_bytes(first)
        at.write_bytes(left)
        done = house.run("export", "long", "--output", str(target))
        assert (done.code, done.stderr) == (0, "")
        assert target.read_text() == whole


def test_an_export_of_what_is_gone_meanwhile_is_refused(serving: Serving, tmp_path: Path) -> None:
    house = serving.house
    imported(house, "brief", put(tmp_path, *many(3)))
    (line,) = [each for each in house.run("export", "brief").stdout.splitlines() if "message 1" in each]
    head = {"maitredSession": 1, "sessionKey": "brief", "owner": None, "messages": 9}
    first = msgspec.json.encode(head) + b"\n" + line.encode() + b"\n"
    (tmp_path / "out.jsonl.partial").write_bytes(first)
    place = {"head": head, "until": 9, "written": 1, "bytes": len(first), "seq": 2, "last": f"{line}\n"}
    (tmp_path / "out.jsonl.partial.at").write_bytes(msgspec.json.encode(place))
    done = house.run("export", "brief", "--output", str(tmp_path / "out.jsonl"))
    assert done.code == 1
    assert "9 messages were there when the export began, and 2 of them were found" in done.stderr
    assert sorted(each.name for each in tmp_path.iterdir()) == ["in.jsonl"]


def test_what_is_in_the_way_of_an_export_stays(serving: Serving, tmp_path: Path) -> None:
    imported(serving.house, "way", put(tmp_path, *SAID))
    target = tmp_path / "out.jsonl"
    target.write_text("mine")
    serving.house.run("export", "way", "--output", str(target)).refused("is there already")
    assert target.read_text() == "mine"
    nowhere = str(tmp_path / "nowhere" / "out.jsonl")
    serving.house.run("export", "way", "--output", nowhere).refused("cannot be written")


def test_what_an_export_leaves_is_for_its_owner_alone(tmp_path: Path) -> None:
    with closing(Growing(tmp_path / "out.jsonl")) as file:
        place = file.begin(Head(maitred_session=1, session_key="k", owner=None, messages=2), 3)
        file.add(place, [b'{"role":"user","content":"a secret"}\n'], 1)
        left = list(tmp_path.iterdir())
        assert {each.name for each in left} == {"out.jsonl.partial", "out.jsonl.partial.at"}
        assert {stat.S_IMODE(each.stat().st_mode) for each in left} == {0o600}
        with pytest.raises(StartRefused, match="another export writes it"):
            Growing(tmp_path / "out.jsonl")


@pytest.mark.parametrize("end", ["kill", "ctrl+c"])
def test_an_import_goes_on_where_it_stopped(house: House, tmp_path: Path, end: str) -> None:
    """The core is killed, or the import is interrupted, somewhere in the middle; the same command finishes it."""
    file = put(tmp_path, *many(40_000))
    with house.serve() as serving:
        url = serving.url
        with house.start("import", "k", file, url) as process:
            _wait_until_staged(house, 500)
            if end == "kill":
                serving.kill()
                assert process.finish().code == 3
            else:
                process.signal(signal.SIGINT)
                done = process.finish()
                assert (done.code, done.stdout) == (1, "")
                assert "the history is as it was; the same command goes on from here" in done.stderr
                serving.leave()
    staged = house.query("SELECT staged FROM imports")[0][0]
    assert 500 <= staged < 40_000
    assert house.query("SELECT count(*) FROM messages") == [(0,)]
    with house.serve() as serving:
        done = house.run("import", "k", file, serving.url, seconds=60)
        assert (done.code, done.stderr) == (
            0,
            f"maitred: going on after {staged:,} messages that are there\n",
        )
        exported = house.run("export", "k", serving.url, seconds=60).stdout.splitlines()
    assert [msgspec.json.decode(line)["content"] for line in exported[1:]] == [
        f"message {number}" for number in range(40_000)
    ]


def _wait_until_staged(house: House, count: int) -> None:

    deadline = monotonic() + PATIENCE
    while monotonic() < deadline:
        if any(staged >= count for (staged,) in house.query("SELECT staged FROM imports")):
            return
    raise AssertionError("nothing came")


# ------------------------------------------------------------------------------------- backup and reindex


def test_a_house_starts_on_a_backup(house: House, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    with house.serve():
        imported(house, "k", put(tmp_path, *SAID))
        done = house.run("backup", str(copy))
        assert (done.code, done.stderr) == (0, "")
        told = msgspec.json.decode(done.stdout)
        assert (told["file"], told["sessions"], told["messages"]) == (str(copy), 1, 2)
        house.run("backup", str(copy)).refused("is there already")
        with closing(sqlite3.connect(copy)) as made:
            assert made.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        before = house.run("export", "k").stdout
    other = House(tmp_path / "other", house.upstream_url)
    other.home.mkdir()
    other.settings()
    other.data.mkdir(parents=True)
    copy.rename(other.database)
    with other.serve() as again:
        assert other.run("export", "k").stdout == before
        assert contents(again, "k") == ["an apple", "a pear"]


def test_a_backup_needs_no_core_but_a_database(house: House, tmp_path: Path) -> None:
    house.run("backup", str(tmp_path / "copy.db")).refused("has maitred ever been started here?")
    assert not (tmp_path / "copy.db").exists()
    with house.serve() as serving:
        serving.leave()
    assert house.run("backup", str(tmp_path / "copy.db")).code == 0


def test_reindex(serving: Serving, tmp_path: Path) -> None:
    imported(serving.house, "sought", put(tmp_path, {"role": "user", "content": "a quince"}))
    done = serving.house.run("reindex", serving.url)
    assert (done.code, done.stderr) == (0, "")
    assert msgspec.json.decode(done.stdout)["messages"] >= 1
    with serving.http() as http:
        assert [hit["sessionKey"] for hit in http.get("/v1/search", params={"q": "quince"}).json()] == [
            "sought"
        ]


def test_the_digest_is_that_of_the_lines(serving: Serving, tmp_path: Path) -> None:
    """What the API's page says of the digest, done by hand: without the head, byte for byte."""
    imported(serving.house, "digest", put(tmp_path, *SAID))
    lines = serving.house.run("export", "digest").stdout.encode().splitlines(keepends=True)[1:]
    with serving.http() as http:
        body = {"sessionKey": "by hand", "digest": sha256(b"".join(lines)).hexdigest(), "count": 2}
        begun = http.post("/v1/imports", json=body).raise_for_status().json()
        path = f"/v1/imports/{begun['importId']}"
        messages = [msgspec.json.decode(line) for line in lines]
        http.post(f"{path}/messages", json={"from": 0, "messages": messages}).raise_for_status()
        http.post(f"{path}/complete").raise_for_status()
    assert contents(serving, "by hand") == ["an apple", "a pear"]
