"""From a server's answer to a reading of it."""

from __future__ import annotations

import contextlib
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.admission.exposition import Unreadable
from core.admission.health import Reading, classify
from core.admission.vitals import Scrape, reading, said, scraped
from core.protocol import Health

NOW = 1_000_000_000


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "healthy"),
        (b" \n", "healthy"),
        (b'{"status": "healthy"}', "healthy"),
        (b'{"status": "ok", "uptime": 5}', "healthy"),
        (b'{"status": "DEGRADED"}', "degraded"),
        (b' {"status":"unhealthy"}\n', "unhealthy"),
        (b'{"status": "down"}', "unhealthy"),
        (b"OK\n", "healthy"),
        (b'"ok"', "healthy"),
        (b"Unhealthy", "unhealthy"),
        (b"vllm:kv_cache_usage_perc 0.5", None),
        (b"<html>", None),
        (b"a" * 65, None),
    ],
)
def test_words(body: bytes, expected: Health | None) -> None:
    assert said(body) == expected


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"status": 200}',
        b'{"status": null}',
        b'{"status": "purple"}',
        b'{"status": {"a": "ok"}}',
        b"{",
        b'{"status": "\xff"}',
        b"{" * 100_000,
        b'{"status": ' + b"[" * 100_000,
        b"maintenance",
    ],
    ids=lambda body: repr(body[:20]),
)
def test_words_that_say_nothing(body: bytes) -> None:
    with pytest.raises(Unreadable):
        said(body)


VLLM = """\
# HELP vllm:kv_cache_usage_perc 1 means 100 percent usage.
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.25
vllm:kv_cache_usage_perc{engine="1",model_name="m"} 0.5
vllm:request_queue_time_seconds_bucket{le="0.3",model_name="m"} 4.0
vllm:request_queue_time_seconds_bucket{le="0.8",model_name="m"} 5.0
vllm:request_queue_time_seconds_bucket{le="+Inf",model_name="m"} 5.0
vllm:request_queue_time_seconds_sum{model_name="m"} 1.5
http_requests_total{handler="/v1/chat/completions",method="POST",status="2xx"} 90.0
http_requests_total{handler="/v1/chat/completions",method="POST",status="5xx"} 10.0
http_requests_total{handler="/metrics",method="GET",status="2xx"} 5000.0
http_requests_total{handler="/health",method="GET",status="5xx"} 5000.0
"""
TGI = """\
tgi_request_count 20
tgi_request_failure{err="overloaded"} 2
tgi_request_failure{err="validation"} 9
tgi_request_queue_duration_bucket{le="+Inf"} 20
"""


def test_figures_of_known_servers() -> None:
    assert scraped(VLLM.encode(), NOW) == Scrape(
        at=NOW,
        cache_fraction=0.5,
        requests=100.0,
        failures=10.0,
        queue={300.0: 4.0, 800.0: 5.0, inf: 5.0},
    )
    assert scraped(TGI.encode(), NOW) == Scrape(at=NOW, requests=20.0, failures=2.0, queue={inf: 20.0})
    for line in (
        b"sglang:token_usage 0.28",
        b"llamacpp:kv_cache_usage_ratio 0.28",
        b"vllm:gpu_cache_usage_perc 0.28",
    ):
        assert scraped(line, NOW).cache_fraction == 0.28


def test_figures_that_nobody_knows_are_no_figures() -> None:
    empty = scraped(b"go_goroutines 7\n", NOW)
    assert empty == Scrape(at=NOW)
    assert classify(reading(empty, None), NOW) == "healthy"


@pytest.mark.parametrize("value", ["NaN", "-1", "+Inf", "-Inf"])
def test_figures_that_are_none(value: str) -> None:
    assert scraped(f"sglang:token_usage {value}\nhttp_requests_total {value}\n".encode(), NOW) == Scrape(
        at=NOW
    )


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(Unreadable):
        scraped(b"\xff\xfe", NOW)


def test_figures_are_as_old_as_they_say() -> None:
    def age(*times: int) -> int:
        lines = "".join(f"sglang:token_usage 0.1 {NOW - each}\n" for each in times)
        return NOW - scraped(lines.encode(), NOW).at

    assert age(200_000, 190_000) == 190_000
    assert age(-60_000) == 0, "nothing is of the future"
    assert classify(reading(scraped(b"sglang:token_usage 0.1 1", NOW), None), NOW) == "unhealthy"


def test_rates_and_waits_are_those_since_the_last_time() -> None:
    before = scraped(VLLM.encode(), NOW)
    grown = {"90.0\n": "105.0\n", " 10.0\n": " 15.0\n", '"0.8",model_name="m"} 5': '"0.8",model_name="m"} 9'}
    grown['"+Inf",model_name="m"} 5'] = '"+Inf",model_name="m"} 9'
    later = VLLM
    for old, new in grown.items():
        assert later.count(old) == 1
        later = later.replace(old, new)
    found = reading(scraped(later.encode(), NOW + 20_000), before)
    assert found == Reading(
        at=NOW + 20_000, cache_fraction=0.5, request_rate=1.0, failure_rate=0.25, queue_p90_ms=750.0
    )
    assert classify(found, NOW + 20_000) == "unhealthy"
    assert reading(before, None) == Reading(at=NOW, cache_fraction=0.5), "one look makes no rate"


def at(ms: int, **figures: object) -> Scrape:
    return Scrape(at=NOW + ms, **figures)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        # 3 requests in 20 s with one failure
        (at(0, requests=10.0, failures=1.0), at(20_000, requests=13.0, failures=2.0), "unhealthy"),
        (at(0, requests=10.0, failures=1.0), at(20_000, requests=13.0, failures=1.0), "healthy"),
        # 1 request in 20 s, failed: too few to tell
        (at(0, requests=10.0, failures=1.0), at(20_000, requests=11.0, failures=2.0), "healthy"),
        # 10 of 100 is a tenth
        (at(0, requests=0.0), at(20_000, requests=100.0, failures=10.0), "unhealthy"),
        (at(0, requests=0.0), at(20_000, requests=100.0, failures=9.0), "healthy"),
        # it began anew meanwhile: what it has counted since then
        (at(0, requests=900.0, failures=900.0), at(20_000, requests=50.0, failures=2.0), "healthy"),
        (at(0, requests=900.0, failures=0.0), at(20_000, requests=50.0, failures=25.0), "unhealthy"),
        # there was nothing to compare with
        (at(0), at(20_000, requests=100.0, failures=100.0), "healthy"),
        (at(0, requests=0.0), at(0, requests=100.0, failures=100.0), "healthy"),
        (at(0, requests=0.0), at(-1, requests=100.0, failures=100.0), "healthy"),
        # ten waited, nine of them up to half a second
        (at(0, queue={500.0: 5.0, inf: 5.0}), at(20_000, queue={500.0: 14.0, inf: 15.0}), "healthy"),
        (
            at(0, queue={500.0: 5.0, 900.0: 5.0, inf: 5.0}),
            at(9, queue={500.0: 13.0, 900.0: 15.0, inf: 15.0}),
            "degraded",
        ),
        (at(0, queue={500.0: 5.0, inf: 99.0}), at(20_000, queue={500.0: 5.0, inf: 99.0}), "healthy"),
        (
            at(0, queue={900.0: 50.0, inf: 99.0}),
            at(20_000, queue={100.0: 9.0, 900.0: 9.0, inf: 9.0}),
            "healthy",
        ),
        (at(0), at(20_000, queue={500.0: 0.0, 900.0: 9.0}), "healthy"),
    ],
)
def test_what_two_looks_come_to(before: Scrape, after: Scrape, expected: Health) -> None:
    assert classify(reading(after, before), after.at) == expected


FIGURES = st.floats(0, 1e308) | st.integers(0, 10**6).map(float)
SCRAPES = st.builds(
    Scrape,
    at=st.integers(0, 10**13),
    cache_fraction=st.none() | FIGURES,
    requests=st.none() | FIGURES,
    failures=FIGURES,
    queue=st.dictionaries(st.floats(allow_nan=False), FIGURES, max_size=5),
)


@given(SCRAPES, st.none() | SCRAPES)
def test_no_figures_do_harm(after: Scrape, before: Scrape | None) -> None:
    assert classify(reading(after, before), after.at) in ("healthy", "degraded", "unhealthy")


LINES = st.sampled_from(
    [*VLLM.splitlines(), *TGI.splitlines(), 'http_requests_total{status="', "} 1", "NaN", "{", "ok", "\xff"]
)


@given(st.binary(max_size=200) | st.lists(LINES, max_size=8).map(lambda lines: "\n".join(lines).encode()))
def test_no_body_does_harm(body: bytes) -> None:
    with contextlib.suppress(Unreadable):
        assert said(body) in ("healthy", "degraded", "unhealthy", None)
    with contextlib.suppress(Unreadable):
        assert classify(reading(scraped(body, NOW), None), NOW) in ("healthy", "degraded", "unhealthy")
