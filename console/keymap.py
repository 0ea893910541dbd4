"""Which key does what: the defaults of the action table, and the settings' ``[keys]`` over them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from console.actions import ACTIONS, BY_ID, Action, Scope, offered
from core.errors import SettingsError

_NAMES = {
    "exclamation_mark": "!",
    "question_mark": "?",
    "slash": "/",
    "return": "enter",
    "esc": "escape",
}
_FIXED = frozenset(
    {"up", "down", "left", "right", "pageup", "pagedown", "home", "end", "tab", "shift+tab", "ctrl+c"}
)
"""Keys that move, or leave: nobody may take them away."""

_SHOWN = {"escape": "esc", "enter": "↵"}


@dataclass(frozen=True, slots=True)
class Keymap:
    """Key → action for every scope; made by `keymap`, which has checked it."""

    keys: Mapping[str, str]

    def key_of(self, action: Action) -> str:
        """The key that does this."""
        return self.keys[action.id]

    def shown(self, action: Action) -> str:
        """The key as the footer and the help write it."""
        key = self.keys[action.id]
        return _SHOWN.get(key, key)

    def find(
        self,
        scope: Scope,
        key: str,
        character: str | None,
        *,
        acting: bool,
        fresh: bool = False,
        several: bool = False,
    ) -> Action | None:
        """The action of a key press: `key` is the terminal's name of it, `character` what it would type."""
        pressed = {normal(key)}
        if character is not None and character.isprintable():
            pressed = {normal(character)}
        for action in offered(scope, acting=acting, fresh=fresh, several=several):
            if self.keys[action.id] in pressed:
                return action
        return None


def normal(key: str) -> str:
    """A key's name in the one spelling that is compared: a single character as it is, names in lowercase."""
    key = key if key == " " else key.strip()
    if len(key) == 1:
        return "space" if key == " " else key
    key = key.lower()
    return _NAMES.get(key, key)


def keymap(keys: Mapping[str, str] | None = None) -> Keymap:
    """The defaults with the user's own keys over them.

    Raises SettingsError for an action that there is not, a key that moves or is empty, two actions on one key
    in one place, and an acting one on a lowercase key.
    """
    chosen = {action.id: action.key for action in ACTIONS}
    for name, key in (keys or {}).items():
        if name not in BY_ID:
            raise SettingsError(
                f"keys.{name}: there is no such action; there are: {', '.join(sorted(BY_ID))}"
            )
        wanted = normal(key)
        if not wanted or wanted in _FIXED:
            raise SettingsError(
                f"keys.{name}: {key!r} cannot be chosen; choose a key that neither moves nor leaves"
            )
        if BY_ID[name].acts and len(wanted) == 1 and wanted.islower():
            raise SettingsError(
                f"keys.{name}: {key!r} is lowercase, and lowercase keys never act; choose {key.upper()!r}"
            )
        chosen[name] = wanted
    _refuse_clashes(chosen)
    return Keymap(chosen)


def _refuse_clashes(chosen: Mapping[str, str]) -> None:
    for scope in ("panes", "session"):
        taken: dict[str, str] = {}
        for action in offered(scope, acting=True, fresh=True, several=True):
            other = taken.setdefault(chosen[action.id], action.id)
            if other != action.id:
                raise SettingsError(
                    f"keys.{action.id}: {chosen[action.id]!r} is the key of {other} already; "
                    f"give keys.{other} another one, or choose a free key"
                )


_WHERE = {"everywhere": "everywhere", "panes": "panes", "session": "a session"}
_ACTS = {"none": "", "reversible": "acts", "loses work": "acts, asks first", "menu": "acts, asks which"}


def key_table_markdown(keys: Keymap | None = None) -> str:
    """The README's table of keys; the id is what ``[keys]`` in the settings calls the action."""
    keys = keys or keymap()
    lines = ["| key | id | where | does | |", "| --- | --- | --- | --- | --- |"]
    lines += [
        f"| `{keys.key_of(action)}` | {action.id} | {_WHERE[action.scope]} | {action.help} | {_ACTS[action.danger]} |"
        for action in ACTIONS
    ]
    return "\n".join(lines) + "\n"
