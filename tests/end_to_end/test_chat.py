"""The official OpenAI client through the gateway, against a real upstream."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest

from core.errors import MaitredError
from core.protocol import RunRow
from core.router import Reservation
from core.settings import Admission, Runs
from tests.end_to_end.conftest import PRICED, House, Opening
from tests.upstream.server import Upstream

HELLO: list[Any] = [{"role": "user", "content": "hello brave new world"}]


async def finished(house: House, *, runs: int = 1) -> list[RunRow]:
    """The runs, once so many have ended."""
    rows: list[RunRow] = []
    for _ in range(500):
        rows = [row for row in house.core.runs.rows() if row.ended_at is not None]
        if len(rows) >= runs:
            return rows
        await asyncio.sleep(0.01)
    raise AssertionError(f"only {len(rows)} runs ended")


async def messages(house: House, key: str) -> list[tuple[str, Any, bool]]:
    page = await house.core.history(key)
    return [(message.role, message.content, message.partial) for message in page.messages]


async def test_a_whole_answer(house: House) -> None:
    answer = await house.openai().chat.completions.create(model="echo", messages=HELLO)
    assert answer.choices[0].message.content == "hello brave new world"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.prompt_tokens > 0
    (run,) = await finished(house)
    assert (run.state, run.exit_code, run.model) == ("completed", 0, "echo")
    assert await messages(house, run.session_key) == [
        ("user", "hello brave new world", False),
        ("assistant", "hello brave new world", False),
    ]


async def test_a_streamed_answer(house: House) -> None:
    stream = await house.openai().chat.completions.create(model="count-5", messages=HELLO, stream=True)
    chunks = [chunk async for chunk in stream]
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == "1 2 3 4 5"
    assert [c.finish_reason for chunk in chunks for c in chunk.choices][-1] == "stop"
    assert all(chunk.choices for chunk in chunks), "the usage chunk is withheld unless it is asked for"
    (run,) = await finished(house)
    assert run.output_tokens > 0, "usage is counted all the same"


async def test_usage_in_a_stream_when_it_is_asked_for(house: House) -> None:
    stream = await house.openai().chat.completions.create(
        model="usage-cached?prompt=100&cached=40&completion=7",
        messages=HELLO,
        stream=True,
        stream_options={"include_usage": True},
    )
    usages = [chunk.usage async for chunk in stream if chunk.usage is not None]
    assert [usage.prompt_tokens for usage in usages] == [100]
    assert usages[0].prompt_tokens_details is not None
    assert usages[0].prompt_tokens_details.cached_tokens == 40


@pytest.mark.parametrize("streamed", [False, True])
async def test_tool_calls_pass_and_are_remembered(house: House, streamed: bool) -> None:
    tools: list[Any] = [
        {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}
    ]
    client = house.openai()
    if streamed:
        stream = await client.chat.completions.create(model="tools", messages=HELLO, tools=tools, stream=True)
        deltas = [c.delta async for chunk in stream for c in chunk.choices]
        names = [call.function.name for d in deltas for call in d.tool_calls or () if call.function]
        assert "look_up" in names
    else:
        answer = await client.chat.completions.create(model="tools", messages=HELLO, tools=tools)
        assert answer.choices[0].finish_reason == "tool_calls"
    (run,) = await finished(house)
    page = await house.core.history(run.session_key)
    assert page.messages[-1].extra is not None
    assert page.messages[-1].extra["tool_calls"][0]["function"]["name"] == "look_up"


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("model", "error"),
    [
        ("status-429", openai.RateLimitError),
        ("status-500", openai.InternalServerError),
        ("status-400", openai.BadRequestError),
        ("redirect", openai.InternalServerError),
    ],
)
async def test_an_upstream_that_refuses(
    house: House, streamed: bool, model: str, error: type[openai.APIStatusError]
) -> None:
    with pytest.raises(error) as caught:
        await house.openai().chat.completions.create(model=model, messages=HELLO, stream=streamed)
    if model == "status-429":
        assert int(caught.value.response.headers["retry-after-ms"]) > 0
    (run,) = await finished(house)
    assert (run.state, run.exit_code, run.micros) == ("failed", 1, 0)
    assert house.core.router.turn_of(run.session_key) is None, "the slot is free"


@pytest.mark.parametrize(
    "model", ["broken-mid", "broken-mid?rst=1", "no-terminator", "garbage", "error-frame"]
)
async def test_an_answer_that_breaks_off_never_ends_cleanly(house: House, model: str) -> None:
    stream = await house.openai().chat.completions.create(model=model, messages=HELLO, stream=True)
    received: list[str] = []

    async def read() -> None:
        async for chunk in stream:
            received.extend(choice.delta.content or "" for choice in chunk.choices)

    with pytest.raises(openai.APIError):
        await read()
    assert received
    (run,) = await finished(house)
    assert (run.state, run.exit_code) == ("failed", 1)
    stored = await messages(house, run.session_key)
    assert stored[-1] == ("assistant", "".join(received), True)
    assert house.core.router.turn_of(run.session_key) is None, "the slot is free"


async def test_an_unknown_model_names_those_there_are(open_house: Opening, upstream: Upstream) -> None:
    async with open_house() as house:
        house.core.directory._for_the_rest = None
        with pytest.raises(openai.NotFoundError) as caught:
            await house.openai().chat.completions.create(model="nope", messages=HELLO)
    assert caught.value.code == "model_not_found"


async def test_only_what_is_new_is_appended(house: House) -> None:
    client = house.openai(default_headers={"x-session-id": "s"})
    await client.chat.completions.create(model="echo", messages=HELLO)
    answer = await client.chat.completions.create(model="count-2", messages=HELLO)
    said: Any = answer.choices[0].message.model_dump()
    await client.chat.completions.create(
        model="echo", messages=[*HELLO, said, {"role": "user", "content": "and then?"}]
    )
    await finished(house, runs=3)
    contents = [content for _, content, _ in await messages(house, "api:local/s")]
    assert contents == ["hello brave new world", "1 2", "and then?", "and then?"]


async def test_the_client_s_headers_stay_here(house: House, upstream: Upstream) -> None:
    client = house.openai(
        api_key="sk-secret",
        default_headers={"cookie": "a=b", "x-user-id": "u1", "x-custom": "c", "x-session-id": "s"},
    )
    await client.chat.completions.create(model="echo", messages=HELLO)
    (seen,) = upstream.requests
    sent = {name.lower(): value for name, value in seen.headers.items()}
    assert "authorization" not in sent
    assert "cookie" not in sent
    assert not [name for name in sent if name.startswith("x-")]
    assert seen.body["messages"] == HELLO


async def test_a_busy_session_is_refused_with_the_time_to_wait(house: House, upstream: Upstream) -> None:
    client = house.openai(default_headers={"x-session-id": "s"})
    first = asyncio.create_task(client.chat.completions.create(model="hang", messages=HELLO))
    await upstream.until_arrived("hang")
    with pytest.raises(openai.ConflictError) as caught:
        await client.chat.completions.create(model="echo", messages=HELLO)
    assert caught.value.code == "session_busy"
    assert int(caught.value.response.headers["retry-after-ms"]) > 0
    assert "has a turn; wait for its end, or abort it" in caught.value.message
    first.cancel()
    await finished(house)


async def test_a_session_that_is_being_imported_is_not_said_to_have_a_turn(house: House) -> None:
    client = house.openai(default_headers={"x-session-id": "s"})
    await client.chat.completions.create(model="echo", messages=HELLO)
    reserved = house.core.router.reserve("api:local/s", "import")
    assert isinstance(reserved, Reservation)
    with pytest.raises(openai.ConflictError, match="is reserved for import; ask again shortly"):
        await client.chat.completions.create(model="echo", messages=HELLO)
    reserved.release()
    await client.chat.completions.create(model="echo", messages=HELLO)


@pytest.mark.parametrize("model", ["slow-between?s=5", "hang", "slow-first?s=5&headers=1"])
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_client_that_leaves_closes_the_upstream(
    house: House, upstream: Upstream, model: str, streamed: bool
) -> None:
    async def ask() -> None:
        answer: Any = await house.openai().chat.completions.create(
            model=model, messages=HELLO, stream=streamed
        )
        async for _ in answer:
            pass

    asking = asyncio.create_task(ask())
    await upstream.until_arrived(model)
    await asyncio.sleep(0.05)
    asking.cancel()
    await upstream.until_left(model)
    (run,) = await finished(house)
    assert run.state == "aborted"
    assert house.core.router.turn_of(run.session_key) is None, "the slot is free"


async def test_a_client_that_leaves_may_let_the_turn_go_on(open_house: Opening, upstream: Upstream) -> None:
    async with open_house(runs=Runs(on_disconnect="continue")) as house:
        model = "slow-between?s=0.1"
        asking = asyncio.create_task(house.openai().chat.completions.create(model=model, messages=HELLO))
        await upstream.until_arrived(model)
        asking.cancel()
        (run,) = await finished(house)
        assert run.state == "completed"
        assert (await messages(house, run.session_key))[-1] == ("assistant", "hello brave new world", False)


async def test_an_aborted_run_ends_with_an_error(house: House, upstream: Upstream) -> None:
    stream = await house.openai().chat.completions.create(
        model="slow-between?s=30", messages=HELLO, stream=True
    )
    await anext(aiter(stream))
    (run,) = house.core.runs.running()
    house.core.runs.abort(run.id, "the operator said so")
    with pytest.raises(openai.APIError, match="the operator said so"):
        async for _ in stream:
            pass
    (row,) = await finished(house)
    assert (row.state, row.exit_code) == ("aborted", 0)


async def test_cost_is_booked_from_reported_usage(open_house: Opening) -> None:
    model = type(PRICED)(id="echo?prompt=1000&completion=500")
    async with open_house(admission=Admission(models=[PRICED, model])) as house:
        raw = await house.openai().chat.completions.with_raw_response.create(model=model.id, messages=HELLO)
        assert raw.headers["x-maitred-cost-micros"] == "0", "this model has no price"
        priced = await house.openai(
            default_headers={"x-user-id": "ann", "x-project": "p"}
        ).chat.completions.create(model="echo", messages=HELLO)
        assert priced.usage is not None
        expected = priced.usage.prompt_tokens + 2 * priced.usage.completion_tokens
        for scope, key in (("user", "ann"), ("project", "p"), ("model", "echo")):
            total = house.core.costs.total(scope, key)  # type: ignore[arg-type]
            assert total is not None
            assert (total.micros, total.estimated_micros) == (expected, 0)


async def test_usage_that_nobody_reports_is_estimated(open_house: Opening) -> None:
    model = type(PRICED)(id="no-usage", input_usd_per_million=4.0, output_usd_per_million=4.0)
    async with open_house(admission=Admission(models=[model])) as house:
        await house.openai().chat.completions.create(model="no-usage", messages=HELLO)
        total = house.core.costs.total("model", "no-usage")
        assert total is not None
        assert total.micros == total.estimated_micros > 0


async def test_what_is_wrong_with_a_body_is_named(house: House) -> None:
    async with house.http() as http:
        for body, path in (
            ({"messages": HELLO}, "$"),
            ({"model": "echo", "messages": []}, "$.messages"),
            ({"model": "echo", "messages": [{"content": "x"}]}, "$.messages[0].role"),
            ({"model": 5, "messages": HELLO}, "$.model"),
            ({"model": "echo", "messages": HELLO, "stream": "yes"}, "$.stream"),
        ):
            answer = await http.post("/v1/chat/completions", json=body)
            assert (answer.status_code, answer.json()["error"]["param"]) == (400, path)
        answer = await http.post(
            "/v1/chat/completions", content=b"{", headers={"content-type": "application/json"}
        )
        assert answer.status_code == 400


async def test_history_and_cost_survive_a_restart(open_house: Opening) -> None:
    async with open_house() as house:
        await house.openai(default_headers={"x-session-id": "s"}).chat.completions.create(
            model="echo", messages=HELLO
        )
    async with open_house() as house:
        assert len(await messages(house, "api:local/s")) == 2
        detail = await house.core.session("api:local/s")
        assert detail.pin is not None
        assert detail.cost is not None
        assert detail.owner == "local"
        with pytest.raises(MaitredError):
            await house.core.session("api:local/other")


async def test_the_third_identical_request_escalates(open_house: Opening) -> None:
    models = [PRICED, type(PRICED)(id="count-3", tier="MEDIUM")]
    async with open_house(admission=Admission(models=models, fallback_model="echo")) as house:
        client = house.openai(default_headers={"x-session-id": "s"})
        told = []
        for _ in range(3):
            raw = await client.chat.completions.with_raw_response.create(model="auto", messages=HELLO)
            told.append((raw.headers["x-maitred-model"], raw.headers["x-maitred-tier"]))
        assert told == [("echo", "SIMPLE"), ("echo", "SIMPLE"), ("count-3", "MEDIUM")]


async def test_failed_attempts_do_not_strike(open_house: Opening) -> None:
    async with open_house(admission=Admission(models=[type(PRICED)(id="status-500")])) as house:
        client = house.openai(default_headers={"x-session-id": "s"})
        for _ in range(4):
            with pytest.raises(openai.InternalServerError):
                await client.chat.completions.create(model="auto", messages=HELLO)
        assert house.core.pins.get("api:local/s") is None


async def test_the_models_are_listed(house: House) -> None:
    assert "auto" in [model.id async for model in house.openai().models.list()]


async def test_the_answer_says_what_served_it(house: House) -> None:
    model, session = "echo?prompt=3", "a b/c:d%"
    raw = await house.openai().chat.completions.with_raw_response.create(
        model=model, messages=HELLO, extra_headers={"x-session-id": session}
    )
    told = {name: raw.headers[f"x-maitred-{name}"] for name in ("session", "model", "tier", "run")}
    (run,) = await finished(house)
    assert told == {"session": "api:local/a%20b/c:d%", "model": model, "tier": "MEDIUM", "run": run.run_id}
