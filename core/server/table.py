"""The routes: method, path, who may, what comes in, what goes out."""

from __future__ import annotations

from core.admission import GateAnswer, SeatAnswer
from core.protocol import (
    AnyCommand,
    AuditPage,
    EventBatch,
    Explanation,
    HistoryPage,
    Outcome,
    Preview,
    RunBatch,
    SearchHit,
    SessionDetail,
    SessionsPage,
)
from core.runs import Control, Dropped, Published, Swallowed
from core.server import queries
from core.server.auth import ACT, ANYBODY, DATA, FOLLOW, KNOW, READ, SEE, WRITE
from core.server.chat import ChatBody, ChatDoor
from core.server.control import ControlPlane
from core.server.metrics import Metrics
from core.server.routes import Route
from core.server.runs import (
    AbortBody,
    Aborted,
    CompleteBody,
    Completed,
    Reported,
    ReportsBody,
    RunDoor,
    StartBody,
    Started,
)
from core.server.seats import GateBody, SeatBody, SeatDoor
from core.server.sessions import Appended, MessagesBody, SessionDoor
from core.session_core import SessionCore


def routes(core: SessionCore, metrics: Metrics) -> list[Route]:
    """Every route of a core's server."""
    return [
        *_data_plane(ChatDoor(core), SeatDoor(core)),
        *_runs(RunDoor(core)),
        *_stored(SessionDoor(core)),
        *_control_plane(ControlPlane(core)),
        Route(method="GET", path="/metrics", roles=SEE, handler=metrics.tell),
    ]


def _data_plane(chat: ChatDoor, seats: SeatDoor) -> list[Route]:
    """What clients and their fronts call."""
    return [
        Route(
            method="POST",
            path="/v1/chat/completions",
            roles=DATA,
            takes=ChatBody,
            handler=chat.complete,
            openai=True,
        ),
        Route(method="GET", path="/v1/models", roles=DATA, handler=chat.models, openai=True),
        Route(
            method="POST",
            path="/v1/seats",
            roles=DATA,
            takes=SeatBody,
            gives=SeatAnswer,
            handler=seats.request,
        ),
        Route(
            method="GET",
            path="/v1/seats/{userId}",
            roles=DATA,
            gives=SeatAnswer,
            handler=seats.state,
            query=queries.TICKET,
        ),
        Route(method="DELETE", path="/v1/seats/{userId}", roles=DATA, handler=seats.end),
        Route(
            method="POST", path="/v1/gate", roles=DATA, takes=GateBody, gives=GateAnswer, handler=seats.gate
        ),
    ]


def _runs(runs: RunDoor) -> list[Route]:
    """What agents elsewhere report, and what is being produced."""
    return [
        Route(method="POST", path="/v1/runs", roles=DATA, takes=StartBody, gives=Started, handler=runs.start),
        Route(
            method="POST",
            path="/v1/runs/{run_id}/events",
            roles=DATA,
            takes=ReportsBody,
            gives=Published | Swallowed | Dropped | Reported,
            handler=runs.publish,
        ),
        Route(
            method="GET",
            path="/v1/runs/{run_id}/events",
            roles=FOLLOW,
            gives=RunBatch,
            handler=runs.events,
            query=queries.FRAMES,
        ),
        Route(
            method="POST",
            path="/v1/runs/{run_id}/complete",
            roles=DATA,
            takes=CompleteBody,
            gives=Completed,
            handler=runs.complete,
        ),
        Route(
            method="POST",
            path="/v1/runs/{run_id}/abort",
            roles=DATA,
            takes=AbortBody,
            gives=Aborted,
            handler=runs.abort,
        ),
        Route(
            method="GET",
            path="/v1/runs/{run_id}/control",
            roles=DATA,
            gives=Control,
            handler=runs.control,
            query=(queries.WAIT,),
        ),
        Route(
            method="GET",
            path="/v1/sessions/{key}/events",
            roles=FOLLOW,
            gives=RunBatch,
            handler=runs.session_events,
            query=queries.CURRENT,
        ),
    ]


def _stored(stored: SessionDoor) -> list[Route]:
    """What is remembered of sessions, and what was said in them."""
    return [
        Route(
            method="GET",
            path="/v1/sessions",
            roles=KNOW,
            gives=SessionsPage,
            handler=stored.listed,
            query=queries.SESSIONS,
        ),
        Route(method="GET", path="/v1/sessions/{key}", roles=KNOW, gives=SessionDetail, handler=stored.look),
        Route(
            method="GET",
            path="/v1/sessions/{key}/messages",
            roles=READ,
            gives=HistoryPage,
            handler=stored.read,
            query=queries.MESSAGES,
        ),
        Route(
            method="POST",
            path="/v1/sessions/{key}/messages",
            roles=WRITE,
            takes=MessagesBody,
            gives=Appended,
            handler=stored.append,
        ),
        Route(
            method="GET",
            path="/v1/search",
            roles=READ,
            gives=list[SearchHit],
            handler=stored.search,
            query=queries.SEARCH,
        ),
    ]


def _control_plane(control: ControlPlane) -> list[Route]:
    """What consoles and scripts call, and what watches over the process."""
    return [
        Route(method="GET", path="/v1/view", roles=SEE, handler=control.view),
        Route(
            method="GET",
            path="/v1/events",
            roles=SEE,
            gives=EventBatch,
            handler=control.events,
            query=queries.EVENTS,
        ),
        Route(
            method="POST",
            path="/v1/preview",
            roles=ACT,
            takes=AnyCommand,
            gives=Preview,
            handler=control.preview,
        ),
        Route(
            method="POST",
            path="/v1/commands",
            roles=ACT,
            takes=AnyCommand,
            gives=Outcome,
            handler=control.execute,
        ),
        Route(
            method="GET",
            path="/v1/explain",
            roles=SEE,
            gives=Explanation,
            handler=control.explain,
            query=queries.EXPLAIN,
        ),
        Route(
            method="GET",
            path="/v1/audit",
            roles=SEE,
            gives=AuditPage,
            handler=control.audit,
            query=queries.AUDIT,
        ),
        Route(method="GET", path="/healthz", roles=ANYBODY, handler=control.alive),
        Route(method="GET", path="/readyz", roles=ANYBODY, handler=control.ready),
    ]
