"""``/v1/runs``: for agents that run elsewhere and report here, and for whoever follows what is produced.

A reporter starts a run, publishes its events with a number of its own (so that it may send again what it is not sure
of), and ends it; every answer, and a long poll beside it, says whether somebody wants it to stop
(behaviours/runs.md, decisions 8 and 14). A user's token reaches only that user's runs (decision 10).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

import msgspec
from starlette.responses import Response

from core.errors import Forbidden, InvalidArgument, RunNotFound, SessionNotFound
from core.protocol import RunBatch, Wire
from core.runs import Control, Dropped, Published, Run, Swallowed, position
from core.server.auth import Principal
from core.server.fields import Name, Text, text
from core.server.headers import LAST_EVENT
from core.server.keys import is_of_another
from core.server.routes import Call
from core.server.stream import STREAM, RunStream
from core.session_core import SessionCore
from core.store import sessions

_MOST_EVENTS = 5_000

Answer = Published | Swallowed | Dropped

_RESULTS: dict[str, Any] = {
    "items": {"anyOf": [{"$ref": f"#/components/schemas/{each.__name__}"} for each in get_args(Answer)]}
}
"""msgspec tells no union whose parts have no tag; these are told apart by which fields they have."""
_EVENT: dict[str, Any] = {
    "type": "object",
    "required": ["kind"],
    "properties": {"kind": {"type": "string", "minLength": 1}},
}
_ONE_OR_MANY: dict[str, Any] = {
    "oneOf": [
        {"required": ["event"], "properties": {"event": _EVENT, "events": {"type": "null"}}},
        {
            "required": ["events"],
            "properties": {
                "events": {"type": "array"},
                "event": {"type": "null"},
                "producerSeq": {"type": "null"},
            },
        },
    ]
}
_NUMBER: dict[str, Any] = {"type": ["integer", "null"]}
"""What the registry wants of an event and its number, for the description of the API."""


class Body(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A request's body; what is null is not there."""


class StartBody(Body):
    """What a run begins with: the session it is for, and who produces it."""

    session_key: Name
    provider: Name
    user_id: Text | None = None
    model: Text | None = None


class Report(Body):
    """One event, and the reporter's own number for it; the registry checks both, after it has looked for the run."""

    event: Annotated[Any, msgspec.Meta(extra_json_schema=_EVENT)]
    producer_seq: Annotated[Any, msgspec.Meta(extra_json_schema=_NUMBER)] = None


class ReportsBody(Body):
    """One event, or many in order."""

    event: Annotated[Any, msgspec.Meta(extra_json_schema={"type": ["object", "null"]})] = None
    producer_seq: Annotated[Any, msgspec.Meta(extra_json_schema=_NUMBER)] = None
    events: Annotated[list[Report], msgspec.Meta(extra_json_schema={"maxItems": _MOST_EVENTS})] | None = None


OneOrMany = Annotated[ReportsBody, msgspec.Meta(extra_json_schema=_ONE_OR_MANY)]
"""The same, with what `RunDoor.publish` finds wrong told in the description of the API."""


class CompleteBody(Body):
    """How the agent ended; what is no exit code counts as 1."""

    exit_code: Any = 1
    aborted: bool = False


class AbortBody(Body):
    """Why it shall stop."""

    reason: Text = ""


class Started(Wire, frozen=True, kw_only=True):
    """A run has begun, and that is durable."""

    run_id: str
    session_key: str
    provider: str
    state: Literal["running"] = "running"


class Reported(Wire, frozen=True, kw_only=True):
    """What became of each of many events, the run's last number, and whether it shall stop."""

    run_id: str
    session_key: str
    results: Annotated[list[Any], msgspec.Meta(extra_json_schema=_RESULTS)]
    last_seq: int
    abort_requested: bool


class Completed(Wire, frozen=True, kw_only=True):
    """Whether this ended the run; False when it had ended before."""

    run_id: str
    completed: bool


class Aborted(Wire, frozen=True, kw_only=True):
    """The run is told to stop, and how it stands now."""

    run_id: str
    state: str


class RunDoor:
    """The handlers of runs."""

    def __init__(self, core: SessionCore) -> None:
        self._core = core
        self._runs = core.runs

    async def start(self, call: Call) -> Started:
        """Begin a run for an agent elsewhere; answers when that is durable."""
        body: StartBody = call.body
        self._core.check_ready()
        user = await self._owner(call.principal, body)
        run = self._runs.start(
            body.session_key,
            text(body.provider, "$.provider"),
            user_id=user,
            model=None if body.model is None else text(body.model, "$.model"),
        )
        try:
            await self._runs.recorded(run)
        except BaseException:
            # its reporter never hears its id, so nobody else would end it
            if not run.ended:
                self._runs.complete(run.id)
            raise
        return Started(run_id=run.id, session_key=run.session_key, provider=run.provider)

    async def publish(self, call: Call) -> Answer | Reported:
        """Take one event, or many: all of them or, when one is malformed, none."""
        body: ReportsBody = call.body
        run = self._run(call)
        if (body.event is None) == (body.events is None):
            raise InvalidArgument("$: send either `event` or `events`", path="$")
        if body.event is not None:
            return self._runs.publish(run.id, body.event, body.producer_seq)
        if body.producer_seq is not None:
            raise InvalidArgument("$.producerSeq: of many events each has its own", path="$.producerSeq")
        reports = body.events or []
        if len(reports) > _MOST_EVENTS:
            raise InvalidArgument(
                f"$.events: more than {_MOST_EVENTS}; send them in several calls", path="$.events"
            )
        results = self._runs.publish_many(run.id, [(each.event, each.producer_seq) for each in reports])
        return Reported(
            run_id=run.id,
            session_key=run.session_key,
            results=results,
            last_seq=run.log.last,
            abort_requested=run.abort_requested,
        )

    async def complete(self, call: Call) -> Completed:
        """End a run; answers when that is durable."""
        body: CompleteBody = call.body
        run = self._run(call)
        completed = self._runs.complete(run.id, exit_code=body.exit_code, aborted=body.aborted)
        await self._runs.recorded(run)
        return Completed(run_id=run.id, completed=completed)

    async def abort(self, call: Call) -> Aborted:
        """Stop a run: one that is produced elsewhere ends at once, its agent learns it with its next call."""
        body: AbortBody = call.body
        run = self._run(call)
        self._runs.abort(run.id, text(body.reason, "$.reason") or f"asked for by {call.principal.name}")
        return Aborted(run_id=run.id, state=run.state)

    async def control(self, call: Call) -> Control:
        """What an agent elsewhere must know of its run; waits for an abort or the end."""
        return await self._runs.control(self._run(call).id, call.wait())

    async def events(self, call: Call) -> RunBatch | Response:
        """A run's frames: a long poll, or a stream of server-sent events."""
        run = self._run(call)
        await self._note(call, run.session_key)
        if not _wants_stream(call):
            return await self._core.run_events(run.id, _number(call.text("after")), wait=call.wait())
        place = call.header(LAST_EVENT.name) or call.text("after")
        return self._stream(call, run, _number(place), b"")

    async def session_events(self, call: Call) -> RunBatch | Response:
        """The same for a session's current run: from `after` when `run` is still that one, else from its beginning."""
        key = call.param("key")
        run = self._runs.current(key)
        if run is None or not _may_see(call.principal, run):
            raise RunNotFound(f"session {key!r:.200} has no run, or its last one is no longer kept")
        await self._note(call, key)
        seen, after = call.text("run"), _number(call.text("after"))
        stream = _wants_stream(call)
        place = call.header(LAST_EVENT.name)
        if stream and place:
            seen, _, number = place.rpartition(":")
            after = _number(number)
        if seen != run.id:
            after = 0
        if stream:
            return self._stream(call, run, after, run.id.encode() + b":")
        return await self._core.run_events(run.id, after, wait=call.wait())

    def _stream(self, call: Call, run: Run, after: int, place: bytes) -> Response:
        if run.ended and after >= run.log.last:
            # nothing will follow: an EventSource that is told so does not come back
            return Response(status_code=204)
        return RunStream(self._runs.subscribe(run.id, after, name=call.principal.name), place=place)

    def _run(self, call: Call) -> Run:
        """The run of the path, if the caller may have to do with it; raises RunNotFound."""
        run_id = call.param("run_id")
        run = self._runs.get(run_id)
        if run is None or not _may_see(call.principal, run):
            raise RunNotFound(f"run {run_id!r:.200} is unknown, or ended longer ago than it is kept")
        return run

    async def _owner(self, principal: Principal, body: StartBody) -> str | None:
        """Whose run it will be: the session's owner's, where nobody is named.

        Raises Forbidden or SessionNotFound for what is somebody else's.
        """
        key = text(body.session_key, "$.sessionKey")
        user = text(body.user_id or "", "$.userId") or None
        if principal.role == "user":
            if user not in (None, principal.user):
                raise Forbidden(
                    f"$.userId: the token {principal.name!r} stands for {principal.user!r} alone; leave it out"
                )
            user = principal.user
        stored = await self._core.database.read(lambda connection: sessions.look(connection, key))
        owner, latest = stored.owner if stored is not None else None, self._runs.current(key)
        if owner is None and latest is not None:
            owner = latest.user_id
        if user is None:
            return owner
        if owner not in (None, user) or is_of_another(key, user):
            raise SessionNotFound(f"there is no session {key!r:.200} for this user")
        return user

    async def _note(self, call: Call, session_key: str) -> None:
        if call.principal.role == "operator":
            await self._core.readings.note(call.principal.name, "run", session_key)


def _may_see(principal: Principal, run: Run) -> bool:
    return principal.role != "user" or (principal.user is not None and principal.user == run.user_id)


def _wants_stream(call: Call) -> bool:
    return STREAM in call.request.headers.get("accept", "").lower()


def _number(place: str) -> int:
    """A place that a reader says it has; what is no number, or below 0, counts as 0."""
    try:
        return position(msgspec.convert(place, int | float, strict=False))
    except msgspec.ValidationError:
        return 0
