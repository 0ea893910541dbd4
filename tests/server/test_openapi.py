"""The description of the API says all there is in the table of routes, and what it says holds together."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints
from unittest.mock import MagicMock

import httpx
import msgspec
import pytest

import core.server
from core.errors import MaitredError, NoActiveRun
from core.server.metrics import Metrics
from core.server.openapi import describe
from core.server.routes import Call, Route
from core.server.table import routes
from core.settings import Pins, Settings
from tests.end_to_end.conftest import House, Opening

# the table only hands the core on, so nothing of one is needed to read it
ROUTES = routes(MagicMock(settings=Settings()), Metrics(MagicMock()))
TOLD = describe(ROUTES)
by_route = pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")


def operation(route: Route) -> dict[str, Any]:
    told: dict[str, Any] = TOLD["paths"][route.path][route.method.lower()]
    return told


def inside(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in a JSON value."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from inside(each)


@by_route
def test_every_route_is_told_of(route: Route) -> None:
    told = operation(route)
    assert re.fullmatch(r"[A-Z].{8,}\.", told["summary"]), (
        "the first line of the handler's docstring, one sentence"
    )
    assert [each["name"] for each in told["parameters"] if each["in"] == "path"] == re.findall(
        r"{(\w+)}", route.path
    )
    assert all(each.get("description") for each in told["parameters"]), "what each parameter means"
    assert ("requestBody" in told) == (route.takes is not None)
    tokens = {role for each in told["security"] for role in each.get("token", [])}
    assert tokens == route.roles - {"open"}
    assert ({} in told["security"]) == (not route.roles or "open" in route.roles)
    assert all(role in told["description"] for role in tokens)
    answers = told["responses"]
    assert {"200", "400", "403", "408", "413", "415", "431", "500", "503"} <= answers.keys()
    assert ("401" in answers) == bool(route.roles)
    assert ("429" in answers) >= bool(route.roles), "any token may be told to wait"
    assert ("404" in answers) >= ("{" in route.path)
    assert answers["200"].get("content"), "say what it answers: `gives`, or `also`"
    assert all(each["description"] for each in answers.values())


@by_route
def test_every_error_is_told_in_the_shape_that_it_has(route: Route) -> None:
    answers = operation(route)["responses"]
    shape = "OpenAIErrorAnswer" if route.openai else "ErrorAnswer"
    for error in (
        error for error in route.errors if error.http_status != 500 or error.code == "internal_error"
    ):
        told = str(answers.get(str(error.http_status)))
        assert f"'{error.code}'" in told or error.code == "upstream_refused", error
        assert f"schemas/{shape}'" in told


def test_it_holds_together() -> None:
    names = [each["operationId"] for path in TOLD["paths"].values() for each in path.values()]
    assert len(names) == len(set(names)) == len(ROUTES)
    for each in inside(TOLD):
        target: Any = TOLD
        for step in each.get("$ref", "#").split("/")[1:]:
            target = target[step]
    used = {each["$ref"] for each in inside(TOLD) if "$ref" in each}
    assert {f"#/components/schemas/{name}" for name in TOLD["components"]["schemas"]} <= used, (
        "nothing is told in vain"
    )


def additions(kind: Any) -> Iterator[dict[str, Any]]:
    """What a body's types add to its description."""
    if get_origin(kind) is Annotated:
        for meta in kind.__metadata__:
            if isinstance(meta, msgspec.Meta) and meta.extra_json_schema is not None:
                yield meta.extra_json_schema
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        for hint in get_type_hints(kind, include_extras=True).values():
            yield from additions(hint)
    for inner in get_args(kind):
        yield from additions(inner)


@pytest.mark.parametrize("route", [route for route in ROUTES if route.takes], ids=lambda route: route.path)
def test_all_that_is_added_to_a_type_is_told(route: Route) -> None:
    """What is said of a type where the description does not look for it is said to nobody."""
    told = list(inside(TOLD))
    for added in additions(route.takes):
        assert any(all(each.get(name) == value for name, value in added.items()) for each in told), added


def test_a_stream_is_told_with_its_media_type() -> None:
    found = {
        (path, media)
        for path, methods in TOLD["paths"].items()
        for each in methods.values()
        for media in each["responses"]["200"]["content"]
        if media != "application/json"
    }
    assert found >= {
        ("/v1/chat/completions", "text/event-stream"),
        ("/v1/runs/{run_id}/events", "text/event-stream"),
        ("/v1/sessions/{key}/events", "text/event-stream"),
        ("/v1/view", "application/x-ndjson"),
        ("/metrics", "text/plain"),
    }


def test_one_name_is_one_type() -> None:
    class Ended(msgspec.Struct):
        """Another one than that of the seats."""

        odd: int

    row = ROUTES[0]
    with pytest.raises(TypeError, match="called Ended"):
        describe([*ROUTES, msgspec.structs.replace(row, path="/v1/odd", takes=Ended)])


def test_a_route_tells_what_it_may_refuse_with() -> None:
    (row,) = [each for each in ROUTES if each.path == "/healthz"]
    told = describe([msgspec.structs.replace(row, errors=(NoActiveRun,))])
    conflict = told["paths"]["/healthz"]["get"]["responses"]["409"]
    assert conflict["description"] == "There is nothing to stop: the run has ended."
    assert "no_active_run" in str(conflict["content"]["application/json"])


async def test_anybody_may_read_it(house: House) -> None:
    async with httpx.AsyncClient(base_url=house.url, trust_env=False) as http:
        answers = [await http.get("/openapi.json") for _ in range(2)]
        head = await http.head("/openapi.json")
    assert [each.json() for each in answers] == [TOLD, TOLD]
    assert answers[0].headers["content-type"] == "application/json"
    assert (head.status_code, head.content) == (200, b"")


# ---------------------------------------------------------------------------------------- what is declared is read


@pytest.mark.parametrize(
    ("path", "name", "allowed"),
    [
        ("/v1/audit?limit=0", "limit", "a whole number from 1 to 1000"),
        ("/v1/audit?limit=many", "limit", "a whole number from 1 to 1000"),
        ("/v1/audit?before=1.5", "before", "a whole number"),
        ("/v1/audit?target=a%00b", "target", "U+0000"),
        ("/v1/events?wait=long", "wait", "a number"),
        ("/v1/explain?kind=mood&key=k", "kind", "seat or session"),
        ("/v1/explain?key=k", "kind", "is missing"),
        ("/v1/explain?kind=seat", "key", "is missing"),
        ("/v1/seats/ann?accessTier=all", "accessTier", "full or limited"),
    ],
)
async def test_what_is_none_of_the_allowed_is_named(house: House, path: str, name: str, allowed: str) -> None:
    async with house.http() as http:
        answer = await http.get(path)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["path"]) == (400, "invalid_argument", name)
    assert allowed in error["message"]


def test_a_parameter_that_is_not_declared_cannot_be_read() -> None:
    request = MagicMock(query_params={"secret": "1"})
    with pytest.raises(KeyError, match="secret"):
        Call(request, None, None, {}, {}).text("secret")


def test_a_header_that_is_not_declared_cannot_be_read() -> None:
    request = MagicMock(headers={"x-secret": "1"})
    with pytest.raises(KeyError, match="x-secret"):
        Call(request, None, None, {}, {}).header("x-secret")


def test_no_handler_reads_a_header_but_by_what_is_declared() -> None:
    """Beside the call that reads them only the floor under the routes does, and who asks whether a stream is wanted."""
    reading = {
        (source.name, name)
        for source in Path(core.server.__file__ or "").parent.glob("*.py")
        for name in re.findall(r"request\.headers\b(?:\.get\(([^,)]+))?", source.read_text())
    }
    assert reading == {("routes.py", '"authorization"'), ("routes.py", "name"), ("runs.py", '"accept"')}


def test_a_chat_completion_is_told_with_the_headers_that_it_reads() -> None:
    told = {
        each["name"]: each["schema"]
        for each in TOLD["paths"]["/v1/chat/completions"]["post"]["parameters"]
        if each["in"] == "header"
    }
    short, any_text = {"type": "string", "maxLength": 512}, {"type": "string"}
    assert told == {
        "x-session-id": short,
        "x-user-id": short,
        "x-user-email": short,
        "x-instance-id": any_text,
        "x-project": any_text,
        "x-session-key": any_text,
        "x-access-tier": {"enum": ["", "full", "limited"]},
    }


async def test_a_house_that_calls_the_conversation_otherwise_says_so(open_house: Opening) -> None:
    async with open_house(pins=Pins(header="X-Thread")) as house, house.http() as http:
        told = (await http.get("/openapi.json")).json()["paths"]["/v1/chat/completions"]["post"]["parameters"]
        names = {each["name"] for each in told}
        asked = {"model": "echo", "messages": [{"role": "user", "content": "hello"}]}
        answer = await http.post("/v1/chat/completions", json=asked, headers={"x-thread": "t"})
    assert "X-Thread" in names
    assert "x-session-id" not in names
    assert answer.headers["x-maitred-session"].endswith("/t")


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("x-user-id", "u" * 513, "text of at most 512 characters"),
        ("x-session-id", "s" * 513, "text of at most 512 characters"),
        ("x-user-email", "e" * 513, "text of at most 512 characters"),
        ("x-access-tier", "all", "full or limited"),
    ],
    ids=lambda told: told if len(told) < 20 else "",
)
async def test_a_header_that_is_none_of_the_allowed_is_named(
    house: House, name: str, value: str, allowed: str
) -> None:
    asked = {"model": "echo", "messages": [{"role": "user", "content": "hello"}]}
    async with house.http() as http:
        answer = await http.post("/v1/chat/completions", json=asked, headers={name: value})
    assert answer.status_code == 400
    assert (answer.json()["error"]["code"], answer.json()["error"]["param"]) == ("invalid_argument", name)
    assert allowed in answer.json()["error"]["message"]


def test_every_error_says_what_it_is() -> None:
    def below(root: type[MaitredError]) -> Iterator[type[MaitredError]]:
        for each in root.__subclasses__():
            yield each
            yield from below(each)

    assert [each for each in below(MaitredError) if not each.__doc__] == []
