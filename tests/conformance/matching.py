"""What an answer must look like: values, and markers such as ``{"$any": true}`` in place of a value.

Objects match by the keys that are named, lists by length and position, numbers exactly and never a boolean,
everything else by equality. A mismatch says the path of the value, what was expected and what was found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec

Kept = dict[str, Any]
"""What ``$save`` kept, by name."""

_MISSING = object()
_MARKERS = frozenset({"$any", "$absent", "$len", "$save", "$ref", "$notRef"})


class Mismatch(AssertionError):
    """An answer is not what the case expects."""


def match(expected: Any, found: Any, kept: Kept, path: str = "$") -> None:
    """Compare a found value with an expected one; ``$save`` writes into `kept`. Raises Mismatch."""
    marker = _marker(expected)
    if marker is not None:
        _match_marker(marker, expected[marker], found, kept, path)
    elif isinstance(expected, dict):
        _must(isinstance(found, dict), expected, found, path)
        for key, value in expected.items():
            match(value, found.get(key, _MISSING), kept, f"{path}.{key}")
    elif isinstance(expected, list):
        _must(isinstance(found, list) and len(found) == len(expected), expected, found, path)
        for index, value in enumerate(expected):
            match(value, found[index], kept, f"{path}[{index}]")
    else:
        _must(_equal(expected, found), expected, found, path)


def resolve(value: Any, kept: Kept) -> Any:
    """`value` with every ``{"$ref": name}`` in it replaced by what was kept. Raises Mismatch for an unknown name."""
    marker = _marker(value)
    if marker == "$ref":
        return _kept(value[marker], kept, "with")
    if marker is not None:
        raise Mismatch(f"with: {marker} stands only in an expectation")
    if isinstance(value, dict):
        return {key: resolve(inner, kept) for key, inner in value.items()}
    if isinstance(value, list):
        return [resolve(inner, kept) for inner in value]
    return value


def match_all(
    expected: dict[str, Any], answers: list[dict[str, Any]], failures: list[str], kept: Kept
) -> None:
    """What many answers look like together: ``count``, ``all`` and ``raises``; `failures` are error codes.

    Every code that failed must be counted, and exactly. Raises Mismatch.
    """
    if unknown := set(expected) - {"count", "all", "raises"}:
        raise Mismatch(f"a concurrent step cannot expect {', '.join(sorted(unknown))}")
    wanted = expected.get("raises", {})
    for code, count in Counter(failures).items():
        _must(_equal(wanted.get(code, 0), count), wanted.get(code, 0), count, f"raises.{code}")
    for code, count in wanted.items():
        _must(_equal(count, failures.count(code)), count, failures.count(code), f"raises.{code}")
    for field, counts in expected.get("count", {}).items():
        found = Counter(_as_key(answer[field]) for answer in answers if field in answer)
        for value, count in counts.items():
            _must(_equal(count, found[value]), count, found[value], f"count.{field}.{value}")
    for index, answer in enumerate(answers):
        match(expected.get("all", {}), answer, kept, f"answers[{index}]")


def _match_marker(marker: str, wanted: Any, found: Any, kept: Kept, path: str) -> None:
    if marker == "$absent":
        _must(found is _MISSING or found is None, "nothing", found, path)
        return
    _must(found is not _MISSING, {marker: wanted}, found, path)
    match marker:
        case "$len":
            sized = isinstance(found, list | dict | str)
            _must(sized and _equal(wanted, len(found)), f"{wanted} of them", found, path)
        case "$save":
            kept[wanted] = found
        case "$ref":
            _must(_same(_kept(wanted, kept, path), found), _kept(wanted, kept, path), found, path)
        case "$notRef":
            other = _kept(wanted, kept, path)
            _must(not _same(other, found), f"anything but {other!r}", found, path)
        case _:
            pass  # $any: being there is enough


def _marker(value: Any) -> str | None:
    """The marker that an object stands for. A lone key with a dollar that is none is a mistake in the case."""
    if not isinstance(value, dict) or len(value) != 1:
        return None
    (key,) = value
    if key in _MARKERS:
        return str(key)
    if key.startswith("$"):
        raise Mismatch(f"{key} is no marker; there are {', '.join(sorted(_MARKERS))}")
    return None


def _kept(name: str, kept: Mapping[str, Any], path: str) -> Any:
    if name not in kept:
        raise Mismatch(f"{path}: nothing was saved as {name!r}")
    return kept[name]


def _equal(expected: Any, found: Any) -> bool:
    """Equality of scalars as JSON has them: 5 is 5.0, true is not 1, and no integer is rounded."""
    if isinstance(expected, bool) or isinstance(found, bool):
        return expected is found
    return bool(expected == found)


def _same(expected: Any, found: Any) -> bool:
    """Deep equality, with the same idea of numbers."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return expected.keys() == found.keys() and all(_same(expected[key], found[key]) for key in expected)
    if isinstance(expected, list) and isinstance(found, list):
        return len(expected) == len(found) and all(map(_same, expected, found))
    return _equal(expected, found)


def _as_key(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _must(holds: bool, expected: Any, found: Any, path: str) -> None:
    if not holds:
        shown = "nothing" if found is _MISSING else repr(found)
        raise Mismatch(f"{path}: expected {expected!r}, found {shown}")
