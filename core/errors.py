"""Every error of maitred, in one tree.

    MaitredError
    ├── InvalidArgument          a value is malformed; the message names it
    ├── Unauthorized             no token, or one nobody knows
    ├── Forbidden                the token may not do this
    │   └── Banned               the account is banned
    ├── NotFound                 there is no such thing (for this caller)
    │   ├── RunNotFound
    │   ├── SessionNotFound
    │   ├── ModelNotFound
    │   └── ImportNotFound
    ├── MethodNotAllowed         the path exists, the method does not
    ├── Conflict                 the world is in another state than the call expects
    │   ├── NotQueued, AtCapacity
    │   ├── RunInProgress, NoActiveRun
    │   ├── SessionBusy          it serves a turn, or is being worked on: waiting helps
    │   ├── ImportGap            messages are missing before those that came, or before the end
    │   ├── ImportDiffers        what was staged is not what was announced; it was thrown away
    │   ├── ReindexRunning       one rebuilding of the search index is enough: waiting helps
    │   └── TargetGone           the target died or was reborn since it was looked at
    ├── GateRefused              admission does not let this request pass
    ├── PayloadTooLarge, HeadersTooLarge
    ├── RequestTimedOut          the rest of a request did not come in time
    ├── RateLimited              the token has made too many requests: waiting helps
    ├── TooManyConnections       the server has no room for another one: waiting helps
    ├── UnsupportedMedia         a body that is not application/json
    ├── SessionUnavailable       the live session could not be built
    ├── ShuttingDown             the core is leaving
    ├── StorageFailed            the database refused; nothing was acknowledged
    ├── UpstreamFailed           the model's server could not be reached or broke off
    │   └── UpstreamRefused      it answered with an error of its own, passed on as it came
    ├── CoreUnreachable          a remote core does not answer
    │   └── CertificateNotBelieved   its certificate's signer is not known
    ├── InternalError            a defect of maitred; the log has the details
    └── StartRefused             maitred cannot start: settings, folder, port, database, terminal

An error is one line that says what, where and what to do. Its ``code`` is stable and travels over the wire;
`error_from_code` makes the same class of it on the other side.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar


class MaitredError(Exception):
    """The root: a stable `code`, the HTTP status it travels with, and how long to wait before another try."""

    code: ClassVar[str] = "error"
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, retry_after_ms: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after_ms = retry_after_ms


class InvalidArgument(MaitredError):
    """A value is malformed. `path` names the field where one is at fault, as in ``$.messages[0].role``."""

    code = "invalid_argument"
    http_status = 400

    def __init__(self, message: str, *, path: str | None = None) -> None:
        super().__init__(message)
        self.path = path


class Unauthorized(MaitredError):
    """No token, or one nobody knows: send ``Authorization: Bearer …``."""

    code = "unauthorized"
    http_status = 401


class Forbidden(MaitredError):
    """The caller is known and may not do this."""

    code = "forbidden"
    http_status = 403


class Banned(Forbidden):
    """The account is banned; an operator can lift it."""

    code = "banned"


class NotFound(MaitredError):
    """There is no such thing, or not for this caller."""

    code = "not_found"
    http_status = 404


class RunNotFound(NotFound):
    """The run is unknown, or completed longer ago than it is kept."""

    code = "run_not_found"


class SessionNotFound(NotFound):
    """Nothing is known of this session key, or it belongs to somebody else."""

    code = "session_not_found"


class ModelNotFound(NotFound):
    """No upstream in the settings serves this model."""

    code = "model_not_found"


class ImportNotFound(NotFound):
    """There is no such import, or not any more: begin it again."""

    code = "import_not_found"


class MethodNotAllowed(MaitredError):
    """The path exists, and takes other methods than this one."""

    code = "method_not_allowed"
    http_status = 405


class Conflict(MaitredError):
    """The world is in another state than the call expects."""

    code = "conflict"
    http_status = 409


class NotQueued(Conflict):
    """The user is not waiting in any queue."""

    code = "not_queued"


class AtCapacity(Conflict):
    """The model's ceiling (`max_active`) is reached; nobody crosses it."""

    code = "at_capacity"


class RunInProgress(Conflict):
    """The session already has a running run."""

    code = "run_in_progress"


class NoActiveRun(Conflict):
    """There is nothing to stop: the run has ended."""

    code = "no_active_run"


class SessionBusy(Conflict):
    """The session is in use, for a turn or for what the message names: try again when that is over."""

    code = "session_busy"


class ImportGap(Conflict):
    """Messages of an import are missing: send those from where the message says."""

    code = "import_gap"


class ImportDiffers(Conflict):
    """The staged messages do not have the digest that was announced; they were thrown away: begin again."""

    code = "import_differs"


class ReindexRunning(Conflict):
    """The search index is being rebuilt already: wait for its end."""

    code = "reindex_running"


class TargetGone(Conflict):
    """The target has died, been reborn or changed since it was looked at: look again."""

    code = "gone"


class GateRefused(MaitredError):
    """Admission does not let a request pass; `gate_code` is one of the gate's stable codes."""

    code = "gate_refused"

    def __init__(
        self, gate_code: str, http_status: int, message: str, *, retry_after_ms: int | None = None
    ) -> None:
        super().__init__(message, retry_after_ms=retry_after_ms)
        self.gate_code = gate_code
        self.gate_status = http_status


class PayloadTooLarge(MaitredError):
    """A body is larger than the server takes."""

    code = "payload_too_large"
    http_status = 413


class HeadersTooLarge(MaitredError):
    """A request's line and headers are larger than the server takes."""

    code = "headers_too_large"
    http_status = 431


class RequestTimedOut(MaitredError):
    """A request was not all there in time; what had come of it was thrown away."""

    code = "request_timeout"
    http_status = 408


class RateLimited(MaitredError):
    """The token has made more requests than it may: wait, and ask again."""

    code = "rate_limited"
    http_status = 429


class TooManyConnections(MaitredError):
    """The server holds as many connections as it may: wait, and ask again."""

    code = "too_many_connections"
    http_status = 503


class UnsupportedMedia(MaitredError):
    """A body is not ``application/json``."""

    code = "unsupported_media_type"
    http_status = 415


class SessionUnavailable(MaitredError):
    """The live session could not be built; the next call tries again."""

    code = "session_unavailable"
    http_status = 503


class ShuttingDown(MaitredError):
    """The core is leaving and takes no new work: go to another instance, or wait for its return."""

    code = "shutting_down"
    http_status = 503


class StorageFailed(MaitredError):
    """The database refused a unit of work; nothing of it was acknowledged or kept."""

    code = "storage_failed"
    http_status = 503


class UpstreamFailed(MaitredError):
    """The model's server could not be reached, was too slow, or broke off in the middle."""

    code = "upstream_failed"
    http_status = 502


class UpstreamRefused(UpstreamFailed):
    """The model's server answered with an error of its own: status, body and retry headers as they came."""

    code = "upstream_refused"

    def __init__(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        super().__init__(f"the upstream answered {status}")
        self.status = status
        self.body = body
        self.headers = headers


class CoreUnreachable(MaitredError):
    """A remote core does not answer: is it running, and is the address right?"""

    code = "unreachable"
    http_status = 503


class CertificateNotBelieved(CoreUnreachable):
    """A remote core shows a certificate whose signer is not known here: name the signer with --ca."""

    code = "certificate_not_believed"


class InternalError(MaitredError):
    """A defect of maitred itself; the log has the details."""

    code = "internal_error"
    http_status = 500


class StartRefused(MaitredError):
    """maitred cannot start; the message says what is wrong, where, and what to do."""

    code = "start_refused"


class SettingsError(StartRefused):
    """A settings file, variable or flag is wrong: where it is, what was found, what is allowed."""

    code = "settings_invalid"


class FolderUnusable(StartRefused):
    """A folder cannot be made, read or written."""

    code = "folder_unusable"


class FolderInUse(StartRefused):
    """Another process works on this data folder: attach to it instead."""

    code = "folder_in_use"


class DatabaseUnusable(StartRefused):
    """The database server cannot be reached, does not let us in, or holds something else than ours."""

    code = "database_unusable"


class DatabaseTooNew(StartRefused):
    """The database was written by a newer maitred than this one."""

    code = "database_too_new"


class PortInUse(StartRefused):
    """Somebody listens on the address already."""

    code = "port_in_use"


class TerminalUnfit(StartRefused):
    """The console has no terminal to draw on, or one that cannot show it."""

    code = "terminal_unfit"


def _tree(root: type[MaitredError]) -> Iterator[type[MaitredError]]:
    yield root
    for child in root.__subclasses__():
        yield from _tree(child)


def error_from_code(code: str, message: str, *, retry_after_ms: int | None = None) -> MaitredError:
    """The error a wire answer stands for: the same class that the core raised.

    A code that this version does not know becomes a plain `MaitredError` that carries it.
    """
    plain = {cls.code: cls for cls in _tree(MaitredError) if cls not in (GateRefused, UpstreamRefused)}
    cls = plain.get(code)
    if cls is None:
        error = MaitredError(message, retry_after_ms=retry_after_ms)
        error.code = code  # type: ignore[misc]  # an unknown code is kept, so that nothing is told wrong
        return error
    error = cls(message)
    error.retry_after_ms = retry_after_ms
    return error
