"""The upstreams: does the name resolve, does somebody answer there, is the key good, are the models there?"""

from __future__ import annotations

import queue
import socket
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from console.commands.health.check import Check, good, note, wrong

if TYPE_CHECKING:
    import httpx

    from core.settings import Loaded, Upstream

NONE = note(
    "upstream",
    "none is configured: the built-in model maitred/echo answers",
    "export OPENAI_API_KEY, or name one under [[upstreams]] (maitred init)",
)
_CONNECT_SECONDS = 3.0
_ANSWER_SECONDS = 5.0
_PATIENCE = 12.0
"""Seconds for all of them together: a name's resolution has no limit of its own."""


def check(loaded: Loaded) -> list[Check]:
    """One line for each; they are asked at the same time."""
    upstreams = loaded.settings.upstreams
    if not upstreams:
        return [NONE]
    asked = [(each, _ask_beside(each)) for each in upstreams]
    return [_told(upstream, answer) for upstream, answer in asked]


def _ask_beside(upstream: Upstream) -> queue.Queue[Check]:
    answer: queue.Queue[Check] = queue.Queue(1)
    # a thread that hangs in a resolver must not keep the process from ending
    threading.Thread(target=lambda: answer.put(_ask(upstream)), daemon=True).start()
    return answer


def _told(upstream: Upstream, answer: queue.Queue[Check]) -> Check:
    try:
        return answer.get(timeout=_PATIENCE)
    except queue.Empty:
        return wrong("upstream", f"{upstream.name}: nothing within {_PATIENCE:g} s", "is the network there?")


def _ask(upstream: Upstream) -> Check:
    import httpx

    from core.settings import environment

    name, key = (
        upstream.name,
        (environment(upstream.api_key_env) or "").strip() if upstream.api_key_env else "",
    )
    if upstream.api_key_env and not key:
        return wrong(
            "upstream", f"{name}: {upstream.api_key_env} is not set", "export it, or remove api_key_env"
        )
    if not (key.isascii() and key.isprintable()):
        return wrong(
            "upstream", f"{name}: {upstream.api_key_env} holds what no key has", "export the key alone"
        )
    problem = _reach(upstream)
    if problem is not None:
        return problem
    try:
        answer = httpx.get(
            f"{upstream.base_url.rstrip('/')}/models",
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS),
            proxy=upstream.proxy or None,
            trust_env=False,
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        why = str(error) or type(error).__name__
        return wrong("upstream", f"{name}: {upstream.base_url} does not answer ({why:.120})", "is it well?")
    return _judged(upstream, answer, keyed=bool(key))


def _reach(upstream: Upstream) -> Check | None:
    """What is wrong on the way to it, or to the proxy before it."""
    parts = urlsplit(upstream.proxy or upstream.base_url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        said = f"{upstream.name}: the name {host} does not resolve ({error.strerror})"
        return wrong("upstream", said, "is it right, and the network there?")
    try:
        socket.create_connection((host, port), timeout=_CONNECT_SECONDS).close()
    except OSError as error:
        said = f"{upstream.name}: {host}:{port} takes no connection ({error.strerror or 'no answer'})"
        return wrong("upstream", said, "is it running, is base_url right?")
    return None


def _judged(upstream: Upstream, answer: httpx.Response, *, keyed: bool) -> Check:
    name, status = upstream.name, answer.status_code
    if status in (401, 403):
        said = f"{name}: refuses {'the key' if keyed else 'to answer without a key'} ({status})"
        return wrong("upstream", said, "name the right one in api_key_env")
    if 300 <= status < 400:
        return wrong("upstream", f"{name}: leads elsewhere ({status})", "set base_url to where it leads")
    if status in (404, 405):
        said = f"{name}: answers, but has no list of models ({status})"
        return note("upstream", said, "base_url ends in /v1 with most servers")
    if status >= 400:
        return wrong("upstream", f"{name}: answers {status}", "look at its own log")
    listed = _listed(answer)
    if listed is None:
        return note(
            "upstream", f"{name}: answers, but not as OpenAI does", "base_url ends in /v1 with most servers"
        )
    missing = [model for model in upstream.models if model not in listed]
    if missing:
        return note("upstream", f"{name}: does not list {', '.join(missing)}", "is the model's name right?")
    return good(
        "upstream", f"{name}: answers, {len(listed)} models{', the key is accepted' if keyed else ''}"
    )


def _listed(answer: httpx.Response) -> set[str] | None:
    try:
        return {str(model["id"]) for model in answer.json()["data"]}
    except (ValueError, KeyError, TypeError):
        return None
