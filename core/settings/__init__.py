"""The settings: defaults < TOML file < environment < flags.

Every scalar can be set as ``MAITRED_<SECTION>_<NAME>`` (``MAITRED_ADMISSION_QUOTA_ZONE`` for a nested section).
What is wrong is refused with a `SettingsError` that says where it stands, what was found and what is allowed.
"""

from __future__ import annotations

from core.settings.environment import Folders, environment, folders, no_color, user_name
from core.settings.load import Loaded, load
from core.settings.schema import (
    Admission,
    Console,
    Hours,
    Journal,
    Model,
    Pins,
    Quota,
    Retention,
    Router,
    Runs,
    Section,
    Server,
    Settings,
    Storage,
    Token,
    Upstream,
)
from core.settings.storage import SQLITE, without_secrets

__all__ = [
    "SQLITE",
    "Admission",
    "Console",
    "Folders",
    "Hours",
    "Journal",
    "Loaded",
    "Model",
    "Pins",
    "Quota",
    "Retention",
    "Router",
    "Runs",
    "Section",
    "Server",
    "Settings",
    "Storage",
    "Token",
    "Upstream",
    "environment",
    "folders",
    "load",
    "no_color",
    "user_name",
    "without_secrets",
]
