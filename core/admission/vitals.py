"""What a model's server answers at its `health_url`, made into a reading of it. Pure.

Two kinds of answer are understood: a status in words (JSON with a `status`, one word, or nothing at all), and the
metrics that inference servers have for Prometheus, of which the table below knows the names. Whatever else comes is
refused, and a refused answer is no good one (behaviours/admission.md, "Health gate and tick").
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from core.admission.exposition import Sample, Unreadable, samples
from core.admission.health import Reading, quantile
from core.protocol import Health

_WORDS: dict[str, Health] = {
    **dict.fromkeys(("healthy", "ok", "up", "pass", "ready", "alive"), "healthy"),
    **dict.fromkeys(("degraded", "warn", "warning"), "degraded"),
    **dict.fromkeys(("unhealthy", "down", "fail", "failing", "error", "critical"), "unhealthy"),
}
_LONGEST_WORD = 64

_CACHE = frozenset(
    {
        "vllm:kv_cache_usage_perc",
        "vllm:gpu_cache_usage_perc",
        "sglang:token_usage",
        "llamacpp:kv_cache_usage_ratio",
    }
)
"""Gauges of 0 to 1; of several engines the fullest counts."""
_REQUESTS = frozenset({"tgi_request_count", "tgi_request_count_total"})
_FAILURES = frozenset({"tgi_request_failure", "tgi_request_failure_total"})
_HTTP = "http_requests_total"
"""Counts answers of an HTTP server by status; a failure is one with 5xx."""
_STATUS_LABELS = ("status", "code", "status_code")
_PATH_LABELS = ("handler", "path", "endpoint")
_NO_WORK = ("/metrics", "/health", "/ping", "/ready", "/live", "/version")
"""Paths whose calls, ours among them, are no requests of anybody."""
_QUEUES = frozenset(
    {
        "vllm:request_queue_time_seconds_bucket",
        "sglang:queue_time_seconds_bucket",
        "tgi_request_queue_duration_bucket",
    }
)
"""Histograms, in seconds, of the wait before a prompt is worked on."""
_KNOWN = _CACHE | _REQUESTS | _FAILURES | _QUEUES | {_HTTP}
_P90 = 0.9
_MS = 1000.0


class Scrape(msgspec.Struct, frozen=True, kw_only=True):
    """A server's figures at `at` (ms): how full its cache is, and what it has counted since it started.

    `queue` is upper bound in ms → how many waited at most so long. None is a figure that it does not have.
    """

    at: int
    cache_fraction: float | None = None
    requests: float | None = None
    failures: float = 0.0
    queue: Mapping[float, float] = {}


class _Status(msgspec.Struct):
    status: str


_decode = msgspec.json.Decoder(_Status).decode


def said(body: bytes) -> Health | None:
    """The health that an answer in words gives, None for an answer of another kind. Raises Unreadable."""
    text = body.strip()
    if not text:
        return "healthy"
    if text.startswith(b"{"):
        try:
            word = _decode(text).status
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Unreadable('it is no JSON with a text "status"') from None
    elif len(text) <= _LONGEST_WORD and text.strip(b'"').isalpha():
        word = text.strip(b'"').decode("ascii")
    else:
        return None
    health = _WORDS.get(word.lower())
    if health is None:
        raise Unreadable(f"the status {word!r:.40} is none of healthy, degraded, unhealthy")
    return health


def scraped(body: bytes, now: int) -> Scrape:
    """The figures in an answer that is metrics. Raises Unreadable.

    They are as old as the newest sample says, and never of the future.
    """
    try:
        found = samples(body.decode(), _KNOWN)
    except UnicodeDecodeError:
        raise Unreadable("it is no text") from None
    found = [each for each in found if math.isfinite(each.value) and each.value >= 0]
    taken = [each.at for each in found if each.at is not None]
    requests, failures = _counted(found)
    return Scrape(
        at=min(now, max(taken)) if taken else now,
        cache_fraction=max((each.value for each in found if each.name in _CACHE), default=None),
        requests=requests,
        failures=failures,
        queue=_queue(each for each in found if each.name in _QUEUES),
    )


def reading(scrape: Scrape, before: Scrape | None) -> Reading:
    """What the figures come to, with rates and waits since the scrape `before` (None: this is the first one)."""
    seconds = (scrape.at - before.at) / _MS if before is not None else 0.0
    if before is None or seconds <= 0:
        return Reading(at=scrape.at, cache_fraction=scrape.cache_fraction)
    counted = scrape.requests is not None and before.requests is not None
    return Reading(
        at=scrape.at,
        cache_fraction=scrape.cache_fraction,
        request_rate=_grown(before.requests or 0.0, scrape.requests or 0.0) / seconds if counted else None,
        failure_rate=_grown(before.failures, scrape.failures) / seconds if counted else None,
        queue_p90_ms=quantile(_since(before.queue, scrape.queue), _P90),
    )


def _counted(found: Sequence[Sample]) -> tuple[float | None, float]:
    """Requests (None where nobody counts them) and failures since the server's start."""
    requests = [each for each in found if each.name in _REQUESTS]
    failures = [each for each in found if each.name in _FAILURES and each.labels.get("err") != "validation"]
    if not requests:
        requests = [each for each in found if each.name == _HTTP and _is_work(each.labels)]
        failures = [each for each in requests if _is_failure(each.labels)]
    return sum(each.value for each in requests) if requests else None, sum(each.value for each in failures)


def _is_work(labels: Mapping[str, str]) -> bool:
    return not any(labels.get(name, "").startswith(_NO_WORK) for name in _PATH_LABELS)


def _is_failure(labels: Mapping[str, str]) -> bool:
    return any(labels.get(name, "").startswith("5") for name in _STATUS_LABELS)


def _queue(found: Iterable[Sample]) -> dict[float, float]:
    """The buckets of all label sets together, by their upper bound in ms."""
    buckets: dict[float, float] = {}
    for each in found:
        try:
            bound = float(each.labels.get("le", "")) * _MS
        except ValueError:
            continue
        if not math.isnan(bound):
            buckets[bound] = buckets.get(bound, 0.0) + each.value
    return buckets


def _grown(before: float, after: float) -> float:
    """What a counter has counted meanwhile; one that went down began anew."""
    return after - before if after >= before else after


def _since(before: Mapping[float, float], after: Mapping[float, float]) -> list[tuple[float, float]]:
    """The buckets of what was observed meanwhile, ascending; none where the last bound is not infinite."""
    bounds = sorted(after)
    if not bounds or not math.isinf(bounds[-1]):
        return []
    anew = any(after[bound] < before.get(bound, 0.0) for bound in bounds)
    return [(bound, after[bound] - (0.0 if anew else before.get(bound, 0.0))) for bound in bounds]
