"""maitred's session core: admission, router, store and run registry, with one public face.

    from core import SessionCore, EmbeddedCore, RemoteCore

Names are imported when they are first used, because a console that attaches to a remote core needs few of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.embedded import EmbeddedCore
    from core.errors import MaitredError
    from core.protocol import Core
    from core.remote import RemoteCore
    from core.session_core import SessionCore

__all__ = ["Core", "EmbeddedCore", "MaitredError", "RemoteCore", "SessionCore"]

_HOMES = {
    "Core": "core.protocol",
    "EmbeddedCore": "core.embedded",
    "MaitredError": "core.errors",
    "RemoteCore": "core.remote",
    "SessionCore": "core.session_core",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'core' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
