"""What is stored of sessions, over real sockets: listed, read, appended, searched, by whoever may."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from core.settings import Token
from tests.end_to_end.conftest import House, Opening
from tests.end_to_end.test_runs import TOKENS, client, code, get, post

MANY = 1000


@pytest.fixture
async def guarded(open_house: Opening) -> Any:
    tokens: list[Token] = TOKENS
    async with open_house(tokens=tokens) as house:
        yield house


async def append(house: House, key: str, *texts: str, token: str = "svc", **more: Any) -> httpx.Response:
    messages = [{"role": "user", "content": each} for each in texts]
    return await post(house, f"/v1/sessions/{key}/messages", {"messages": messages, **more}, token)


async def actions(house: House, target: str) -> list[tuple[str, str]]:
    page = await house.core.audit(target=target)
    return [(entry.actor, entry.action) for entry in reversed(page.entries)]


# -------------------------------------------------------------------------------------------- append


async def test_messages_are_appended_and_read_back(guarded: House) -> None:
    told = await append(guarded, "tg%3A7", "an apple", "a pear", userId="ann", project="p")
    assert told.json() == {"sessionKey": "tg:7", "seqs": [1, 2]}
    own = {
        "role": "tool",
        "content": [{"type": "text", "text": "done"}],
        "timestamp": "2026-04-17T12:00:00Z",
        "tool_call_id": "c",
        "runId": "r",
        "partial": True,
    }
    told = await post(guarded, "/v1/sessions/tg%3A7/messages", {"messages": [own]})
    assert told.json()["seqs"] == [3]
    page = (await get(guarded, "/v1/sessions/tg%3A7/messages")).json()
    assert [each["content"] for each in page["messages"][:2]] == ["an apple", "a pear"]
    extra = {"extra": {"tool_call_id": own.pop("tool_call_id")}}
    assert page["messages"][2] == {"seq": 3, **own, **extra}
    forwards = (await get(guarded, "/v1/sessions/tg%3A7/messages", after=0, limit=2)).json()
    assert ([each["seq"] for each in forwards["messages"]], forwards["after"]) == ([1, 2], 2)
    refused = await get(guarded, "/v1/sessions/tg%3A7/messages", after=0, before=3)
    assert code(refused) == (400, "invalid_argument")
    detail = (await get(guarded, "/v1/sessions/tg%3A7")).json()
    assert (detail["owner"], detail["messages"]) == ("ann", 3)
    assert await actions(guarded, "tg:7") == [("ann", "created")]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"messages": []}, "$.messages"),
        ({"messages": [{"role": "user", "content": "x"}] * (MANY + 1)}, "$.messages"),
        ({"messages": [{"role": "user", "content": "x"}, {"content": "y"}]}, "$.messages[1].role"),
        ({"messages": [{"role": "user", "content": "x", "timestamp": "noon"}]}, "$.messages[0].timestamp"),
        ({"messages": ["x"]}, "$.messages[0]"),
        ({"message": {"role": "user"}}, "$"),
        ({"messages": [{"role": "user"}], "userId": "a\0b"}, "$.userId"),
    ],
)
async def test_what_cannot_be_appended_leaves_nothing(guarded: House, body: Any, path: str) -> None:
    told = await post(guarded, "/v1/sessions/k/messages", body)
    assert code(told) == (400, "invalid_argument")
    assert path in told.json()["error"]["message"]
    assert code(await get(guarded, "/v1/sessions/k")) == (404, "session_not_found")


async def test_a_session_is_its_owners(guarded: House) -> None:
    house = guarded
    assert (await append(house, "tg%3A7", "a plum", userId="ann")).status_code == 200
    assert (await append(house, "tg%3A8", "nobody's")).status_code == 200
    assert (await append(house, "api%3Aann%2Fs", "a fig", token="ann")).status_code == 200
    assert (await append(house, "tg%3A7", "mine", token="ann")).status_code == 200
    refused = [
        await append(house, "tg%3A7", "not mine", token="bob"),
        await append(house, "tg%3A8", "not mine", token="bob"),
        await append(house, "new", "whose is it", token="bob"),
        await append(house, "api%3Aann%2Fs", "not mine", token="bob"),
        await append(house, "api%3Aann%2Fother", "not mine", token="bob"),
        await append(house, "tg%3A7", "for bob", userId="bob"),
        await append(house, "api%3Aann%2Fs", "for bob", userId="bob"),
        await get(house, "/v1/sessions/tg%3A7", token="bob"),
        await get(house, "/v1/sessions/tg%3A7/messages", token="bob"),
        await get(house, "/v1/search", q="plum", sessionKey="tg:7", token="bob"),
    ]
    assert {code(each) for each in refused} == {(404, "session_not_found")}
    assert (await get(house, "/v1/sessions/tg%3A7/messages", token="ann")).json()["messages"][1][
        "content"
    ] == "mine"


# ------------------------------------------------------------------------------------- list and search


async def test_sessions_are_listed_in_pages(guarded: House) -> None:
    house = guarded
    for number in range(5):
        await append(house, f"k{number}", "x", userId="ann" if number % 2 else "bob")
    found: list[str] = []
    after: str | None = ""
    while after is not None:
        page = (await get(house, "/v1/sessions", limit=2, after=after)).json()
        found += [each["sessionKey"] for each in page["sessions"]]
        after = page["after"]
        assert len(page["sessions"]) <= 2
    assert found == ["k0", "k1", "k2", "k3", "k4"]
    named = (await get(house, "/v1/sessions", userId="ann", token="see")).json()
    own = (await get(house, "/v1/sessions", userId="bob", token="ann")).json()
    assert [each["sessionKey"] for each in named["sessions"]] == ["k1", "k3"]
    assert own == named, "a user lists their own, whatever they ask for"
    assert {(each["owner"], each["messages"]) for each in own["sessions"]} == {("ann", 1)}


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "many"])
@pytest.mark.parametrize("path", ["/v1/sessions", "/v1/sessions/k/messages", "/v1/search?q=x", "/v1/audit"])
async def test_pages_have_limits(guarded: House, path: str, limit: str) -> None:
    token = "see" if "audit" in path else "svc"
    async with client(guarded, token) as http:
        told = await http.get(httpx.URL(path).copy_merge_params({"limit": limit}))
    assert code(told) == (400, "invalid_argument")
    assert "limit" in told.json()["error"]["message"]


async def test_everybody_finds_what_they_may_read(guarded: House) -> None:
    house = guarded
    await append(house, "a", "a ripe plum", userId="ann")
    await append(house, "b", "a sour plum", userId="bob")
    await append(house, "c", "a plum of nobody")

    async def found(token: str, **more: Any) -> list[str]:
        hits = (await get(house, "/v1/search", token=token, q="plum", **more)).json()
        return sorted(hit["sessionKey"] for hit in hits)

    assert await found("svc") == await found("op") == ["a", "b", "c"]
    assert await found("ann") == ["a"]
    assert await found("bob") == ["b"]
    assert await found("bob", sessionKey="b") == ["b"]
    assert await found("op", limit=2, sessionKey="c") == ["c"]
    assert code(await get(house, "/v1/search", token="see", q="plum")) == (403, "forbidden")
    reads = [actor for actor, action in await actions(house, "*") if action == "read"]
    assert reads == ["desk"], "an operator's reading is audited, once"
