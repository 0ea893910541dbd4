"""The storage's URL: whether it is one, and how it may be shown."""

from __future__ import annotations

from urllib.parse import unquote

SQLITE = "sqlite"
"""The URL that keeps everything in the data folder."""

_SCHEMES = ("postgresql", "postgres")
_SHOWN = frozenset({"host", "hostaddr", "port", "dbname", "user", "options", "service", "sslmode"})
_HIDDEN = "***"


def is_storage(url: str) -> bool:
    """Whether the URL names a kind of storage that there is."""
    scheme, found, _ = url.partition("://")
    return url == SQLITE or (bool(found) and scheme in _SCHEMES)


def without_secrets(url: str) -> str:
    """The URL as it may be shown to anybody: no password, and of its parameters only those that hold none."""
    scheme, found, rest = url.partition("://")
    if not found:
        return url if url == SQLITE else _HIDDEN
    user, at, place = rest.rpartition("@")
    if "?" in user:
        # the @ may be one of a parameter, and what stands before it anything
        return f"{scheme}://{_HIDDEN}"
    place, asked, parameters = place.partition("?")
    shown = "&".join(each for each in parameters.split("&") if unquote(each.partition("=")[0]) in _SHOWN)
    return f"{scheme}://{user.partition(':')[0]}{at}{place}{asked if shown else ''}{shown}"
