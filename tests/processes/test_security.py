"""The security floor of a real server: every route, every role, and where secrets must never stand."""

from __future__ import annotations

import http.client
import stat
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import msgspec
import pytest

from core.server.table import routes
from tests.processes.processes import House, Serving
from tests.upstream import Upstream

pytestmark = pytest.mark.xdist_group("security")

TOKENS = {role: f"mtr_{role}_secret" for role in ("viewer", "operator", "service", "user", "other user")}
SETTINGS = "".join(
    f'[[tokens]]\nname = "the {name}"\nrole = "{name.split()[-1]}"\n'
    f'sha256 = "{sha256(token.encode()).hexdigest()}"\n' + (f'user = "{user}"\n' if user else "")
    for (name, token), user in zip(TOKENS.items(), ["", "", "", "ann", "bob"], strict=True)
)

SEE, READ, ACT, DATA, ALL = "viewer operator", "operator service user", "operator", "service user", "*"
WRITE, KNOW = "user service", "viewer operator service user"
FOLLOW = "operator service user open"
WHO_MAY = {
    "POST /v1/chat/completions": DATA,
    "GET /v1/models": DATA,
    "POST /v1/seats": DATA,
    "GET /v1/seats/{userId}": DATA,
    "DELETE /v1/seats/{userId}": DATA,
    "POST /v1/gate": DATA,
    "POST /v1/runs": DATA,
    "POST /v1/runs/{run_id}/events": DATA,
    "GET /v1/runs/{run_id}/events": FOLLOW,
    "POST /v1/runs/{run_id}/complete": DATA,
    "POST /v1/runs/{run_id}/abort": DATA,
    "GET /v1/runs/{run_id}/control": DATA,
    "GET /v1/sessions/{key}/events": FOLLOW,
    "GET /v1/sessions": KNOW,
    "GET /v1/sessions/{key}": KNOW,
    "GET /v1/sessions/{key}/messages": READ,
    "POST /v1/sessions/{key}/messages": WRITE,
    "GET /v1/search": READ,
    "POST /v1/imports": READ,
    "POST /v1/imports/{import_id}/messages": READ,
    "POST /v1/imports/{import_id}/complete": READ,
    "DELETE /v1/imports/{import_id}": READ,
    "POST /v1/reindex": ACT,
    "GET /v1/view": SEE,
    "GET /v1/events": SEE,
    "POST /v1/preview": ACT,
    "POST /v1/commands": ACT,
    "GET /v1/audit": SEE,
    "GET /v1/explain": SEE,
    "GET /metrics": SEE,
    "GET /openapi.json": ALL,
    "GET /healthz": ALL,
    "GET /readyz": ALL,
}
"""Written down once more on purpose: a route that is new or opened further must be so here, too."""

OPENAI = {"/v1/chat/completions", "/v1/models"}
TOO_LARGE = 32 * 1024 * 1024 + 1

Headers = Iterable[tuple[str, str]]
JSON = ("Content-Type", "application/json")


class Answer(msgspec.Struct):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = msgspec.json.decode(self.body)["error"]
        return error


def send(
    serving: Serving,
    method: str,
    path: str,
    *headers: tuple[str, str],
    body: bytes = b"",
    host: str | None = "",
) -> Answer:
    """A request exactly as it is given; `host` None leaves that header out, empty is the right one."""
    connection = http.client.HTTPConnection("127.0.0.1", serving.port, timeout=10)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        if host is not None:
            connection.putheader("Host", host or f"127.0.0.1:{serving.port}")
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders(body or None)
        response = connection.getresponse()
        told = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, told, response.read())
    finally:
        connection.close()


def token(of: str) -> tuple[str, str]:
    return ("Authorization", f"Bearer {of}")


def chat(serving: Serving, text: str, *headers: tuple[str, str], model: str = "echo", **more: Any) -> Answer:
    body = {"model": model, "messages": [{"role": "user", "content": text}], **more}
    encoded = msgspec.json.encode(body)
    length = ("Content-Length", str(len(encoded)))
    return send(serving, "POST", "/v1/chat/completions", JSON, length, *headers, body=encoded)


def every_route() -> list[tuple[str, str]]:
    """Method and path of every row of the table."""
    # the table only hands the core on, so nothing of one is needed to read it
    return [(route.method, route.path) for route in routes(MagicMock(), MagicMock())]


def address(path: str) -> str:
    """A path that leads to this route, and asks it not to wait."""
    return path.format(run_id="r", key="k", userId="ann", import_id="i") + "?wait=0"


def token_for(serving: Serving, method: str, path: str) -> tuple[str, str]:
    """A token that may call this route."""
    return token(TOKENS["service"] if WHO_MAY[f"{method} {path}"] in (DATA, WRITE) else serving.house.token())


ROUTES = every_route()
by_route = pytest.mark.parametrize(("method", "path"), ROUTES, ids=str)


@pytest.fixture
def untouched(serving: Serving, upstream: Upstream) -> Iterator[None]:
    """What a test sends changes nothing: no row, no event, no entry, no call."""

    def state() -> tuple[Any, ...]:
        with serving.http() as client:
            cursor = client.get("/v1/events", params={"after": "now", "wait": 0}).json()["cursor"]
        return cursor, serving.view(), serving.audit()

    before = state()
    yield
    assert state() == before
    assert upstream.requests == []


def check_refused(answer: Answer, path: str, status: int, code: str) -> None:
    assert (answer.status, answer.error["code"]) == (status, code), answer
    assert answer.error["message"]
    assert "type" in answer.error if path in OPENAI else "type" not in answer.error
    assert not [name for name in answer.headers if name.startswith("access-control")], "CORS is not spoken"


# ----------------------------------------------------------------------- foreign names, pages and bodies

FOREIGN_HOSTS = [
    None,
    "evil.com",
    "localhost.evil.com",
    "127.0.0.1.evil.com",
    "evil.com:{port}",
    "127.0.0.1@evil.com",
    "evil.com@127.0.0.1",
    "127.0.0.1/evil.com",
    "127.0.0.1#evil.com",
    "127.0.0.1:{port}:1",
    "[::1",
    "192.0.2.1:{port}",
    "localhost.",
]
FOREIGN_ORIGINS = [
    "null",
    "http://evil.com",
    "http://evil.com:{port}",
    "https://127.0.0.1:{port}",
    "http://127.0.0.1:1",
    "http://127.0.0.1",
    "http://localhost:{port}",
    "file://",
    "",
]


@by_route
def test_foreign_names_and_pages(serving: Serving, untouched: None, method: str, path: str) -> None:
    good = [token(serving.house.token()), JSON]
    for host in FOREIGN_HOSTS:
        named = host.format(port=serving.port) if host else None
        answer = send(serving, method, address(path), *good, host=named)
        check_refused(answer, path, 403, "forbidden")
    for origin in FOREIGN_ORIGINS:
        told = ("Origin", origin.format(port=serving.port))
        check_refused(send(serving, method, address(path), *good, told), path, 403, "forbidden")
        check_refused(send(serving, "OPTIONS", address(path), *good, told), path, 403, "forbidden")


@by_route
@pytest.mark.parametrize("first", ["evil.com", "127.0.0.1"])
def test_two_hosts_are_none(serving: Serving, untouched: None, method: str, path: str, first: str) -> None:
    second = "127.0.0.1" if first == "evil.com" else "evil.com"
    answer = send(serving, method, address(path), token(serving.house.token()), ("Host", second), host=first)
    check_refused(answer, path, 400, "invalid_argument")


def test_our_own_names_and_pages(serving: Serving) -> None:
    good = token(serving.house.token())
    port = serving.port
    for host in ("127.0.0.1", f"127.0.0.1:{port}", f"localhost:{port}", f"LocalHost:{port}", f"[::1]:{port}"):
        assert send(serving, "GET", "/v1/view", good, host=host).status == 200
        page = ("Origin", f"http://{host.lower()}")
        assert send(serving, "GET", "/v1/view", good, page, host=host).status == 200


FOREIGN_BODIES: list[Headers] = [
    [],
    [("Content-Type", "text/plain")],
    [("Content-Type", "text/plain;application/json")],
    [("Content-Type", "application/x-www-form-urlencoded")],
    [("Content-Type", "multipart/form-data; boundary=x")],
    [("Content-Type", "application/jsonx")],
    [("Content-Type", "")],
]


@by_route
def test_bodies_that_are_not_json(serving: Serving, untouched: None, method: str, path: str) -> None:
    body = msgspec.json.encode(
        {
            "model": "echo",
            "messages": [{"role": "user", "content": "x"}],
            "action": "dirty",
            "all": True,
            "commandId": "c",
        }
    )
    good = token(serving.house.token())
    for headers in FOREIGN_BODIES:
        length = ("Content-Length", str(len(body)))
        answer = send(serving, method, address(path), good, length, *headers, body=body)
        check_refused(answer, path, 415, "unsupported_media_type")
        chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        coding = ("Transfer-Encoding", "chunked")
        answer = send(serving, method, address(path), good, coding, *headers, body=chunked)
        check_refused(answer, path, 415, "unsupported_media_type")


@by_route
def test_bodies_that_are_too_large(serving: Serving, untouched: None, method: str, path: str) -> None:
    good = token_for(serving, method, path)
    length = ("Content-Length", str(TOO_LARGE))
    answer = send(serving, method, address(path), good, JSON, length, body=b"{")
    check_refused(answer, path, 413, "payload_too_large")


@pytest.mark.parametrize("path", [path for method, path in ROUTES if method == "POST"])
def test_bodies_that_turn_out_too_large(serving: Serving, untouched: None, path: str) -> None:
    good = token_for(serving, "POST", path)
    connection = http.client.HTTPConnection("127.0.0.1", serving.port, timeout=20)
    piece = b"[" + b"0," * (1 << 19)
    try:
        connection.putrequest("POST", address(path))
        for name, value in (good, JSON, ("Transfer-Encoding", "chunked")):
            connection.putheader(name, value)
        connection.endheaders()
        try:
            for _ in range(TOO_LARGE // len(piece) + 1):
                connection.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            connection.send(b"0\r\n\r\n")
        except ConnectionError:
            pass  # it may hang up before all has been sent; the answer is there all the same
        response = connection.getresponse()
        answer = Answer(response.status, dict(response.getheaders()), response.read())
    finally:
        connection.close()
    check_refused(answer, path, 413, "payload_too_large")


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/view/", "//v1/view", "/v1/../v1/view", "/v1/%2e%2e/view", "/V1/view"]
)
def test_odd_paths_lead_nowhere(serving: Serving, untouched: None, path: str) -> None:
    answer = send(serving, "GET", path)
    assert (answer.status, answer.error["code"]) == (404, "not_found")


@by_route
def test_other_methods(serving: Serving, untouched: None, method: str, path: str) -> None:
    allowed = [each for each, at in ROUTES if at == path]
    for other in {"PUT", "DELETE", "PATCH", "OPTIONS", "POST", "GET"} - set(allowed):
        answer = send(serving, other, address(path), token(serving.house.token()))
        assert (answer.status, answer.headers["allow"]) == (405, ", ".join(allowed)), answer
    if method == "GET" and WHO_MAY[f"GET {path}"] != ALL:
        assert send(serving, "HEAD", address(path)).status == 401


# ----------------------------------------------------------------------------------------------- roles


def test_every_route_is_in_the_table_of_roles() -> None:
    assert WHO_MAY.keys() == {f"{method} {path}" for method, path in ROUTES}
    assert len(ROUTES) == len(WHO_MAY)


@pytest.mark.parametrize("route", WHO_MAY)
def test_roles(serving: Serving, upstream: Upstream, route: str) -> None:
    method, path = route.split()
    may = WHO_MAY[route]
    for role in ("viewer", "operator", "service", "user"):
        answer = send(serving, method, address(path), token(TOKENS[role]), JSON)
        if may == ALL or role in may.split():
            assert answer.status not in (401, 403), (role, answer)
        else:
            check_refused(answer, path, 403, "forbidden")
            assert role in answer.error["message"]
    nobody = [[], [token("mtr_wrong")], [token("")], [("Authorization", TOKENS["operator"])]]
    nobody.append([("Authorization", f"Basic {TOKENS['operator']}")])
    for headers in nobody:
        answer = send(serving, method, address(path), *headers, JSON)
        if may == ALL:
            assert answer.status == 200
        else:
            check_refused(answer, path, 401, "unauthorized")
            assert answer.headers["www-authenticate"] == "Bearer"
    local = send(serving, method, address(path), token(serving.house.token()), JSON)
    assert (local.status == 403) == (may in (DATA, WRITE)), "the local token is an operator's"
    assert upstream.requests == []


def test_without_tokens_the_data_plane_of_loopback_is_open_and_nothing_else(
    house: House, upstream: Upstream
) -> None:
    with house.serve() as serving:
        for headers in ([], [token("sk-any")], [token(house.token())]):
            assert send(serving, "GET", "/v1/models", *headers).status == 200
            assert chat(serving, "hello", *headers).status == 200
        assert len(upstream.requests) == 3
        for route, may in WHO_MAY.items():
            method, path = route.split()
            for headers in ([], [token("sk-any")]):
                answer = send(serving, method, address(path), *headers, JSON)
                assert (answer.status == 401) == (may not in (ALL, DATA, FOLLOW)), (route, answer)


def test_on_a_foreign_address_every_address_is_a_name_and_no_other_name(house: House) -> None:
    house.settings(SETTINGS)
    with house.serve("--host", "0.0.0.0") as serving:
        for host, status in (
            (f"127.0.0.1:{serving.port}", 200),
            ("192.0.2.1", 200),
            ("[2001:db8::1]:80", 200),
            ("localhost", 200),
            ("evil.com", 403),
            ("192.0.2.1.evil.com", 403),
        ):
            assert send(serving, "GET", "/v1/models", token(TOKENS["service"]), host=host).status == status
        assert send(serving, "GET", "/v1/models").status == 401


# ------------------------------------------------------------------------------------------ whose is it


def test_a_user_reaches_only_their_own(serving: Serving) -> None:
    ann, bob = token(TOKENS["user"]), token(TOKENS["other user"])
    # whatever a user says of being somebody else, the token says who it is
    claims = [("x-user-id", "bob"), ("x-session-key", "api:bob/s"), ("x-session-id", "s")]
    mine = chat(serving, "a secret of ann", ann, *claims, user="bob")
    assert (mine.status, mine.headers["x-maitred-session"]) == (200, "api:ann/s")
    run, key = mine.headers["x-maitred-run"], "api%3Aann%2Fs"
    mine_to_see = [f"/v1/sessions/{key}/messages", f"/v1/runs/{run}/events?wait=0"]
    for path in mine_to_see:
        own = send(serving, "GET", path, ann)
        assert own.status == 200
        assert b"a secret of ann" in own.body
        foreign = send(serving, "GET", path, bob)
        unknown = send(serving, "GET", path.replace(run, "nothing").replace("ann", "nobody"), bob)
        assert (foreign.status, unknown.status) == (404, 404)
        told, missing = foreign.error, unknown.error
        assert told["code"] == missing["code"], "whether it is there is nobody's business"
        assert told["message"] == missing["message"].replace("'nothing'", f"'{run}'").replace("nobody", "ann")
    theirs = chat(serving, "a question of bob", bob, ("x-session-id", "s"))
    assert theirs.headers["x-maitred-session"] == "api:bob/s"
    for reader in (TOKENS["operator"], TOKENS["service"]):
        assert [send(serving, "GET", path, token(reader)).status for path in mine_to_see] == [200, 200]


def test_a_session_has_one_owner(serving: Serving) -> None:
    """A service may name any key, and act for anybody; but for two users one key is never the same session."""
    service = token(TOKENS["service"])
    key = ("x-session-key", "shared")
    assert chat(serving, "mine", service, key, ("x-user-id", "carol")).status == 200
    refused = chat(serving, "mine too", service, key, ("x-user-id", "dave"))
    assert (refused.status, refused.error["code"]) == (404, "session_not_found")


def test_reading_content_is_audited(serving: Serving) -> None:
    chat(serving, "to be read", token(TOKENS["service"]), ("x-session-key", "read"))
    for path in ("/v1/sessions/read/messages", "/v1/search?q=read&sessionKey=read"):
        assert send(serving, "GET", path, token(TOKENS["operator"])).status == 200
    read = [entry for entry in serving.audit() if entry["target"] == "read"]
    assert [entry["actor"] for entry in read if entry["actor"] != "local"] == ["the operator"] * 2
    assert not [entry for entry in serving.audit() if "to be read" in str(entry)]


# --------------------------------------------------------------------------------------- files, secrets


def modes(folder: Path) -> dict[str, int]:
    return {
        str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode)
        for path in (folder, *folder.rglob("*"))
    }


def test_files_are_for_their_owner_only(house: House) -> None:
    """Even where the user's umask gives everything to everybody."""
    from tests.processes.processes import Serving as Started

    house.settings_file.parent.chmod(0o777)
    serving = Started(house.command("serve", "--port", "0"), house, env=house.environment, umask=0)
    with serving:
        serving.wait_until_it_serves()
        assert chat(serving, "hello").status == 200
        found = modes(house.data) | {f"state/{name}": mode for name, mode in modes(house.state).items()}
        folders = {name for name in found if name in (".", "state/.", "state/log")}
        assert {name: oct(found[name]) for name in folders} == dict.fromkeys(folders, "0o700")
        files = found.keys() - folders
        assert files >= {
            "maitred.db",
            "maitred.db-wal",
            "maitred.lock",
            "state/token",
            "state/log/maitred.log",
        }
        assert {name: oct(found[name]) for name in files} == dict.fromkeys(files, "0o600")
        assert oct(stat.S_IMODE(house.config.stat().st_mode)) == "0o700"


def test_the_token_is_made_once(house: House) -> None:
    with house.serve() as serving:
        first = house.token()
        assert len(first) > 40
        serving.kill()
    (house.state / "token").chmod(0o644)
    with house.serve():
        assert house.token() == first
        assert oct(stat.S_IMODE((house.state / "token").stat().st_mode)) == "0o600"
        assert [path.name for path in house.state.glob("token*")] == ["token"]


def test_no_secret_and_no_message_is_written_where_it_does_not_belong(
    house: House, upstream: Upstream
) -> None:
    marker, key = "MARKER-in-a-prompt", "sk-MARKER-of-the-upstream"
    where = 'base_url = "http://127.0.0.1:1/v1"\napi_key_env = "THE_KEY"\nmodels = ["dead"]'
    house.settings(f'[[upstreams]]\nname = "dead"\n{where}', upstream='api_key_env = "THE_KEY"')
    answers: list[Answer] = []
    with house.serve(env={"THE_KEY": key}) as serving, house.start("watch") as watch:
        assert chat(serving, f"{marker} alone").status == 200
        assert upstream.requests[-1].headers["authorization"] == f"Bearer {key}"
        local = token(house.token())
        broken = {"dead", "status-500", "status-429", "redirect", "broken-mid", "error-frame"}
        broken_off = broken | {"garbage", "no-terminator"}
        for model, stream in [*((each, False) for each in broken), *((each, True) for each in broken_off)]:
            said = chat(serving, f"{marker} to {model}", local, model=model, stream=stream)
            # of a stream that breaks off, what was received is the answer; what follows it is the error
            answers.append(Answer(said.status, said.headers, said.body.strip().rpartition(b"data: ")[2]))
        cut_short = b'{"model": "echo", "messages": [{"content": "%b' % marker.encode()
        length = ("Content-Length", str(len(cut_short)))
        answers += [
            chat(serving, marker, model=""),
            chat(serving, marker, stream="yes"),
            chat(serving, marker, temperature={"a": "b"}, model="status-400"),
            send(serving, "POST", "/v1/chat/completions", JSON, length, body=cut_short),
            send(serving, "GET", "/v1/view", token(key)),
            send(serving, "GET", "/v1/view", ("Authorization", f"Bearer {house.token()}x")),
            send(serving, "GET", "/v1/nothing", local),
        ]
        assert [answer for answer in answers if b'"error"' not in answer.body] == []
        with serving.http() as client:
            count = client.get("/v1/events", params={"wait": 0, "limit": 10_000}).json()["events"][-1]["seq"]
        watch.wait_for(lambda process: process.stdout.count("\n") >= count, f"{count} events")
        view = house.run("view").stdout
        audit = str(serving.audit())
        paper = house.run("info", env={"THE_KEY": key}).stdout
        own_token = house.token()
        journal = watch.stdout
        ended = serving.leave()
    log = house.log.read_text(encoding="utf-8")
    seen = {
        "log": log,
        "journal": journal,
        "view": view,
        "audit": audit,
        "info": paper,
        "stderr": ended.stderr,
    }
    seen |= {f"answer {n}": str(answer) for n, answer in enumerate(answers)}
    assert "run_changed" in journal
    for where, text in seen.items():
        for secret in ("MARKER", own_token):
            assert secret not in text, where
