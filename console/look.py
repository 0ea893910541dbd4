"""Themes: how tones and parts of the screen look, read from TOML files.

They are looked for in the installed package, then in the checkout, then in the folders that the caller adds (the
user's own come last, and win).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.color import ColorType
from rich.errors import StyleSyntaxError
from rich.style import Style
from textual.color import Color, ColorParseError
from textual.theme import BUILTIN_THEMES, Theme

from console.files import text_of
from console.text import neutral
from core.errors import SettingsError

_TONES = ("dim", "good", "warn", "bad", "accent", "strong")
_PARTS = (
    "text",
    "heading",
    "sorted",
    "cursor",
    "cursor_mark",
    "tab",
    "tab_shown",
    "key",
    "key_acts",
    "rule",
    "stale",
)
_BASE = (
    "primary",
    "secondary",
    "accent",
    "success",
    "warning",
    "error",
    "foreground",
    "background",
    "surface",
    "panel",
)
_MOST_BYTES = 65_536
_SIXTEEN = (ColorType.DEFAULT, ColorType.STANDARD)


@dataclass(frozen=True, slots=True)
class Look:
    """One theme. Styles are by name: the tones of cells, and the parts of the screen."""

    name: str
    theme: Theme
    styles: Mapping[str, Style]

    def style(self, name: str) -> Style:
        """The style of a tone or part; no name is plain text."""
        return self.styles[name or "text"]

    def cell(self, tone: str, *, chosen: bool = False, stale: bool = False) -> Style:
        """How a cell of that tone looks, under the cursor or not, and when its figures are old."""
        return self.styles[f"{'stale' if stale else tone or 'text'}{'+cursor' if chosen else ''}"]


class Looks:
    """The themes there are, and the one in use."""

    def __init__(self, looks: Mapping[str, Look], name: str) -> None:
        if name not in looks:
            raise SettingsError(
                f"console.theme: there is no theme {name!r}; there are: {', '.join(sorted(looks))}"
            )
        self._looks = dict(sorted(looks.items()))
        self.current = looks[name]

    def all(self) -> list[Look]:
        """Every theme, by name."""
        return list(self._looks.values())

    def do_without_colours(self) -> None:
        """What only its background tells from the rest is reversed, for terminals without colours."""
        bare = {name: _reversed(look) for name, look in self._looks.items()}
        self.current, self._looks = bare[self.current.name], bare

    def next(self) -> Look:
        """Go to the next theme, and round."""
        names = list(self._looks)
        self.current = self._looks[names[(names.index(self.current.name) + 1) % len(names)]]
        return self.current


def _reversed(look: Look) -> Look:
    styles = {
        name: style + Style(reverse=True) if style.bgcolor is not None else style
        for name, style in look.styles.items()
    }
    return replace(look, styles=styles)


def theme_folders() -> list[Path]:
    """Where maitred's own themes are: in the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent
    return [folder for folder in (package / "themes", package.parent / "themes") if folder.is_dir()][:1]


def load_looks(name: str, folders: Iterable[Path] = ()) -> Looks:
    """All themes, with `name` in use; raises SettingsError for a theme that is missing or wrong."""
    looks: dict[str, Look] = {}
    for folder in (*theme_folders(), *folders):
        for path in sorted(folder.glob("*.toml")):
            # what begins with a dot is an editor's or the system's own
            if not path.name.startswith("."):
                looks[path.stem] = read_look(path)
    return Looks(looks, name)


def read_look(path: Path) -> Look:
    """One theme from its file; raises SettingsError that names the file, the key, what was found and what may be."""
    if not path.stem.isprintable():
        raise SettingsError(
            f"{str(path)!r}: cannot be read as a theme: give its name letters that can be shown"
        )
    try:
        raw = tomllib.loads(text_of(path, _MOST_BYTES))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read as a theme: {error.strerror or error}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingsError(f"{path}: cannot be read as a theme: {error}") from error
    _refuse_unknown(path, "", raw, ("dark", "ansi", "base", "tones", "parts"))
    dark, ansi = _switch(path, raw, "dark", True), _switch(path, raw, "ansi", False)
    base = _table(path, raw, "base", _BASE)
    for key, value in base.items():
        _check_colour(path, key, value, ansi=ansi)
    plain = _styles(path, "tones", _table(path, raw, "tones", _TONES), ansi=ansi)
    plain |= _styles(path, "parts", _table(path, raw, "parts", _PARTS), ansi=ansi)
    cursor = plain["cursor"]
    styles = dict(plain)
    for tone in ("text", "stale", *_TONES):
        # in 16 colours a quiet text and the cursor's ground are the same grey
        legible = "text" if tone in ("dim", "stale") else tone
        styles[f"{tone}+cursor"] = plain[legible] + cursor
    theme = Theme(
        name=f"maitred-{path.stem}",
        primary=base["primary"],
        secondary=base["secondary"],
        accent=base["accent"],
        success=base["success"],
        warning=base["warning"],
        error=base["error"],
        foreground=base["foreground"],
        background=base["background"],
        surface=base["surface"],
        panel=base["panel"],
        dark=dark,
        ansi=ansi,
        variables=_variables(plain, dark=dark, ansi=ansi),
    )
    return Look(path.stem, theme, styles)


def _variables(styles: Mapping[str, Style], *, dark: bool, ansi: bool) -> dict[str, str]:
    """What Textual would else mix from the base's colours: faint placeholders; and names of colours cannot be mixed."""
    if ansi:
        return dict(BUILTIN_THEMES["ansi-dark" if dark else "ansi-light"].variables)
    quiet = styles["dim"].color
    return {} if quiet is None else {"text-disabled": quiet.get_truecolor().hex}


def _refuse_unknown(path: Path, place: str, found: Iterable[str], names: Iterable[str]) -> None:
    unknown = sorted(set(found) - set(names))
    if unknown:
        key = neutral(f"{place}{unknown[0]}", 80)
        raise SettingsError(f"{path}: {key} is not known; allowed here: {', '.join(names)}")


def _switch(path: Path, raw: dict[str, Any], key: str, default: bool) -> bool:
    found = raw.get(key, default)
    if not isinstance(found, bool):
        raise SettingsError(f"{path}: {key}: found {found!r:.80}; allowed: true, false")
    return found


def _table(path: Path, raw: dict[str, Any], section: str, names: Iterable[str]) -> dict[str, str]:
    found = raw.get(section)
    if not isinstance(found, dict):
        raise SettingsError(f"{path}: the table [{section}] is missing; it says {', '.join(names)}")
    _refuse_unknown(path, f"{section}.", found, names)
    for name in names:
        if name not in found:
            raise SettingsError(f"{path}: {section}.{name} is missing; say how it looks")
        if not isinstance(found[name], str):
            raise SettingsError(
                f'{path}: {section}.{name}: found {found[name]!r:.80}; allowed: a text, as in "#86b387"'
            )
    return found


def _check_colour(path: Path, key: str, text: str, *, ansi: bool) -> None:
    """Textual knows more ways to write a colour; these are those that its own widgets can mix, or leave alone."""
    try:
        colour = Color.parse(text)
    except ColorParseError:
        colour = None
    if colour is None or (colour.ansi is not None) != ansi or colour.auto:
        allowed = "one of the sixteen, as in ansi_green" if ansi else "a colour as #rrggbb"
        raise SettingsError(f"{path}: base.{key}: found {text!r:.80}; allowed: {allowed}")


def _styles(path: Path, section: str, found: Mapping[str, str], *, ansi: bool) -> dict[str, Style]:
    styles: dict[str, Style] = {}
    for name, text in found.items():
        try:
            style = Style.parse(text)
        except StyleSyntaxError as error:
            raise SettingsError(
                f"{path}: {section}.{name}: found {text!r:.80}; allowed: a style such as "
                f'"bold underline #86b387 on #11151a" ({error})'
            ) from error
        if style.link or style.meta:
            raise SettingsError(f"{path}: {section}.{name}: found {text!r:.80}; a link is no style")
        colours = (style.color, style.bgcolor)
        if ansi and any(colour and colour.type not in _SIXTEEN for colour in colours):
            raise SettingsError(
                f"{path}: {section}.{name}: found {text!r:.80}; allowed with ansi = true: the terminal's colours, "
                "as in red, bright_blue, default"
            )
        styles[name] = style
    return styles
