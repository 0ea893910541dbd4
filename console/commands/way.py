"""The way to a core that runs elsewhere: its address, the token, and whose certificate is believed there."""

from __future__ import annotations

import functools
import os
import ssl
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import click

if TYPE_CHECKING:
    from core.remote import RemoteCore

_LARGEST_TOKEN = 4096
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_ADDRESS = "give one such as http://127.0.0.1:8484"


class Way(NamedTuple):
    """What the command line says of the way; never a token itself, which everybody on the machine could read there."""

    token_env: str | None = None
    token_file: str | None = None
    ca: str | None = None


def way_to_a_core(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of the way, and hand them to it as one `way`."""

    @functools.wraps(command)
    def with_way(
        *args: Any, token_env: str | None, token_file: str | None, ca: str | None, **rest: Any
    ) -> Any:
        if token_env is not None and token_file is not None:
            raise click.UsageError("--token-env and --token-file both name a token; give one of them")
        return command(*args, way=Way(token_env, token_file, ca), **rest)

    return _with_options(with_way)


def ways_to_cores(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command of several cores the options of the way, and hand it one of the `ways` for each of its `urls`.

    Each option is given once, for all of them, or as often as there are addresses, in their order.
    """

    @functools.wraps(command)
    def with_ways(
        *args: Any,
        urls: tuple[str, ...],
        token_env: tuple[str, ...],
        token_file: tuple[str, ...],
        ca: tuple[str, ...],
        **rest: Any,
    ) -> Any:
        if token_env and token_file:
            raise click.UsageError("--token-env and --token-file both name a token; give one of them")
        count = max(1, len(urls))
        given = {"--token-env": token_env, "--token-file": token_file, "--ca": ca}
        each = [_for_each(name, values, count) for name, values in given.items()]
        return command(*args, urls=urls, ways=[Way(*values) for values in zip(*each, strict=True)], **rest)

    return _with_options(with_ways, multiple=True)


def _for_each(name: str, values: tuple[str, ...], count: int) -> list[str | None]:
    if len(values) not in (0, 1, count):
        raise click.UsageError(
            f"{name} was given {len(values)} times for {count} addresses; give it once, or once for each"
        )
    return [*values] if len(values) == count else [values[0] if values else None] * count


def _with_options(command: Callable[..., Any], *, multiple: bool = False) -> Callable[..., Any]:
    more = " Once for all addresses, or once for each." if multiple else ""
    options = (
        click.option(
            "--token-env",
            multiple=multiple,
            help=f"The variable that holds the token; else the local one is used.{more}",
        ),
        click.option(
            "--token-file",
            multiple=multiple,
            type=click.Path(),
            help=f"The file that holds it, readable for you alone.{more}",
        ),
        click.option(
            "--ca",
            multiple=multiple,
            type=click.Path(),
            help=f"The PEM file of who signed the core's certificate.{more}",
        ),
    )
    return functools.reduce(lambda made, option: option(made), reversed(options), command)


def names_of(urls: Sequence[str]) -> list[str]:
    """What tells these addresses from one another: their hosts, and their ports as well where hosts are alike.

    Raises click.UsageError for two that are the same.
    """
    parts = [urlsplit(url) for url in urls]
    for number, url in enumerate(urls):
        if url in urls[:number]:
            raise click.UsageError(f"{url} was given twice")
    hosts = [part.hostname or part.netloc for part in parts]
    names = [host if hosts.count(host) == 1 else part.netloc for host, part in zip(hosts, parts, strict=True)]
    # of one port two schemes may be served; nobody does it, but rows of two cores must never have one name
    return [
        name if names.count(name) == 1 else url.rstrip("/") for name, url in zip(names, urls, strict=True)
    ]


def remote_core(url: str | None, way: Way) -> RemoteCore:
    """The core at `url`, else the one that works on this user's data folder, else the configured address.

    The token comes from the named variable or file, else from the state folder; but that one is this machine's, and
    is never sent to another. The certificate of the local core is known, and nobody else's is taken for it.
    """
    from core.errors import InvalidArgument
    from core.remote import RemoteCore
    from core.settings import environment, folders

    here, ours = folders(), url is None
    holder, certificate = _holder(here.data, settings_too=ours)
    url = holder if url is None else _checked(url, holder)
    if way.token_env is not None:
        token = environment(way.token_env)
        if token is None:
            raise InvalidArgument(f"the variable {way.token_env} holds no token; export it first")
    elif way.token_file is not None:
        token = token_in(Path(way.token_file))
    else:
        path = here.state / "token"
        token = _written(path) if (ours or _is_here(url)) and path.is_file() else None
    trust = None
    if way.ca is not None:
        trust = _signed_by(Path(way.ca), url)
    elif certificate and _same(url, holder):
        trust = only(certificate)
    return RemoteCore(url, token, trust=trust)


def token_in(path: Path) -> str:
    """The token in a file of the user's own; raises InvalidArgument for one that others can read, too."""
    from core.errors import InvalidArgument

    try:
        with path.open("rb") as file:
            # asked of what was opened: nothing can be put in its place meanwhile
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            held = file.read(_LARGEST_TOKEN + 1)
    except OSError as error:
        raise InvalidArgument(
            f"{path}: the token cannot be read ({error.strerror}); name a file that you may read"
        ) from None
    if mode & 0o077:
        raise InvalidArgument(
            f"{path}: others than you can read or write this token; chmod 600 it, or make a new one"
        )
    words = held.split()
    if len(words) != 1 or len(held) > _LARGEST_TOKEN or not words[0].isascii():
        raise InvalidArgument(
            f"{path}: holds no token; it must be the one line of it that `maitred token new` printed"
        )
    token = words[0].decode()
    if not token.isprintable():
        raise InvalidArgument(f"{path}: holds characters that no token has; make a new one")
    return token


def only(certificate: str) -> ssl.SSLContext:
    """Believes whoever has the key of the first certificate in this file, by whatever name, and nobody else."""
    from core.errors import FolderUnusable

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        text = Path(certificate).expanduser().read_text(encoding="ascii", errors="replace")
        # not the chain behind it: for whoever signed it has signed those of others, too
        begin = text.index(_BEGIN)
        context.load_verify_locations(cadata=text[begin : text.index(_END, begin) + len(_END)])
    except (OSError, ValueError) as error:
        raise FolderUnusable(
            f"{certificate}: the certificate of the local core cannot be read ({error}); name it with --ca"
        ) from None
    return context


def _signed_by(path: Path, url: str) -> ssl.SSLContext:
    from core.errors import InvalidArgument

    if urlsplit(url).scheme != "https":
        raise click.UsageError("--ca is for an address that begins with https://")
    try:
        return ssl.create_default_context(cafile=path)
    except OSError as error:
        raise InvalidArgument(
            f"{path}: holds no certificate that can be used ({error.strerror or error}); name a PEM file"
        ) from None


def _holder(data: Path, *, settings_too: bool) -> tuple[str, str | None]:
    """Where the local core listens, and the file of its certificate: as it says itself, else as the settings do."""
    from core.settings import load
    from core.store.lock import certificate_of_holder, url_of_holder

    url = url_of_holder(data)
    if url is not None:
        return url, certificate_of_holder(data)
    if not settings_too:
        return "", None
    server = load(with_keys=False).settings.server
    host = f"[{server.host}]" if ":" in server.host else server.host
    scheme = "https" if server.tls_certificate else "http"
    return f"{scheme}://{host}:{server.port}", server.tls_certificate or None


def _same(url: str, holder: str) -> bool:
    """Whether an address is that of the local core, perhaps under another of this machine's names."""
    asked, known = urlsplit(url), urlsplit(holder)
    return asked == known or (
        _is_here(url) and (asked.scheme, asked.port or 443) == (known.scheme, known.port)
    )


def _is_here(url: str) -> bool:
    """Whether an address leads to this machine, whoever listens there."""
    from core.server.auth import is_loopback

    return is_loopback((urlsplit(url).hostname or "").lower())


def _written(path: Path) -> str:
    from core.errors import FolderUnusable

    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        # of what stands in it nothing is told: where a token should be there may be one with a slip in it
        reason = error.strerror if isinstance(error, OSError) else "it is not ASCII"
        raise FolderUnusable(
            f"{path}: the token cannot be read ({reason}); name one with --token-env"
        ) from None


def _checked(url: str, holder: str) -> str:
    """The address as a URL; a bare ``host:port`` is one, too. Raises click.UsageError for what cannot be one."""
    if any(mark in url for mark in "@?#"):
        # not shown: what does not belong into an address may be a secret
        raise click.UsageError(f"an address has no user, password, query or fragment; {_ADDRESS}")
    whole = url
    if "://" not in url:
        whole = holder if holder.partition("://")[2] == url else f"http://{url}"
    try:
        parts = urlsplit(whole)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise click.UsageError(f"{url!r} is no address; {_ADDRESS}")
    return whole
