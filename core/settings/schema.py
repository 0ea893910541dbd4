"""What can be set: a struct for each table of the settings file."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from core.protocol import Tier

NonNegative = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
# TOML has an infinity, which no clock can wait for and no price can be
Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
PositiveSeconds = Annotated[float, msgspec.Meta(gt=0, le=1e9)]
Days = Annotated[float, msgspec.Meta(ge=0, le=36_500)]
Usd = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
Name = Annotated[str, msgspec.Meta(min_length=1)]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the settings file."""


class Server(Section, frozen=True, kw_only=True):
    """Where the core listens, under which names and certificate, within which limits, and how long it drains."""

    host: Name = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8484
    hosts: list[Name] = []
    tls_certificate: str = ""
    tls_key: str = ""
    drain_seconds: Seconds = 30
    max_connections: Positive = 4096
    max_header_bytes: Annotated[int, msgspec.Meta(ge=1024, le=16_777_216)] = 65_536
    max_body_bytes: Positive = 33_554_432
    requests_per_second: Annotated[float, msgspec.Meta(ge=0, le=1e6)] = 100
    receive_seconds: PositiveSeconds = 60
    send_seconds: PositiveSeconds = 30
    keep_alive_seconds: PositiveSeconds = 30


class Storage(Section, frozen=True, kw_only=True):
    """``sqlite`` keeps everything in the data folder; or a ``postgresql://…`` URL."""

    url: Name = "sqlite"


class Journal(Section, frozen=True, kw_only=True):
    """Bounds of the journal of decisions."""

    events: Positive = 200_000
    bytes: Positive = 67_108_864


class Hours(Section, frozen=True, kw_only=True):
    """Daily opening hours, each end with its own zone: ``09:00 America/New_York``."""

    open: Name
    close: Name


class Model(Section, frozen=True, kw_only=True):
    """A model that people may be admitted to, with its capacities and prices (USD per million tokens)."""

    id: Name
    name: str = ""
    tier: Tier = "MEDIUM"
    premium: bool = False
    limited: bool = False
    instant_admit_capacity: NonNegative = 1000
    max_active: NonNegative = 0
    companions: list[Name] = []
    context_tokens: NonNegative = 0
    health_url: str = ""
    hours: Hours | None = None
    input_usd_per_million: Usd = 0.0
    output_usd_per_million: Usd = 0.0
    cached_usd_per_million: Usd | None = None
    reasoning_usd_per_million: Usd | None = None


class Quota(Section, frozen=True, kw_only=True):
    """Session units a day, counted in `zone`, for each access tier."""

    zone: Name = "America/Los_Angeles"
    full: Usd = 5
    limited: Usd = 5


class HealthProbe(Section, frozen=True, kw_only=True):
    """How the servers of models with a `health_url` are asked: how often, for how long, and what is too old."""

    interval_seconds: PositiveSeconds = 25
    timeout_seconds: PositiveSeconds = 5
    stale_seconds: PositiveSeconds = 180


class Admission(Section, frozen=True, kw_only=True):
    """Who may come in."""

    enabled: bool = True
    session_seconds: PositiveSeconds = 3600
    grace_seconds: Seconds = 1800
    tick_seconds: PositiveSeconds = 15
    admits_per_tick: Positive = 1
    abandon_seconds: Seconds = 600
    address_cap: NonNegative = 0
    bypass_emails: list[str] = []
    fallback_model: str = ""
    limited_model: str = ""
    models: list[Model] = []
    quota: Quota = Quota()
    health: HealthProbe = HealthProbe()


class Router(Section, frozen=True, kw_only=True):
    """How long a live session idles, and how many there may be (0: no cap)."""

    idle_seconds: Seconds = 1800
    sweep_seconds: Seconds = 60
    max_sessions: NonNegative = 0


class Pins(Section, frozen=True, kw_only=True):
    """How long a session stays on its model, and how many equal requests in a row escalate it."""

    idle_seconds: Seconds = 1800
    repeat_limit: Annotated[int, msgspec.Meta(ge=2)] = 3
    header: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]+$")] = "x-session-id"
    max_entries: Positive = 100_000


class Runs(Section, frozen=True, kw_only=True):
    """Bounds and deadlines of runs."""

    buffer_events: Positive = 5000
    buffer_bytes: Positive = 8_388_608
    total_bytes: Positive = 1_073_741_824
    retention_seconds: Seconds = 300
    stall_seconds: PositiveSeconds = 120
    abort_seconds: PositiveSeconds = 10
    abort_stalled: bool = False
    on_disconnect: Literal["abort", "continue"] = "abort"


class Retention(Section, frozen=True, kw_only=True):
    """For how many days what is remembered is kept (0: for ever), and how often it is looked through."""

    message_days: Days = 0
    run_days: Days = 0
    audit_days: Days = 0
    purge_seconds: PositiveSeconds = 3600


class Upstream(Section, frozen=True, kw_only=True):
    """An OpenAI-compatible server and the models it serves."""

    name: Name
    base_url: Name
    api_key_env: str = ""
    models: list[Name] = []
    proxy: str = ""
    connect_seconds: PositiveSeconds = 10
    first_byte_seconds: PositiveSeconds = 120
    idle_seconds: PositiveSeconds = 120


class Token(Section, frozen=True, kw_only=True):
    """A bearer token, known by its SHA-256 only."""

    name: Name
    role: Literal["viewer", "operator", "service", "user"]
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    user: str = ""


class Console(Section, frozen=True, kw_only=True):
    """How the console looks."""

    theme: Name = "dark"
    frames_per_second: Annotated[float, msgspec.Meta(ge=1, le=30)] = 8


class Settings(Section, frozen=True, kw_only=True):
    """Everything that can be set."""

    server: Server = Server()
    storage: Storage = Storage()
    journal: Journal = Journal()
    admission: Admission = Admission()
    router: Router = Router()
    pins: Pins = Pins()
    runs: Runs = Runs()
    retention: Retention = Retention()
    upstreams: list[Upstream] = []
    tokens: list[Token] = []
    console: Console = Console()
    keys: dict[str, str] = {}
