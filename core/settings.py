"""The settings: defaults < TOML file < environment < flags. The only file that reads the environment.

Every scalar can be set as ``MAITRED_<SECTION>_<NAME>`` (``MAITRED_ADMISSION_QUOTA_ZONE`` for a nested section).
What is wrong is refused with a `SettingsError` that says where it stands, what was found and what is allowed.
"""

from __future__ import annotations

import getpass
import os
import tomllib
import types
import typing
import zoneinfo
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
import platformdirs

from core.errors import FolderUnusable, SettingsError
from core.protocol import Tier

NonNegative = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
# TOML has an infinity, which no clock can wait for and no price can be
Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
PositiveSeconds = Annotated[float, msgspec.Meta(gt=0, le=1e9)]
Usd = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
Name = Annotated[str, msgspec.Meta(min_length=1)]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the settings file."""


class Server(Section, frozen=True, kw_only=True):
    """Where the core listens, under which names beside its address, and how long it drains when it leaves."""

    host: Name = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8484
    hosts: list[Name] = []
    drain_seconds: Seconds = 30


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


class Quota(Section, frozen=True, kw_only=True):
    """Session units a day, counted in `zone`, for each access tier."""

    zone: Name = "America/Los_Angeles"
    full: Usd = 5
    limited: Usd = 5


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


class Router(Section, frozen=True, kw_only=True):
    """How long a live session idles, and how many there may be (0: no cap)."""

    idle_seconds: Seconds = 1800
    sweep_seconds: Seconds = 60
    max_sessions: NonNegative = 0


class Pins(Section, frozen=True, kw_only=True):
    """How long a session stays on its model, and how many equal requests in a row escalate it."""

    idle_seconds: Seconds = 1800
    repeat_limit: Annotated[int, msgspec.Meta(ge=2)] = 3
    header: Name = "x-session-id"
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
    upstreams: list[Upstream] = []
    tokens: list[Token] = []
    console: Console = Console()
    keys: dict[str, str] = {}


class Folders(msgspec.Struct, frozen=True, kw_only=True):
    """Where maitred keeps its files; made with mode 0700 when first used."""

    config: Path
    data: Path
    state: Path
    log: Path

    def make(self) -> None:
        """Create what is missing; raises FolderUnusable with the remedy."""
        for folder in (self.config, self.data, self.state, self.log):
            try:
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                folder.chmod(0o700)
            except OSError as error:
                raise FolderUnusable(
                    f"{folder}: cannot be used ({error.strerror}); make it writable for you, or point XDG_DATA_HOME, "
                    "XDG_STATE_HOME or XDG_CONFIG_HOME elsewhere"
                ) from error
            if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
                raise FolderUnusable(f"{folder}: is not writable; make it writable for you (chmod u+rwx)")


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """Settings in force, with the origin of every key: ``default``, a file's path, ``$VARIABLE`` or ``flag``."""

    settings: Settings
    origins: dict[str, str]
    path: Path
    api_keys: dict[str, str]
    """Upstream name → API key, taken from the environment; never shown."""


def folders() -> Folders:
    """The user's folders for maitred, by the platform's custom (XDG variables move them)."""
    dirs = platformdirs.PlatformDirs("maitred", appauthor=False)
    return Folders(
        config=dirs.user_config_path,
        data=dirs.user_data_path,
        state=dirs.user_state_path,
        log=dirs.user_log_path,
    )


def user_name() -> str:
    """Who runs this process, for the audit."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.getuid())


def environment(name: str) -> str | None:
    """One variable, for what may come only from the environment (tokens)."""
    return os.environ.get(name) or None


def no_color() -> bool:
    """Whether the user asked for no colours (NO_COLOR)."""
    return bool(os.environ.get("NO_COLOR"))


def load(
    path: Path | None = None,
    *,
    flags: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
) -> Loaded:
    """Read, merge and check the settings.

    `path` must exist when it is given; without it the file in the config folder is read if there is one.
    `flags` are dotted keys, as in ``{"server.port": 0}``. Raises SettingsError.
    """
    env = os.environ if env is None else env
    given = path is not None
    path = path or folders().config / "maitred.toml"
    raw = _read_file(path, must_exist=given)
    origins = {key: str(path) for key in _keys(raw)}
    for key, kind in _scalars(Settings):
        variable = "MAITRED_" + key.replace(".", "_").upper()
        if variable in env:
            _put(raw, key, _from_text(env[variable], kind, variable))
            origins[key] = f"${variable}"
    for key, value in (flags or {}).items():
        if value is not None:
            _put(raw, key, value)
            origins[key] = "flag"
    settings = _convert(raw, origins, path)
    _check(settings, origins, path)
    api_keys = {}
    for upstream in settings.upstreams:
        if upstream.api_key_env:
            key = env.get(upstream.api_key_env, "")
            if not key:
                raise SettingsError(
                    f"{path}: upstreams.{upstream.name}.api_key_env: the variable {upstream.api_key_env} is not set; "
                    "export it, or remove the line"
                )
            api_keys[upstream.name] = key
    return Loaded(settings=settings, origins=origins, path=path, api_keys=api_keys)


def _read_file(path: Path, *, must_exist: bool) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if must_exist:
            raise SettingsError(
                f"{path}: there is no such settings file; `maitred info` shows where one is read"
            ) from None
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: is not TOML: {error}") from error


def _keys(raw: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in raw.items():
        if isinstance(value, dict):
            yield from _keys(value, f"{prefix}{name}.")
        else:
            yield prefix + name


def _scalars(section: type[msgspec.Struct], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every scalar's dotted key with its type."""
    hints = typing.get_type_hints(section)
    for field in msgspec.structs.fields(section):
        kind = hints[field.name]
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            yield from _scalars(kind, f"{prefix}{field.name}.")
        elif typing.get_origin(kind) not in (list, dict, types.UnionType):
            yield prefix + field.name, kind


def _from_text(text: str, kind: Any, variable: str) -> Any:
    """A variable's text as the setting's type; a string stays as it is."""
    if kind is bool and text.lower() in ("0", "1", "true", "false", "yes", "no", "on", "off"):
        return text.lower() in ("1", "true", "yes", "on")
    try:
        return msgspec.convert(text, kind, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"${variable}: found {text!r}; {_lower(str(error))}") from error


def _put(raw: dict[str, Any], key: str, value: Any) -> None:
    *sections, name = key.split(".")
    for section in sections:
        raw = raw.setdefault(section, {})
    raw[name] = value


def _convert(raw: dict[str, Any], origins: dict[str, str], path: Path) -> Settings:
    try:
        return msgspec.convert(raw, Settings)
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at `$")
        key = where.rstrip("`").lstrip(".")
        found = _at(raw, key)
        shown = f", found {found!r}"
        if found is None or isinstance(found, dict | list) or key.endswith("sha256"):
            shown = ""  # in place of a token's hash there may stand the token
        if "unknown field" in reason:
            allowed = ", ".join(_fields_at(key))
            shown = f"; allowed here: {allowed}"
        place = f"{key}: " if key else ""
        raise SettingsError(f"{origins.get(key, path)}: {place}{_lower(reason)}{shown}") from error


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _steps(key: str) -> list[str | int]:
    steps: list[str | int] = []
    for part in key.split("."):
        name, *indexes = part.split("[")
        if name:
            steps.append(name)
        steps.extend(int(index.rstrip("]")) for index in indexes if index.rstrip("]").isdigit())
    return steps


def _at(raw: Any, key: str) -> Any:
    """The value a validation error is about, as the file has it."""
    for step in _steps(key):
        try:
            raw = raw[step]
        except (KeyError, IndexError, TypeError):
            return None
    return raw


def _fields_at(key: str) -> list[str]:
    """The names allowed in the section that a key leads to."""
    kind: Any = Settings
    for step in _steps(key):
        if isinstance(step, int):
            continue
        kind = typing.get_type_hints(kind)[step]
        kind = next((arg for arg in typing.get_args(kind) if isinstance(arg, type)), kind)
    return [field.name for field in msgspec.structs.fields(kind)]


def _check(settings: Settings, origins: dict[str, str], path: Path) -> None:
    """What types cannot say: names that must exist, zones, hours and addresses that must be real."""

    def refuse(key: str, problem: str) -> None:
        raise SettingsError(f"{origins.get(key, path)}: {key}: {problem}")

    admission = settings.admission
    models = {model.id: model for model in admission.models}
    known = ", ".join(models) or "none is configured"
    if len(models) != len(admission.models):
        refuse("admission.models", "two models have the same id")
    if admission.fallback_model and admission.fallback_model not in models:
        refuse("admission.fallback_model", f"found {admission.fallback_model!r}; allowed: {known}")
    if admission.limited_model and (
        admission.limited_model not in models or not models[admission.limited_model].limited
    ):
        limited = (
            ", ".join(model.id for model in admission.models if model.limited) or "none has limited = true"
        )
        refuse("admission.limited_model", f"found {admission.limited_model!r}; allowed: {limited}")
    for model in admission.models:
        for companion in model.companions:
            if companion not in models:
                refuse(f"admission.models.{model.id}.companions", f"found {companion!r}; allowed: {known}")
        if model.hours:
            for end, text in (("open", model.hours.open), ("close", model.hours.close)):
                problem = _hour_problem(text)
                if problem:
                    refuse(f"admission.models.{model.id}.hours.{end}", problem)
        if model.health_url and _url_problem(model.health_url):
            refuse(f"admission.models.{model.id}.health_url", _url_problem(model.health_url))
    if not _is_zone(admission.quota.zone):
        refuse(
            "admission.quota.zone",
            f"found {admission.quota.zone!r}; allowed: a zone such as America/Los_Angeles",
        )
    if settings.storage.url != "sqlite" and not settings.storage.url.startswith("postgresql"):
        refuse("storage.url", "allowed: sqlite, or postgresql://user@host/database")
    names = [upstream.name for upstream in settings.upstreams]
    for upstream in settings.upstreams:
        if names.count(upstream.name) > 1:
            refuse(f"upstreams.{upstream.name}", "two upstreams have the same name")
        for key, url in (("base_url", upstream.base_url), ("proxy", upstream.proxy)):
            if url and _url_problem(url):
                refuse(f"upstreams.{upstream.name}.{key}", _url_problem(url))
    for token in settings.tokens:
        if token.role == "user" and not token.user:
            refuse(f"tokens.{token.name}.user", "a token of role user needs the user it stands for")


def _hour_problem(text: str) -> str:
    clock, _, zone = text.partition(" ")
    hour, colon, minute = clock.partition(":")
    digits = len(clock) == 5 and colon and hour.isdigit() and minute.isdigit()
    if not digits or int(hour) > 23 or int(minute) > 59 or not _is_zone(zone):
        return f"found {text!r}; allowed: a time and a zone, as in 09:00 America/New_York"
    return ""


def _is_zone(name: str) -> bool:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _url_problem(url: str) -> str:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "allowed: an address such as https://api.openai.com/v1"
    if parts.username or parts.password:
        return "holds a password; put the key into the environment and name it in api_key_env"
    return ""
