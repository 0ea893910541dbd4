"""Seats and the gate over HTTP, as a front that knows of them uses them."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx
import pytest

from core.clock import SystemClock
from core.server.auth import hash_of
from core.settings import Admission, Hours, Model, Quota, Token
from tests.end_to_end.conftest import House, Opening
from tests.end_to_end.test_chat import HELLO
from tests.upstream.server import Upstream

TOKENS = [
    Token(name="front", role="service", sha256=hash_of("svc")),
    Token(name="ann's", role="user", user="ann", sha256=hash_of("ann")),
    Token(name="desk", role="operator", sha256=hash_of("op")),
    Token(name="wall", role="viewer", sha256=hash_of("see")),
]


def admission(*models: Model, **settings: Any) -> Admission:
    """A waiting room whose ticks only come when a test makes one."""
    return Admission(models=list(models), **{"tick_seconds": 3600, **settings})


QUEUED = admission(Model(id="echo", instant_admit_capacity=0), fallback_model="echo")
INSTANT = admission(Model(id="echo"), Model(id="count-3"))


def client(house: House, token: str = "svc") -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=house.url, headers={"authorization": f"Bearer {token}"}, trust_env=False, timeout=10
    )


async def post(house: House, path: str, /, *, token: str = "svc", **body: Any) -> httpx.Response:
    async with client(house, token) as http:
        return await http.post(path, json=body)


async def poll(house: House, user: str, *, token: str = "svc", **query: str) -> httpx.Response:
    async with client(house, token) as http:
        return await http.get(f"/v1/seats/{quote(user, safe='')}", params=query)


async def end(house: House, user: str, *, token: str = "svc") -> httpx.Response:
    async with client(house, token) as http:
        return await http.delete(f"/v1/seats/{quote(user, safe='')}")


async def chat(house: House, *, token: str = "svc", model: str = "echo", **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with client(house, token) as http:
        return await http.post(
            "/v1/chat/completions", json={"model": model, "messages": HELLO}, headers=named
        )


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """The status and code of an OpenAI error, which says what to do."""
    error = answer.json()["error"]
    assert error["type"] == "admission_error"
    assert error["message"].endswith(".")
    return answer.status_code, error["code"]


async def test_one_evening_from_the_queue_to_the_end(open_house: Opening) -> None:
    async with open_house(admission=QUEUED, tokens=TOKENS) as house:
        none = await poll(house, "ann")
        assert (none.status_code, none.json()["status"]) == (200, "none")
        assert "POST /v1/seats" in none.json()["message"]
        strangers = {"x_user_id": "ann", "x_instance_id": "made-up"}
        assert refusal(await chat(house, **strangers)) == (428, "waiting_room_required")

        first = await post(house, "/v1/seats", userId="bob", model="echo")
        asked = await post(house, "/v1/seats", userId="ann", model="echo", accessTier="full")
        assert (asked.status_code, first.json()["position"]) == (200, 1)
        told = asked.json()
        assert (told["status"], told["position"], told["queueDepth"]) == ("queued", 2, 2)
        assert "GET /v1/seats/{userId}" in told["message"]
        mine = {"x_user_id": "ann", "x_instance_id": told["instanceId"]}

        waiting = await chat(house, **mine)
        assert refusal(waiting) == (429, "waiting_room_queued")
        assert waiting.headers["retry-after"] == "3600"
        assert "GET /v1/seats/" in waiting.json()["error"]["message"]
        gate = await post(house, "/v1/gate", userId="ann", instanceId=told["instanceId"])
        assert (gate.status_code, gate.json()["ok"]) == (429, False)
        assert gate.json()["code"] == "waiting_room_queued"
        assert gate.headers["retry-after-ms"] == str(gate.json()["retryAfterMs"])

        for _ in range(2):
            await house.core.waiting_room.tick()
        active = (await poll(house, "ann", instanceId=told["instanceId"])).json()
        assert (active["status"], active["instanceId"]) == ("active", told["instanceId"])
        assert 0 < active["remainingMs"] <= 3_600_000
        assert (await chat(house, **mine)).status_code == 200
        passed = await post(house, "/v1/gate", userId="ann", instanceId=told["instanceId"], model="echo")
        assert (passed.status_code, passed.json()["reason"]) == (200, "active")

        taken = (await post(house, "/v1/seats", userId="ann", model="echo")).json()
        assert taken["status"] == "active"
        assert taken["instanceId"] != told["instanceId"]
        superseded = await poll(house, "ann", instanceId=told["instanceId"])
        assert (superseded.status_code, superseded.json()["status"]) == (200, "superseded")
        assert refusal(await chat(house, **mine)) == (409, "session_superseded")
        assert (await chat(house, x_user_id="ann", x_instance_id=taken["instanceId"])).status_code == 200

        for _ in range(2):
            ended = await end(house, "ann")
            assert (ended.status_code, ended.json()) == (200, {"status": "ended"})
        gone = await chat(house, x_user_id="ann", x_instance_id=taken["instanceId"])
        assert refusal(gone) == (428, "waiting_room_required")
        assert gone.headers["x-should-retry"] == "false"
        assert (await poll(house, "bob")).json()["status"] == "active"


async def test_every_refusal_of_a_seat_has_its_code_and_a_next_step(open_house: Opening) -> None:
    models = [
        Model(id="echo"),
        Model(id="big", premium=True),
        Model(id="lim", limited=True),
    ]
    rules = admission(*models, quota=Quota(full=1), address_cap=1, bypass_emails=["boss@example.org"])
    async with open_house(admission=rules, tokens=TOKENS) as house:
        room = house.core.waiting_room
        await room.ban("eve", actor="op", reason="r")

        async def ask(user: str, model: str, **more: Any) -> tuple[int, str, str]:
            answer = await post(house, "/v1/seats", userId=user, model=model, **more)
            waits = "retryAfterMs" in answer.json()
            assert waits == ("retry-after" in answer.headers), answer.headers
            return answer.status_code, answer.json()["status"], answer.json().get("message", "")

        assert await ask("eve", "echo") == (
            403,
            "banned",
            "This account is banned; an operator can lift that.",
        )
        assert (await ask("boss", "echo", email="Boss@example.org"))[:2] == (200, "disabled")
        assert (await ask("ann", "nope"))[:2] == (400, "model_unknown")
        assert (await ask("ann", ""))[:2] == (400, "model_unknown")
        assert (await ask("ann", "echo", access={"addressHash": "home"}))[:2] == (200, "active")
        status, code, message = await ask("ann", "big")
        assert (status, code) == (409, "model_locked")
        assert "DELETE /v1/seats/" in message
        status, code, message = await ask("bob", "echo", access={"addressHash": "home"})
        assert (status, code) == (429, "rate_limited")
        assert "address" in message
        assert (await ask("carol", "big"))[:2] == (200, "active")
        await end(house, "carol")
        assert (await ask("carol", "big"))[:2] == (200, "active"), "the first cost a tenth"
        assert (await poll(house, "carol")).json()["rateLimit"]["recentCount"] == 1.1


async def test_closed_models_say_when_they_open(open_house: Opening) -> None:
    minutes = SystemClock().now() // 60_000
    opened, closed = (f"{at // 60 % 24:02}:{at % 60:02} UTC" for at in (minutes - 120, minutes - 60))
    rules = admission(Model(id="echo", hours=Hours(open=opened, close=closed)))
    async with open_house(admission=rules, tokens=TOKENS) as house:
        answer = await post(house, "/v1/seats", userId="ann", model="echo")
        assert (answer.status_code, answer.json()["status"]) == (409, "model_unavailable")
        assert answer.json()["availableHours"] == f"{opened} – {closed}"
        assert answer.json()["availableHours"] in answer.json()["message"]
        assert "retry-after" not in answer.headers


@pytest.mark.parametrize("user", ["a/b", "a:b", "a%2Fb", "ü/ß", "a b?c#d", "...", "😀"])
async def test_any_user_can_be_asked_for(open_house: Opening, user: str) -> None:
    async with open_house(admission=INSTANT, tokens=TOKENS) as house:
        asked = (await post(house, "/v1/seats", userId=user, model="echo")).json()
        found = (await poll(house, user, instanceId=asked["instanceId"])).json()
        assert (found["status"], found["instanceId"]) == ("active", asked["instanceId"])
        assert house.core.waiting_room.seat_of(user) is not None
        assert (await end(house, user)).status_code == 200
        assert house.core.waiting_room.seat_of(user) is None


async def test_the_gate_without_an_instance(open_house: Opening) -> None:
    async with open_house(admission=INSTANT, tokens=TOKENS) as house:
        for missing in ({}, {"instanceId": ""}, {"instanceId": None}):
            answer = await post(house, "/v1/gate", userId="ann", **missing)
            assert (answer.status_code, answer.json()["code"]) == (426, "update_required")
            assert answer.json()["httpStatus"] == 426
            assert "POST /v1/seats" in answer.json()["message"]
            assert answer.headers["x-should-retry"] == "false"
        mine = (await post(house, "/v1/seats", userId="ann", model="echo")).json()["instanceId"]
        for body, status, code in (
            ({"model": "count-3"}, 409, "session_model_mismatch"),
            ({"model": "a/helper", "requireActive": True}, 200, None),
            ({"accessTier": "limited"}, 409, "session_model_mismatch"),
        ):
            answer = await post(house, "/v1/gate", userId="ann", instanceId=mine, **body)
            assert (answer.status_code, answer.json().get("code")) == (status, code)
    async with open_house(admission=admission(enabled=False), tokens=TOKENS) as house:
        assert (await post(house, "/v1/gate", userId="ann")).json()["reason"] == "disabled"
        strict = await post(house, "/v1/gate", userId="bob", instanceId="i", requireActive=True)
        assert (strict.status_code, strict.json()["code"]) == (428, "waiting_room_required")
        assert (await post(house, "/v1/seats", userId="ann", model="echo")).json() == {"status": "disabled"}


async def test_a_user_speaks_for_that_user_alone(open_house: Opening) -> None:
    rules = admission(Model(id="echo", instant_admit_capacity=0), bypass_emails=["boss@example.org"])
    async with open_house(admission=rules, tokens=TOKENS) as house:
        mine = await post(house, "/v1/seats", token="ann", userId="ann", model="echo", accessTier="full")
        assert (mine.status_code, mine.json()["status"]) == (200, "queued")
        assert (await poll(house, "ann", token="ann")).json()["status"] == "queued"
        refused = [
            await post(house, "/v1/seats", token="ann", userId="bob", model="echo"),
            await post(house, "/v1/gate", token="ann", userId="bob", instanceId="i"),
            await poll(house, "bob", token="ann"),
            await end(house, "bob", token="ann"),
            await post(house, "/v1/seats", token="ann", userId="ann", model="echo", email="boss@example.org"),
            await post(house, "/v1/seats", token="ann", userId="ann", model="echo", accessTier="limited"),
            await post(house, "/v1/seats", token="ann", userId="ann", model="echo", access={}),
            await post(house, "/v1/gate", token="ann", userId="ann", email="boss@example.org"),
            await poll(house, "ann", token="ann", email="boss@example.org"),
            await poll(house, "ann", token="ann", accessTier="limited"),
        ]
        for answer in refused:
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden"), answer.text
            assert "service" in answer.json()["error"]["message"]
        for token in ("op", "see"):
            answer = await poll(house, "ann", token=token)
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")
        assert (await end(house, "ann", token="ann")).status_code == 200
        assert house.core.waiting_room.seat_of("ann") is None


ORIGIN = {
    "countryCode": "XK",
    "blockReason": "anonymised-hosting",
    "privacySignals": ["relay-exit"],
    "addressHash": "a11ce5",
    "checkedAt": "2026-04-17T12:00:00Z",
}


async def test_where_somebody_comes_from_is_told_to_operators_alone(open_house: Opening) -> None:
    async with open_house(
        admission=admission(Model(id="echo", max_active=1), address_cap=2), tokens=TOKENS
    ) as house:

        async def why(user: str, token: str) -> dict[str, Any]:
            async with client(house, token) as http:
                answer = await http.get("/v1/explain", params={"kind": "seat", "key": user})
            assert answer.status_code == 200
            return dict(answer.json())

        told = [
            await post(house, "/v1/seats", userId=user, model="echo", access=ORIGIN)
            for user in ("ann", "bob")
        ]
        assert [each.json()["status"] for each in told] == ["active", "queued"]
        told.append(await post(house, "/v1/seats", userId="cid", model="echo", access=ORIGIN))
        assert told[-1].json()["status"] == "rate_limited"
        for token, user in (("svc", "ann"), ("svc", "bob"), ("ann", "ann")):
            told.append(await poll(house, user, token=token))
        told.append(await post(house, "/v1/gate", userId="bob", instanceId="i"))
        told.append(await chat(house, x_user_id="bob", x_instance_id="i"))
        for answer in told:
            for secret in ("XK", "anonymised-hosting", "relay-exit", "a11ce5", "2026-04-17T12:00:00Z"):
                assert secret not in answer.text
        for user in ("ann", "bob"):
            assert (await why(user, "op"))["origin"] == {**ORIGIN, "seatsThere": 2, "addressCap": 2}
            assert (await why(user, "see")).get("origin") is None
        await end(house, "ann")
        assert (await why("bob", "op"))["origin"]["seatsThere"] == 1


async def test_on_open_loopback_anybody_is_a_service(open_house: Opening) -> None:
    rules = admission(Model(id="echo", limited=True), bypass_emails=["boss@example.org"])
    async with open_house(admission=rules) as house:
        for body, status in (
            ({"email": "boss@example.org"}, "disabled"),
            ({"accessTier": "limited"}, "active"),
        ):
            answer = await post(house, "/v1/seats", token="any", userId="ann", model="echo", **body)
            assert answer.json()["status"] == status
        assert (await poll(house, "ann", token="any", accessTier="limited")).json()["accessTier"] == "limited"


async def test_who_a_chat_is_for_is_a_service_s_to_say(open_house: Opening, upstream: Upstream) -> None:
    rules = admission(
        Model(id="echo", instant_admit_capacity=0),
        Model(id="count-3", limited=True),
        bypass_emails=["boss@example.org"],
        fallback_model="echo",
        limited_model="count-3",
    )
    async with open_house(admission=rules, tokens=TOKENS) as house:
        boss, limited = {"x_user_email": "boss@example.org"}, {"x_access_tier": "limited"}
        assert (await chat(house, x_user_id="boss", **boss)).status_code == 200
        assert refusal(await chat(house, token="ann", **boss)) == (429, "waiting_room_queued")
        assert refusal(await chat(house, x_user_id="lee", **limited)) == (409, "session_model_mismatch")
        told = await chat(house, x_user_id="lee", model="auto", **limited)
        assert (told.status_code, told.headers["x-maitred-model"]) == (200, "count-3")
        seat = house.core.waiting_room.seat_of("lee")
        assert seat is not None
        assert seat.access_tier == "limited"
        asked = len(upstream.requests)
        for headers, field in (
            ({"x_access_tier": "gold"}, "x-access-tier"),
            ({"x_user_email": "x" * 513}, "x-user-email"),
        ):
            bad = await chat(house, x_user_id="lee", model="count-3", **headers)
            assert (bad.status_code, bad.json()["error"]["param"]) == (400, field)
        assert len(upstream.requests) == asked


async def test_a_seat_that_the_house_took_and_a_client_s(open_house: Opening) -> None:
    async with open_house(admission=INSTANT, tokens=TOKENS) as house:
        assert (await chat(house, x_user_id="ann")).status_code == 200
        found = (await poll(house, "ann")).json()
        assert found["status"] == "active", "the house requested it"
        assert (await chat(house, x_user_id="ann", x_instance_id=found["instanceId"])).status_code == 200
        locked = await post(house, "/v1/seats", userId="ann", model="count-3")
        assert (locked.status_code, locked.json()["currentModel"]) == (409, "echo")
        mine = (await post(house, "/v1/seats", userId="ann", model="echo")).json()
        assert mine["instanceId"] != found["instanceId"]
        assert refusal(await chat(house, x_user_id="ann", x_instance_id=found["instanceId"])) == (
            409,
            "session_superseded",
        )
        # a client's seat is not the house's to move, and is nobody's who does not hold it
        assert refusal(await chat(house, x_user_id="ann")) == (426, "update_required")
        elsewhere = await chat(house, x_user_id="ann", x_instance_id=mine["instanceId"], model="count-3")
        assert refusal(elsewhere) == (409, "session_model_mismatch")


LONG = "x" * 513


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/seats", {"userId": "", "model": "echo"}, "$.userId"),
        ("/v1/seats", {"userId": LONG, "model": "echo"}, "$.userId"),
        ("/v1/seats", {"userId": "a\0b", "model": "echo"}, "$.userId"),
        ("/v1/seats", {"userId": 5, "model": "echo"}, "$.userId"),
        ("/v1/seats", {"userId": None, "model": "echo"}, "$.userId"),
        ("/v1/seats", {"model": "echo"}, "userId"),
        ("/v1/seats", {"userId": "ann"}, "model"),
        ("/v1/seats", {"userId": "ann", "model": LONG}, "$.model"),
        ("/v1/seats", {"userId": "ann", "model": "a\0"}, "$.model"),
        ("/v1/seats", {"userId": "ann", "model": ["echo"]}, "$.model"),
        ("/v1/seats", {"userId": "ann", "model": "echo", "accessTier": "gold"}, "$.accessTier"),
        ("/v1/seats", {"userId": "ann", "model": "echo", "accesstier": "limited"}, "accesstier"),
        ("/v1/seats", {"userId": "ann", "model": "echo", "email": LONG}, "$.email"),
        ("/v1/seats", {"userId": "ann", "model": "echo", "email": {}}, "$.email"),
        ("/v1/seats", {"userId": "ann", "model": "echo", "access": "home"}, "$.access"),
        ("/v1/seats", {"userId": "ann", "model": "echo", "access": {"ip": "::1"}}, "$.access"),
        (
            "/v1/seats",
            {"userId": "ann", "model": "echo", "access": {"addressHash": "a\0"}},
            "$.access.addressHash",
        ),
        (
            "/v1/seats",
            {"userId": "ann", "model": "echo", "access": {"countryCode": LONG}},
            "$.access.countryCode",
        ),
        (
            "/v1/seats",
            {"userId": "ann", "model": "echo", "access": {"privacySignals": ["a", LONG]}},
            "$.access.privacySignals[1]",
        ),
        (
            "/v1/seats",
            {"userId": "ann", "model": "echo", "access": {"privacySignals": ["a"] * 65}},
            "$.access.privacySignals",
        ),
        (
            "/v1/seats",
            {"userId": "ann", "model": "echo", "access": {"checkedAt": "noon"}},
            "$.access.checkedAt",
        ),
        ("/v1/gate", {"userId": "ann", "instanceId": 7}, "$.instanceId"),
        ("/v1/gate", {"userId": "ann", "instanceId": LONG}, "$.instanceId"),
        ("/v1/gate", {"userId": "ann", "instanceId": "i", "requireActive": "yes"}, "$.requireActive"),
        ("/v1/gate", {"userId": "ann", "instanceId": "i", "model": "a\0"}, "$.model"),
        ("/v1/gate", {"instanceId": "i"}, "userId"),
        ("/v1/gate", [], "$"),
    ],
)
async def test_what_is_malformed_is_named(
    open_house: Opening, path: str, body: dict[str, Any], field: str
) -> None:
    async with open_house(admission=INSTANT, tokens=TOKENS) as house:
        async with client(house) as http:
            answer = await http.post(path, json=body)
        assert answer.status_code == 400, answer.text
        error = answer.json()["error"]
        assert error["code"] == "invalid_argument"
        if field.startswith("$"):
            assert error["path"] == field
        else:
            assert f"`{field}`" in error["message"]
        assert house.core.waiting_room.seat_count() == 0


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/seats/%ED%A0%80", "userId"),
        ("/v1/seats/%FF", "userId"),
        ("/v1/seats/a%00b", "userId"),
        (f"/v1/seats/{LONG}", "userId"),
        ("/v1/seats/ann?accessTier=gold", "accessTier"),
        (f"/v1/seats/ann?instanceId={LONG}", "instanceId"),
        ("/v1/seats/ann?instanceId=%00", "instanceId"),
        (f"/v1/seats/ann?email={LONG}", "email"),
    ],
)
async def test_what_is_malformed_in_an_address_is_named(open_house: Opening, path: str, field: str) -> None:
    async with open_house(admission=INSTANT, tokens=TOKENS) as house, client(house) as http:
        answer = await http.get(path)
        assert (answer.status_code, answer.json()["error"]["path"]) == (400, field), answer.text
        if field == "userId":
            assert (await http.delete(path)).status_code == 400


@pytest.mark.parametrize(
    "body", [rb'{"userId":"a\ud800b","model":"echo"}', b'{"userId":"\xed\xa0\x80"}', b"{"]
)
async def test_what_is_no_json_is_refused(open_house: Opening, body: bytes) -> None:
    async with open_house(admission=INSTANT, tokens=TOKENS) as house, client(house) as http:
        for path in ("/v1/seats", "/v1/gate"):
            answer = await http.post(path, content=body, headers={"content-type": "application/json"})
            assert (answer.status_code, answer.json()["error"]["path"]) == (400, "$")
