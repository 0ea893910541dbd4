"""``/metrics``: what is counted of a core and its server, as Prometheus reads it.

Figures are read where they stand; asking for them costs what there is to tell, not what the house holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from core.clock import parse_timestamp
from core.metrics import Histogram
from core.protocol import QueueRow
from core.server.metering import Metering
from core.server.routes import Call
from core.session_core import SessionCore

if TYPE_CHECKING:
    from prometheus_client.core import Metric

_HEALTHS = ("healthy", "degraded", "unhealthy")


class Metrics:
    """The handler, and the collector that it asks."""

    def __init__(self, core: SessionCore) -> None:
        self._core = core
        self.metering: Metering | None = None
        """What the server counts; set once it is there."""
        self._registry: Any = None

    async def tell(self, call: Call) -> Response:
        """Everything that is counted, in the Prometheus text format."""
        # the client library is only there for those who ask: importing it takes longer than most starts may
        from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
        from prometheus_client.exposition import CONTENT_TYPE_LATEST

        if self._registry is None:
            self._registry = CollectorRegistry(auto_describe=False)
            self._registry.register(self)
            ProcessCollector(registry=self._registry)
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)

    def describe(self) -> list[Metric]:
        """Nothing beforehand; the registry asks."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All families, for the registry."""
        yield _gauge(
            "maitred_build_info", "The version that runs.", ("version",), [((version("maitred"),), 1)]
        )
        yield from self._admission()
        yield from self._sessions()
        yield from self._runs()
        yield from self._store()
        if self.metering is not None:
            yield from _http(self.metering)

    def _admission(self) -> Iterator[Metric]:
        queues, now, tally = self._core.waiting_room.queue_rows(), self._core.clock.now(), self._core.tally
        yield _gauge(
            "maitred_queue_waiting",
            "Users who wait.",
            ("model",),
            [((each.model,), each.waiting) for each in queues],
        )
        yield _gauge(
            "maitred_queue_oldest_wait_seconds",
            "How long the one who came first has waited.",
            ("model",),
            [((each.model,), _waited(each, now)) for each in queues],
        )
        yield _gauge(
            "maitred_seats",
            "Users by the state of their seat.",
            ("model", "state"),
            [
                ((each.model, state), count)
                for each in queues
                for state, count in (
                    ("queued", each.waiting),
                    ("active", each.seated),
                    ("ended", each.draining),
                )
            ],
        )
        yield _gauge(
            "maitred_queue_held",
            "Whether nobody is admitted, and why.",
            ("model", "reason"),
            [((each.model, each.paused_reason), 1) for each in queues if each.paused_reason is not None],
        )
        yield _gauge(
            "maitred_model_health",
            "1 for the health that the model has.",
            ("model", "health"),
            [((each.model, health), int(each.health == health)) for each in queues for health in _HEALTHS],
        )
        yield _counter("maitred_admissions", "Users admitted.", ("model", "way"), tally.admissions)
        yield _histogram(
            "maitred_admission_wait_seconds",
            "From joining a queue to the seat.",
            ("model",),
            {(model,): waits for model, waits in tally.waits.items()},
        )
        yield _counter("maitred_seats_gone", "Seats that are no more.", ("model", "reason"), tally.seats_gone)

    def _sessions(self) -> Iterator[Metric]:
        tally, router = self._core.tally, self._core.router.figures()
        yield _gauge("maitred_sessions", "Live sessions.", (), [((), router.sessions)])
        yield _counter("maitred_sessions_built", "Sessions built.", ("how",), _by_one(tally.sessions))
        yield _counter("maitred_sessions_evicted", "Sessions evicted.", ("reason",), _by_one(tally.evictions))
        yield _counter("maitred_turns", "Turns begun.", (), {(): router.turns_begun})
        yield _gauge("maitred_turns_in_flight", "Turns that hold a slot.", (), [((), router.turns)])
        yield _counter("maitred_strikes", "Requests that equalled the one before.", (), {(): tally.strikes})
        yield _counter("maitred_escalations", "Sessions lifted by a tier.", (), {(): tally.escalations})
        yield _counter("maitred_operator_acts", "Acts of operators.", ("action", "outcome"), tally.acts)
        yield _counter("maitred_findings", "Contradictions found.", ("kind",), _by_one(tally.findings))

    def _runs(self) -> Iterator[Metric]:
        tally = self._core.tally
        states = {"running": 0, "stalled": 0, "aborting": 0} | tally.running
        yield _gauge(
            "maitred_runs",
            "Runs that have not ended.",
            ("state",),
            [((state,), count) for state, count in states.items()],
        )
        yield _counter("maitred_runs_ended", "Runs that have ended.", ("state",), _by_one(tally.runs_ended))
        yield _counter("maitred_run_events", "Events of runs.", (), {(): tally.events})
        yield _counter("maitred_run_stalls", "Runs that stalled.", (), {(): tally.stalls})
        yield _counter(
            "maitred_cost_usd",
            "What answers have cost.",
            ("model", "estimated"),
            {
                (model, str(estimated).lower()): micros / 1_000_000
                for (model, estimated), micros in tally.micros.items()
            },
        )

    def _store(self) -> Iterator[Metric]:
        database, journal = self._core.database, self._core.journal
        held, size = journal.held
        yield _gauge(
            "maitred_storage_up",
            "Whether the database can be written to.",
            (),
            [((), int(database.trouble is None))],
        )
        yield _histogram(
            "maitred_storage_write_seconds",
            "From handing a unit of work over to its being durable.",
            (),
            {(): database.latency},
        )
        yield _counter("maitred_journal_events", "Events of the journal.", (), {(): journal.last})
        yield _gauge("maitred_journal_held_events", "Events that can be read again.", (), [((), held)])
        yield _gauge("maitred_journal_held_bytes", "And their bytes.", (), [((), size)])
        yield _histogram(
            "maitred_journal_lag_events", "How far behind a reader was when it asked.", (), {(): journal.lags}
        )


def _http(metering: Metering) -> Iterator[Metric]:
    yield _counter(
        "maitred_http_requests",
        "Requests answered.",
        ("method", "route", "code"),
        {(method, route, str(status)): count for (method, route, status), count in metering.requests.items()},
    )
    yield _histogram(
        "maitred_http_response_start_seconds",
        "From a request to the beginning of its answer; long polls wait on purpose.",
        ("method", "route"),
        metering.seconds,
    )
    yield _counter(
        "maitred_refusals",
        "Requests refused, by the code of the error.",
        ("code",),
        _by_one(metering.refusals),
    )


Figures = Iterable[tuple[Sequence[str], float]]


def _gauge(name: str, told: str, labels: Sequence[str], figures: Figures) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(name, told, labels=labels)
    for values, figure in figures:
        family.add_metric(values, figure)
    return family


def _counter(name: str, told: str, labels: Sequence[str], figures: Mapping[Any, float]) -> Metric:
    from prometheus_client.core import CounterMetricFamily

    family = CounterMetricFamily(name, told, labels=labels)
    for values, figure in figures.items():
        family.add_metric(values, figure)
    return family


def _histogram(name: str, told: str, labels: Sequence[str], figures: Mapping[Any, Histogram]) -> Metric:
    from prometheus_client.core import HistogramMetricFamily

    family = HistogramMetricFamily(name, told, labels=labels)
    for values, figure in figures.items():
        family.add_metric(values, figure.buckets(), figure.total)
    return family


def _by_one(figures: Mapping[str, float]) -> dict[tuple[str], float]:
    return {(label,): figure for label, figure in figures.items()}


def _waited(queue: QueueRow, now: int) -> float:
    if queue.oldest_queued_at is None:
        return 0.0
    return max(0, now - parse_timestamp(queue.oldest_queued_at)) / 1000
