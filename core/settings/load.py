"""Reading, merging and checking the settings."""

from __future__ import annotations

import tomllib
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from core.errors import SettingsError
from core.settings.check import check
from core.settings.environment import folders, variables
from core.settings.offer import offered_upstream
from core.settings.refusal import refusal
from core.settings.schema import Settings


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """Settings in force, with the origin of every key: ``default``, a file's path, ``$VARIABLE`` or ``flag``."""

    settings: Settings
    origins: dict[str, str]
    path: Path
    api_keys: dict[str, str]
    """Upstream name → API key, taken from the environment; never shown."""
    offered: bool = False
    """Whether the settings name no upstream, and the one there is comes from variables that clients use, too."""


def load(
    path: Path | None = None,
    *,
    flags: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
    with_keys: bool = True,
) -> Loaded:
    """Read, merge and check the settings.

    `path` must exist when it is given; without it the file in the config folder is read if there is one.
    `flags` are dotted keys, as in ``{"server.port": 0}``. Who asks no upstream needs none of their keys: they may
    be missing then (`with_keys` False). Raises SettingsError.
    """
    env = variables() if env is None else env
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
    offer = None if settings.upstreams else offered_upstream(env, settings.server)
    if offer is not None:
        settings = msgspec.structs.replace(settings, upstreams=[offer.upstream])
        origins |= {"upstreams": f"${offer.variable}", "upstreams.openai.base_url": "$OPENAI_BASE_URL"}
    check(settings, origins, path)
    api_keys = _api_keys(settings, env, path) if with_keys else {}
    return Loaded(settings=settings, origins=origins, path=path, api_keys=api_keys, offered=offer is not None)


def _api_keys(settings: Settings, env: Mapping[str, str], path: Path) -> dict[str, str]:
    keys = {}
    for upstream in settings.upstreams:
        if upstream.api_key_env:
            key = env.get(upstream.api_key_env, "").strip()
            if not key:
                raise refusal(
                    path,
                    f"the variable {upstream.api_key_env:.80} is not set; export it, or remove the line",
                    key=f"upstreams.{upstream.name:.80}.api_key_env",
                )
            if not (key.isascii() and key.isprintable()):
                raise refusal(
                    f"${upstream.api_key_env:.80}",
                    f"holds characters that no key has; export the key of upstream {upstream.name:.80} and "
                    "nothing else",
                )
            keys[upstream.name] = key
    return keys


def _read_file(path: Path, *, must_exist: bool) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if must_exist:
            raise SettingsError(
                f"{path}: there is no such settings file; `maitred info` shows where one is read"
            ) from None
        return {}
    except OSError as error:
        raise SettingsError(
            f"{path}: cannot be read ({error.strerror}); make it a file that you may read"
        ) from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: cannot be read ({error}); write it in UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise refusal(path, f"is not TOML: {error}") from error
    except RecursionError:
        raise SettingsError(f"{path}: is nested too deep; settings are tables of values") from None


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
        raise refusal(f"${variable}", f"found {text!r:.80}; {_lower(str(error))}{_choices(kind)}") from error


def _put(raw: dict[str, Any], key: str, value: Any) -> None:
    *sections, name = key.split(".")
    table: Any = raw
    for section in sections:
        table = table.setdefault(section, {})
        if not isinstance(table, dict):
            return  # the file has no table there, and is refused for that
    table[name] = value


def _convert(raw: dict[str, Any], origins: dict[str, str], path: Path) -> Settings:
    try:
        return msgspec.convert(raw, Settings)
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at `$")
        key = where.rstrip("`").lstrip(".")
        found = _at(raw, key)
        shown = f", found {found!r:.80}"
        if found is None or isinstance(found, dict | list) or key.endswith("sha256"):
            shown = ""  # in place of a token's hash there may stand the token
        if "unknown field" in reason:
            allowed = ", ".join(field.name for field in msgspec.structs.fields(_kind_at(key)))
            shown = f"; allowed here: {allowed}"
        elif "enum value" in reason:
            shown += _choices(_kind_at(key))
        raise refusal(origins.get(key, path), f"{_lower(reason):.200}{shown}", key=key) from error


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


def _choices(kind: Any) -> str:
    """What a setting may be, where that is one of a few words."""
    allowed = typing.get_args(kind) if typing.get_origin(kind) is typing.Literal else ()
    return f"; allowed: {', '.join(allowed)}" if allowed else ""


def _kind_at(key: str) -> Any:
    """The type that a key leads to."""
    kind: Any = Settings
    for step in _steps(key):
        if isinstance(step, int):
            continue
        kind = typing.get_type_hints(kind)[step]
        kind = next((arg for arg in typing.get_args(kind) if isinstance(arg, type)), kind)
    return kind
