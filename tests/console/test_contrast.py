"""Every text of every theme can be read: by WCAG's ratios, and by eyes that see fewer colours."""

from __future__ import annotations

import itertools
import math

import pytest
from rich.color import ColorType
from rich.style import Style

from console.look import Look, load_looks

LOOKS = {look.name: look for look in load_looks("dark").all()}
COLOURED = [name for name in LOOKS if name != "ansi"]
_GROUNDS = ("background", "surface", "panel")
_DRAWN = ("rule",)
"""Lines, which nobody reads."""

Rgb = tuple[float, ...]

# Machado, Oliveira and Fernandes 2009, severity 1, on linear light
_EYES: dict[str, tuple[Rgb, Rgb, Rgb]] = {
    "protan": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deutan": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritan": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}


def linear(colour: str) -> Rgb:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return tuple(part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)


def luminance(colour: str) -> float:
    return sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), linear(colour), strict=True))


def ratio(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def shown(style: Style, look: Look, ground: str) -> tuple[str, str]:
    """The colours of a text and of what is behind it."""
    front = style.color.get_truecolor().hex if style.color else str(look.theme.foreground)
    behind = style.bgcolor.get_truecolor().hex if style.bgcolor else ground
    return (behind, front) if style.reverse else (front, behind)


def lab(colour: str, eyes: str) -> Rgb:
    """CIELAB of a colour as those eyes see it."""
    light = linear(colour)
    seen = [min(1.0, max(0.0, sum(a * b for a, b in zip(row, light, strict=True)))) for row in _EYES[eyes]]
    rows = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
    white = (0.9505, 1.0, 1.089)
    x, y, z = (
        _cube(sum(a * b for a, b in zip(row, seen, strict=True)) / full)
        for row, full in zip(rows, white, strict=True)
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def _cube(part: float) -> float:
    return float(part ** (1 / 3)) if part > 0.008856 else 7.787 * part + 16 / 116


def test_the_measure_is_wcags() -> None:
    assert ratio("#000000", "#ffffff") == pytest.approx(21)
    assert ratio("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("name", COLOURED)
def test_texts_stand_out(name: str) -> None:
    look = LOOKS[name]
    least = 7.0 if name == "high-contrast" else 4.5
    faint = {}
    for ground in _GROUNDS:
        for part, style in look.styles.items():
            front, behind = shown(style, look, str(getattr(look.theme, ground)))
            if part not in _DRAWN and ratio(front, behind) < least:
                faint[f"{part} on {ground}"] = round(ratio(front, behind), 2)
    assert not faint


@pytest.mark.parametrize("name", COLOURED)
def test_what_dialogs_say_stands_out(name: str) -> None:
    """Labels, fields and their placeholders, buttons, and the filled one that has the focus."""
    theme, least = LOOKS[name].theme, 7.0 if name == "high-contrast" else 4.5
    quiet = theme.variables["text-disabled"]
    pairs = [(str(theme.background), str(filled)) for filled in (theme.foreground, theme.error)]
    for ground in ("surface", "panel"):
        pairs += [
            (str(front), str(getattr(theme, ground)))
            for front in (theme.foreground, theme.error, theme.warning, quiet)
        ]
    assert {pair: round(ratio(*pair), 2) for pair in pairs if ratio(*pair) < least} == {}


@pytest.mark.parametrize("name", COLOURED)
def test_the_row_under_the_cursor_and_the_tab_are_seen(name: str) -> None:
    look = LOOKS[name]
    for part, least in (("cursor", 1.25), ("tab_shown", 4.5)):
        colour = look.styles[part].bgcolor
        assert colour is not None
        assert ratio(colour.get_truecolor().hex, str(look.theme.background)) >= least, part


@pytest.mark.parametrize("eyes", _EYES)
@pytest.mark.parametrize("name", ["colour-blind", "high-contrast"])
def test_good_warn_and_bad_differ_for_all_eyes(name: str, eyes: str) -> None:
    look = LOOKS[name]
    seen = {}
    for tone in ("text", "good", "warn", "bad"):
        colour = look.styles[tone].color
        assert colour is not None
        seen[tone] = lab(colour.get_truecolor().hex, eyes)
    for one, other in itertools.combinations(seen, 2):
        assert math.dist(seen[one], seen[other]) > 20, (one, other)


def test_the_measure_of_eyes_tells_red_from_green_as_they_do() -> None:
    red, green = "#cc4444", "#7a8a00"
    assert math.dist(lab(red, "deutan"), lab(green, "deutan")) < 20
    assert math.dist(lab(red, "tritan"), lab(green, "tritan")) > 40


def test_the_sixteen_colours_are_all_that_ansi_uses() -> None:
    look = LOOKS["ansi"]
    assert look.theme.ansi
    for style in look.styles.values():
        for colour in (style.color, style.bgcolor):
            assert colour is None or colour.type in (ColorType.DEFAULT, ColorType.STANDARD)
    assert look.cell("bad", chosen=True) != look.cell("bad")
