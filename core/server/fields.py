"""What strangers send in a field, checked for what types cannot say. Every refusal names the field."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from core.clock import parse_timestamp
from core.errors import InvalidArgument

LONGEST = 512
"""Characters of a name, an id or an address."""

# What the checks here and in the store find, as the description of the API tells it: they themselves refuse, because
# they can say what to do instead.
_NO_NUL: dict[str, Any] = {"pattern": r"^[^\u0000]*$"}
TEXT = _NO_NUL | {"maxLength": LONGEST}
Text = Annotated[str, msgspec.Meta(extra_json_schema=TEXT)]
Name = Annotated[str, msgspec.Meta(extra_json_schema=TEXT | {"minLength": 1})]
Moment = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]
Key = Annotated[str, msgspec.Meta(extra_json_schema=_NO_NUL)]
Short = Annotated[str, msgspec.Meta(max_length=LONGEST)]
"""What a header says: no NUL comes as far as this, and nothing else is to be told of one that is too long."""


def text(value: str, path: str) -> str:
    """The text as it is; raises InvalidArgument for one that is too long, or that no database can hold."""
    if len(value) > LONGEST:
        raise InvalidArgument(f"{path}: is longer than {LONGEST} characters; choose a shorter one", path=path)
    if "\0" in value or (not value.isascii() and any("\ud800" <= each <= "\udfff" for each in value)):
        raise InvalidArgument(f"{path}: holds characters that are no text; remove them", path=path)
    return value


def moment(value: str, path: str) -> str:
    """A time of the wire as it is; raises InvalidArgument for what is none."""
    try:
        parse_timestamp(value)
    except (ValueError, OverflowError):
        raise InvalidArgument(
            f"{path}: found {value!r:.80}; allowed: a time such as 2026-04-17T12:00:00Z", path=path
        ) from None
    return value
