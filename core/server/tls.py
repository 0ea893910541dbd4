"""The server's certificate: read before anything is started, and what is wrong with it told with its setting."""

from __future__ import annotations

import ssl
from pathlib import Path

from core.errors import StartRefused
from core.settings import Server as ServerSettings

_LARGEST = 1_000_000
_ALPN = ["http/1.1"]


def server_context(settings: ServerSettings) -> ssl.SSLContext | None:
    """What the server proves itself with; None where it speaks plain HTTP. Raises StartRefused."""
    if not settings.tls_certificate:
        return None
    certificate, key = (Path(each).expanduser() for each in (settings.tls_certificate, settings.tls_key))
    _look_at("tls_certificate", certificate, b"-----BEGIN CERTIFICATE-----", "certificate")
    _look_at("tls_key", key, b"PRIVATE KEY-----", "private key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(_ALPN)
    asked = False

    def passphrase() -> str:
        nonlocal asked
        asked = True
        return ""

    try:
        context.load_cert_chain(certificate, key, passphrase)
    except (ssl.SSLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or str(error)
        if asked:
            raise _refusal(
                "tls_key", key, "has a passphrase, which nobody could enter; keep it without"
            ) from None
        if "MISMATCH" in reason:
            raise _refusal(
                "tls_key", key, f"does not belong to the certificate {certificate}; set the two that do"
            ) from None
        raise _refusal(
            "tls_certificate", certificate, f"cannot be used with its key ({reason}); make both anew, as PEM"
        ) from None
    return context


def _look_at(setting: str, path: Path, mark: bytes, what: str) -> None:
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST)
    except OSError as error:
        raise _refusal(
            setting, path, f"cannot be read ({error.strerror}); make it a file that is readable for you"
        ) from None
    if mark not in text:
        raise _refusal(setting, path, f"holds no {what}; it must be a PEM file")


def _refusal(setting: str, path: Path, problem: str) -> StartRefused:
    return StartRefused(f"server.{setting}: {path}: {problem}")
