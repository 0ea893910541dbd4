"""Every route of the description is asked for whatever may be asked of it, and for much that may not.

schemathesis makes the requests and holds every answer against ``/openapi.json``: none of 500 or above, none with a
status, a media type, a header or a body that is not told of, nothing refused that is allowed, nothing taken that is
not, and all of them soon. `make test` asks over 2,000 times, the same every time; `make soak` over 5,000, at random.
"""

from __future__ import annotations

from typing import Any
from unittest.mock import MagicMock

import httpx
import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import positive_data_acceptance

from core.clock import parse_timestamp, timestamp
from core.protocol import ReindexPart, ViewPart
from core.server.metrics import Metrics
from core.server.openapi import describe
from core.server.table import routes
from core.settings import Settings
from tests.processes import test_security
from tests.processes.processes import Serving

pytestmark = pytest.mark.xdist_group("any request")

SETTINGS, TOKENS = "[server]\nrequests_per_second = 0\n" + test_security.SETTINGS, test_security.TOKENS
PATIENCE = 10.0
"""Seconds that any answer may take; nobody is asked to wait."""
STREAM = "text/event-stream"

# RFC 3339 also writes leap seconds and years before the calendar, which no clock here reads
schemathesis.openapi.format(
    "date-time",
    st.integers(parse_timestamp("1000-01-01T00:00:00Z"), parse_timestamp("9999-12-31T23:59:59Z")).map(
        timestamp
    ),
)

CONFIG = {
    "seed": 17,
    # what these say no to is a seat or its lack, not how the request is written
    "checks": {
        "positive_data_acceptance": {
            "expected-statuses": ["2xx", "401", "403", "404", "409", "410", "426", "428", "429"]
        }
    },
}
SCHEMA = schemathesis.openapi.from_dict(
    describe(routes(MagicMock(settings=Settings()), Metrics(MagicMock()))),
    config=SchemathesisConfig.from_dict(CONFIG),
)


Case = schemathesis.Case[Any]


class Known:
    """What there is to be found: a user, sessions, runs that have ended, and some that go on."""

    def __init__(self, serving: Serving) -> None:
        self.serving = serving
        self._begun = 0
        self._http = httpx.Client(
            base_url=serving.url, headers=bearer("service"), timeout=PATIENCE, trust_env=False
        )
        said = {"model": "echo", "messages": [{"role": "user", "content": "words that can be found"}]}
        for user in ("ann", "bob"):
            answer = self._http.post("/v1/chat/completions", json=said | {"user": user})
            assert answer.status_code == 200
            self._http.post("/v1/seats", json={"userId": user, "model": "echo"})
        self.session, self.ended = "api:bob/known", self.run()
        self._http.post(f"/v1/runs/{self.ended}/events", json={"event": {"kind": "text", "content": "x"}})
        assert self._http.post(f"/v1/runs/{self.ended}/complete", json={}).status_code == 200

    def run(self) -> str:
        """A run that goes on."""
        self._begun += 1
        begun = self._http.post("/v1/runs", json={"sessionKey": f"known/{self._begun}", "provider": "test"})
        run: str = begun.json()["runId"]
        return run

    def close(self) -> None:
        self._http.close()


@pytest.fixture(scope="module")
def known(serving: Serving) -> Any:
    known = Known(serving)
    yield known
    known.close()


def bearer(role: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKENS[role]}"}


def ask(case: Case, known: Known) -> None:
    """Send the request, and hold the answer against all that was told of it."""
    allowed = [role for each in case.operation.definition.raw["security"] for role in each.get("token", [])]
    headers = bearer(sorted(allowed)[size(case) % len(allowed)]) if allowed else {}
    if case.meta is not None and case.meta.is_negative_at(ParameterLocation.HEADER):
        # what is wrong with it is a header that only a service is asked for, or else the missing token
        headers = bearer("service") if has_a_wrong_header(case) else {}
    declared = {each["name"] for each in case.operation.definition.raw["parameters"]}
    query = case.query
    if "wait" in declared and is_number(query.get("wait", 1)):
        case.query = query = {**query, "wait": 0}
    if "before" in query and "after" in query and "/messages" in case.operation.path:
        # OpenAPI has no words for two parameters that exclude each other
        case.query = {name: value for name, value in query.items() if name != "before"}
    case.query.pop("", None)  # names no parameter
    if case.meta is not None and case.meta.generation.mode.is_positive and case.path_parameters:
        lead_to_something(case, known)
        if declared >= {"after", "wait"} and case.path_parameters.get("run_id") == known.ended:
            headers["Accept"] = STREAM
    if case.meta is not None and case.meta.generation.mode.is_positive:
        case.body = whole(case.body)
    answer = case.call(base_url=known.serving.url, headers=headers, timeout=PATIENCE)
    told = answer.json() if answer.status_code == 400 else {}
    # that a model is not offered is an answer like others about a seat, whatever its HTTP code
    excluded: list[Any] = [positive_data_acceptance] if told.get("status") == "model_unknown" else []
    case.validate_response(answer, headers=headers, excluded_checks=excluded)
    if answer.status_code == 200 and answer.headers.get("content-type") == ["application/x-ndjson"]:
        parts: Any = ReindexPart if case.operation.path == "/v1/reindex" else ViewPart
        for line in answer.content.splitlines():
            msgspec.json.decode(line, type=parts)


def lead_to_something(case: Case, known: Known) -> None:
    """Two of three paths name what there is; made-up names are hardly ever those of anything."""
    third = size(case) % 3
    if third and "run_id" in case.path_parameters:
        case.path_parameters["run_id"] = known.ended if third == 1 else known.run()
    if third and "key" in case.path_parameters:
        case.path_parameters["key"] = f"known/{third}"
    if third and "userId" in case.path_parameters:
        case.path_parameters["userId"] = ("ann", "nobody")[third - 1]


def has_a_wrong_header(case: Case) -> bool:
    """Whether a header of the route is none of those allowed. The one that makes another needless is taken out."""
    for each in case.operation.definition.raw["parameters"]:
        value, schema = case.headers.get(each["name"]), each["schema"]
        if each["in"] != "header" or value is None:
            continue
        value = value.strip()
        if len(value) > schema.get("maxLength", len(value)) or value not in schema.get("enum", [value]):
            case.headers.pop("x-session-key", None)
            return True
    return False


def size(case: Case) -> int:
    """A number that is another for another request."""
    return len(repr((case.path_parameters, case.query, case.body)))


def whole(value: Any) -> Any:
    """JSON schema takes 1.0 for an integer; we do not, and nobody writes one so."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case dict():
            return {name: whole(each) for name, each in value.items()}
        case list():
            return [whole(each) for each in value]
        case _:
            return value


def is_number(wait: Any) -> bool:
    try:
        return float(wait) >= 0
    except (TypeError, ValueError):
        return False


quick = settings(max_examples=12, derandomize=True, deadline=None, database=None)
long = settings(max_examples=160, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])


@SCHEMA.parametrize()
@quick
def test_any_request_is_answered_as_it_is_told(case: Case, known: Known) -> None:
    ask(case, known)


@pytest.mark.soak
@SCHEMA.parametrize()
@long
def test_any_request_for_long(case: Case, known: Known) -> None:
    ask(case, known)
