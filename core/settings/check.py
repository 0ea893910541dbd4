"""What types cannot say of settings: names that must exist, zones, hours and addresses that must be real."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from core.settings.refusal import refusal
from core.settings.schema import Server, Settings
from core.settings.storage import is_storage


def check(settings: Settings, origins: Mapping[str, str], path: Path) -> None:
    """What types cannot say: names that must exist, zones, hours and addresses that must be real."""

    def refuse(key: str, problem: str) -> None:
        raise refusal(origins.get(key, path), problem, key=key)

    _check_certificate(settings.server, refuse)
    admission = settings.admission
    models = {model.id: model for model in admission.models}
    known = ", ".join(models) or "none is configured"
    if len(models) != len(admission.models):
        refuse("admission.models", "two models have the same id")
    if admission.fallback_model and admission.fallback_model not in models:
        refuse("admission.fallback_model", f"found {admission.fallback_model!r:.80}; allowed: {known}")
    if admission.limited_model and (
        admission.limited_model not in models or not models[admission.limited_model].limited
    ):
        limited = (
            ", ".join(model.id for model in admission.models if model.limited) or "none has limited = true"
        )
        refuse("admission.limited_model", f"found {admission.limited_model!r:.80}; allowed: {limited}")
    for model in admission.models:
        for companion in model.companions:
            if companion not in models:
                refuse(
                    f"admission.models.{model.id}.companions", f"found {companion!r:.80}; allowed: {known}"
                )
        if model.hours:
            for end, text in (("open", model.hours.open), ("close", model.hours.close)):
                problem = _hour_problem(text)
                if problem:
                    refuse(f"admission.models.{model.id}.hours.{end}", problem)
        if model.health_url and _url_problem(model.health_url):
            refuse(f"admission.models.{model.id}.health_url", _url_problem(model.health_url))
    probe = admission.health
    if probe.stale_seconds < probe.interval_seconds + probe.timeout_seconds:
        refuse(
            "admission.health.stale_seconds",
            f"found {probe.stale_seconds:g}; allowed: at least interval_seconds + timeout_seconds "
            f"({probe.interval_seconds + probe.timeout_seconds:g}), or no answer would last until the next one",
        )
    if not _is_zone(admission.quota.zone):
        refuse(
            "admission.quota.zone",
            f"found {admission.quota.zone!r:.80}; allowed: a zone such as America/Los_Angeles",
        )
    if not is_storage(settings.storage.url):
        refuse("storage.url", "allowed: sqlite, or postgresql://user@host/database")
    names = [upstream.name for upstream in settings.upstreams]
    for upstream in settings.upstreams:
        if names.count(upstream.name) > 1:
            refuse(f"upstreams.{upstream.name}", "two upstreams have the same name")
        for key, url in (("base_url", upstream.base_url), ("proxy", upstream.proxy)):
            if url and _url_problem(url):
                refuse(f"upstreams.{upstream.name}.{key}", _url_problem(url))
            if "?" in url or "#" in url:
                refuse(
                    f"upstreams.{upstream.name}.{key}", "has a ? or #; allowed: an address with a path only"
                )
    for token in settings.tokens:
        if token.role == "user" and not token.user:
            refuse(f"tokens.{token.name}.user", "a token of role user needs the user it stands for")


def _check_certificate(server: Server, refuse: Callable[[str, str], None]) -> None:
    """That both files are named, and where they are; whether they are any good is for who serves."""
    files = {"tls_certificate": server.tls_certificate, "tls_key": server.tls_key}
    for name, file in files.items():
        if not file and any(files.values()):
            (other,) = files.keys() - {name}
            refuse(f"server.{name}", f"needs to be set beside {other}, or neither of them")
        if file and not file.startswith(("/", "~")):
            refuse(f"server.{name}", f"found {file!r:.80}; allowed: a whole path, from / or ~")


def _hour_problem(text: str) -> str:
    clock, _, zone = text.partition(" ")
    hour, colon, minute = clock.partition(":")
    digits = len(clock) == 5 and colon and hour.isdigit() and minute.isdigit()
    if not digits or int(hour) > 23 or int(minute) > 59 or not _is_zone(zone):
        return f"found {text!r:.80}; allowed: a time and a zone, as in 09:00 America/New_York"
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
