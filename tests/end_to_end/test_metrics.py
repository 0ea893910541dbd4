"""``/metrics``, as a Prometheus reads it."""

from __future__ import annotations

from typing import Any

import httpx
import openai
import pytest
from prometheus_client.parser import text_string_to_metric_families

from core.settings import Admission, Model
from tests.end_to_end.conftest import PRICED, House, Opening
from tests.end_to_end.test_runs import post, started

HELLO: list[Any] = [{"role": "user", "content": "hello brave new world"}]
SLOW = Model(id="slow", instant_admit_capacity=0)


Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


async def scraped(house: House) -> Samples:
    async with house.http() as http:
        answer = await http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    samples: Samples = {}
    for family in text_string_to_metric_families(answer.text):
        assert family.documentation
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in samples, "one figure, once"
            samples[key] = sample.value
    return samples


def of(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((f"maitred_{name}", tuple(sorted(labels.items()))), 0.0)


@pytest.fixture
async def busy(open_house: Opening) -> Any:
    async with open_house(admission=Admission(models=[PRICED, SLOW])) as house:
        yield house


async def test_a_turn_is_counted(busy: House) -> None:
    seat = await post(busy, "/v1/seats", {"userId": "ann", "model": "echo"})
    asked = {"x-user-id": "ann", "x-instance-id": seat.json()["instanceId"], "x-session-id": "s"}
    for _ in range(3):
        await busy.openai(default_headers=asked).chat.completions.create(model="echo", messages=HELLO)
    await post(busy, "/v1/seats", {"userId": "bob", "model": "slow"})
    samples = await scraped(busy)
    assert of(samples, "turns_total") == 3
    assert of(samples, "strikes_total") == 2
    assert of(samples, "runs_ended_total", state="completed") == 3
    assert of(samples, "runs", state="running") == 0
    assert of(samples, "sessions") == of(samples, "sessions_built_total", how="created") == 1
    assert of(samples, "admissions_total", model="echo", way="admitted") == 1
    assert of(samples, "admission_wait_seconds_count", model="echo") == 1
    assert of(samples, "seats", model="echo", state="active") == 1
    assert of(samples, "queue_waiting", model="slow") == 1
    (total,) = [row.micros for row in busy.core.costs.rows() if row.scope == "model"]
    assert total > 0
    assert of(samples, "cost_usd_total", model="echo", estimated="false") == total / 1_000_000
    assert of(samples, "run_events_total") == sum(run.last_seq for run in busy.core.runs.rows())
    chat = {"method": "POST", "route": "/v1/chat/completions"}
    assert of(samples, "http_requests_total", code="200", **chat) == 3
    assert of(samples, "http_response_start_seconds_count", **chat) == 3
    assert of(samples, "storage_write_seconds_count") >= 3
    assert of(samples, "storage_up") == 1
    assert of(samples, "journal_events_total") == busy.core.journal.last
    assert ("process_resident_memory_bytes", ()) in samples


async def test_what_runs_and_what_is_refused(busy: House) -> None:
    run = await started(busy, token=busy.token)
    for _ in range(2):
        assert (await post(busy, "/v1/runs/none/complete", {})).status_code == 404
    denied = await post(busy, "/v1/gate", {"userId": "nobody", "instanceId": "i"})
    assert denied.status_code == 428
    with pytest.raises(openai.APIStatusError) as refused:
        await busy.openai(default_headers={"x-user-id": "nobody"}).chat.completions.create(
            model="slow", messages=HELLO
        )
    assert refused.value.code in ("waiting_room_required", "waiting_room_queued")
    async with httpx.AsyncClient(base_url=busy.url, trust_env=False) as http:
        assert (await http.request("PURGE", "/v1/pot-of-tea")).status_code == 404
        assert (await http.get("/v1/seats/somebody-with-a-name")).status_code == 200
        await http.get("/v1/view")
    samples = await scraped(busy)
    assert of(samples, "runs", state="running") == 1
    assert of(samples, "refusals_total", code="run_not_found") == 2
    assert of(samples, "refusals_total", code="waiting_room_required") >= 1
    assert of(samples, "refusals_total", code=str(refused.value.code)) >= 1
    assert of(samples, "refusals_total", code="unauthorized") == 1
    assert of(samples, "http_requests_total", method="other", route="other", code="404") == 1
    assert not [key for key in samples if "somebody-with-a-name" in str(key) or "pot-of-tea" in str(key)]
    await post(busy, f"/v1/runs/{run}/complete", {"exitCode": 0})
    assert of(await scraped(busy), "runs_ended_total", state="completed") == 1


async def test_a_reader_that_is_behind_shows(busy: House) -> None:
    for _ in range(20):
        await busy.core.events("", wait=0, limit=1)
    samples = await scraped(busy)
    assert of(samples, "journal_lag_events_count") == 20
    assert of(samples, "journal_lag_events_sum") == 20 * busy.core.journal.last
