"""The routes: method, path, who may, what comes in, what goes out."""

from __future__ import annotations

from typing import Any, get_args

from core.admission import GateAnswer, SeatAnswer
from core.admission.gate import GateCode, refused
from core.errors import (
    Conflict,
    GateRefused,
    ImportDiffers,
    ImportGap,
    ImportNotFound,
    ModelNotFound,
    NoActiveRun,
    ReindexRunning,
    RunInProgress,
    RunNotFound,
    SessionBusy,
    SessionNotFound,
    SessionUnavailable,
    ShuttingDown,
    StorageFailed,
    UpstreamFailed,
    UpstreamRefused,
)
from core.protocol import (
    AnyCommand,
    AuditPage,
    EventBatch,
    Explanation,
    HistoryPage,
    ImportBegun,
    ImportDropped,
    Imported,
    ImportStaged,
    Outcome,
    Preview,
    ReindexPart,
    RunBatch,
    SearchHit,
    SessionDetail,
    SessionsPage,
    ViewPart,
)
from core.runs import Control, Dropped, Published, Swallowed
from core.server import headers, queries
from core.server.auth import ACT, ANYBODY, BRING, DATA, FOLLOW, KNOW, READ, SEE, WRITE
from core.server.chat import ChatBody, ChatDoor, ModelList
from core.server.control import Alive, ControlPlane, Ready
from core.server.imports import ImportBody, ImportDoor, PartBody
from core.server.metrics import Metrics
from core.server.openapi import Description
from core.server.reindex import ReindexDoor
from core.server.routes import Also, Route
from core.server.runs import (
    AbortBody,
    Aborted,
    CompleteBody,
    Completed,
    OneOrMany,
    Reported,
    RunDoor,
    StartBody,
    Started,
)
from core.server.seats import Ended, GateBody, SeatBody, SeatDoor
from core.server.sessions import Appended, MessagesBody, SessionDoor
from core.server.stream import STREAM, ServerSentEvent
from core.session_core import SessionCore

_GATE = tuple(
    Also(status=status, of=GateAnswer, meaning="It may not; `code` says why.")
    for status in sorted({refused(code).http_status for code in get_args(GateCode)})
)
_FOLLOWED = (
    Also(media=STREAM, of=ServerSentEvent, meaning="The same as it comes, for who accepts that."),
    Also(
        status=204,
        meaning="Nothing will follow for who reads the stream: the run has ended, and all of it is known.",
    ),
)


def routes(core: SessionCore, metrics: Metrics) -> list[Route]:
    """Every route of a core's server."""
    rows = [
        *_data_plane(ChatDoor(core), SeatDoor(core), core.settings.pins.header),
        *_runs(RunDoor(core)),
        *_stored(SessionDoor(core)),
        *_imports(ImportDoor(core)),
        *_control_plane(ControlPlane(core)),
        Route(
            method="POST",
            path="/v1/reindex",
            roles=ACT,
            handler=ReindexDoor(core).rebuild,
            also=(Also(media="application/x-ndjson", of=ReindexPart, meaning="One part a line."),),
            errors=(ReindexRunning,),
        ),
        Route(
            method="GET",
            path="/metrics",
            roles=SEE,
            handler=metrics.tell,
            also=(Also(media="text/plain", of=str, meaning="The Prometheus text format."),),
        ),
    ]
    rows.append(
        Route(
            method="GET",
            path="/openapi.json",
            roles=ANYBODY,
            gives=dict[str, Any],
            handler=Description(rows).tell,
        )
    )
    return rows


def _data_plane(chat: ChatDoor, seats: SeatDoor, session_header: str) -> list[Route]:
    """What clients and their fronts call."""
    return [
        Route(
            method="POST",
            path="/v1/chat/completions",
            roles=DATA,
            takes=ChatBody,
            headers=headers.of_chat(session_header),
            handler=chat.complete,
            openai=True,
            also=(
                Also(of=dict[str, Any], meaning="The completion, as the upstream gave it."),
                Also(
                    media=STREAM,
                    of=ServerSentEvent,
                    meaning="Its chunks where `stream` is true; an error after the first of them is the last event.",
                ),
            ),
            errors=(
                GateRefused,
                ModelNotFound,
                SessionNotFound,
                RunInProgress,
                SessionBusy,
                Conflict,
                UpstreamFailed,
                SessionUnavailable,
                ShuttingDown,
                StorageFailed,
                UpstreamRefused,
            ),
        ),
        Route(
            method="GET",
            path="/v1/models",
            roles=DATA,
            handler=chat.models,
            openai=True,
            gives=ModelList,
        ),
        Route(
            method="POST",
            path="/v1/seats",
            roles=DATA,
            takes=SeatBody,
            gives=SeatAnswer,
            handler=seats.request,
            errors=(StorageFailed,),
        ),
        Route(
            method="GET",
            path="/v1/seats/{userId}",
            roles=DATA,
            gives=SeatAnswer,
            handler=seats.state,
            query=queries.TICKET,
        ),
        Route(
            method="DELETE",
            path="/v1/seats/{userId}",
            roles=DATA,
            handler=seats.end,
            gives=Ended,
            errors=(StorageFailed,),
        ),
        Route(
            method="POST",
            path="/v1/gate",
            roles=DATA,
            takes=GateBody,
            gives=GateAnswer,
            handler=seats.gate,
            also=_GATE,
        ),
    ]


def _runs(runs: RunDoor) -> list[Route]:
    """What agents elsewhere report, and what is being produced."""
    return [
        Route(
            method="POST",
            path="/v1/runs",
            roles=DATA,
            takes=StartBody,
            gives=Started,
            handler=runs.start,
            errors=(SessionNotFound, RunInProgress, ShuttingDown, StorageFailed),
        ),
        Route(
            method="POST",
            path="/v1/runs/{run_id}/events",
            roles=DATA,
            takes=OneOrMany,
            gives=Published | Swallowed | Dropped | Reported,
            handler=runs.publish,
            errors=(RunNotFound,),
        ),
        Route(
            method="GET",
            path="/v1/runs/{run_id}/events",
            roles=FOLLOW,
            gives=RunBatch,
            handler=runs.events,
            query=queries.FRAMES,
            headers=(headers.LAST_EVENT,),
            also=_FOLLOWED,
            errors=(RunNotFound, StorageFailed),
        ),
        Route(
            method="POST",
            path="/v1/runs/{run_id}/complete",
            roles=DATA,
            takes=CompleteBody,
            gives=Completed,
            handler=runs.complete,
            errors=(RunNotFound, StorageFailed),
        ),
        Route(
            method="POST",
            path="/v1/runs/{run_id}/abort",
            roles=DATA,
            takes=AbortBody,
            gives=Aborted,
            handler=runs.abort,
            errors=(RunNotFound, NoActiveRun),
        ),
        Route(
            method="GET",
            path="/v1/runs/{run_id}/control",
            roles=DATA,
            gives=Control,
            handler=runs.control,
            query=(queries.WAIT,),
            errors=(RunNotFound,),
        ),
        Route(
            method="GET",
            path="/v1/sessions/{key}/events",
            roles=FOLLOW,
            gives=RunBatch,
            handler=runs.session_events,
            query=queries.CURRENT,
            headers=(headers.LAST_EVENT,),
            also=_FOLLOWED,
            errors=(RunNotFound, StorageFailed),
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
            errors=(StorageFailed,),
        ),
        Route(
            method="GET",
            path="/v1/sessions/{key}",
            roles=KNOW,
            gives=SessionDetail,
            handler=stored.look,
            errors=(SessionNotFound, StorageFailed),
        ),
        Route(
            method="GET",
            path="/v1/sessions/{key}/messages",
            roles=READ,
            gives=HistoryPage,
            handler=stored.read,
            query=queries.MESSAGES,
            errors=(SessionNotFound, StorageFailed),
        ),
        Route(
            method="POST",
            path="/v1/sessions/{key}/messages",
            roles=WRITE,
            takes=MessagesBody,
            gives=Appended,
            handler=stored.append,
            errors=(SessionNotFound, StorageFailed),
        ),
        Route(
            method="GET",
            path="/v1/search",
            roles=READ,
            gives=list[SearchHit],
            handler=stored.search,
            query=queries.SEARCH,
            errors=(SessionNotFound, StorageFailed),
        ),
    ]


def _imports(imports: ImportDoor) -> list[Route]:
    """Histories that are brought in."""
    return [
        Route(
            method="POST",
            path="/v1/imports",
            roles=BRING,
            takes=ImportBody,
            gives=ImportBegun,
            handler=imports.begin,
            errors=(SessionNotFound, StorageFailed),
        ),
        Route(
            method="POST",
            path="/v1/imports/{import_id}/messages",
            roles=BRING,
            takes=PartBody,
            gives=ImportStaged,
            handler=imports.stage,
            errors=(ImportNotFound, ImportGap, Conflict, StorageFailed),
        ),
        Route(
            method="POST",
            path="/v1/imports/{import_id}/complete",
            roles=BRING,
            gives=Imported,
            handler=imports.complete,
            errors=(ImportNotFound, ImportGap, ImportDiffers, SessionBusy, SessionNotFound, StorageFailed),
        ),
        Route(
            method="DELETE",
            path="/v1/imports/{import_id}",
            roles=BRING,
            gives=ImportDropped,
            handler=imports.drop,
            errors=(ImportNotFound, StorageFailed),
        ),
    ]


def _control_plane(control: ControlPlane) -> list[Route]:
    """What consoles and scripts call, and what watches over the process."""
    return [
        Route(
            method="GET",
            path="/v1/view",
            roles=SEE,
            handler=control.view,
            also=(Also(media="application/x-ndjson", of=ViewPart, meaning="One part a line."),),
        ),
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
            errors=(StorageFailed,),
        ),
        Route(
            method="GET",
            path="/v1/explain",
            roles=SEE,
            gives=Explanation,
            handler=control.explain,
            query=queries.EXPLAIN,
            errors=(SessionNotFound, RunNotFound),
        ),
        Route(
            method="GET",
            path="/v1/audit",
            roles=SEE,
            gives=AuditPage,
            handler=control.audit,
            query=queries.AUDIT,
            errors=(StorageFailed,),
        ),
        Route(
            method="GET",
            path="/healthz",
            roles=ANYBODY,
            handler=control.alive,
            gives=Alive,
        ),
        Route(
            method="GET",
            path="/readyz",
            roles=ANYBODY,
            handler=control.ready,
            gives=Ready,
            errors=(ShuttingDown, StorageFailed),
        ),
    ]
