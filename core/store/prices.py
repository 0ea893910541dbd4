"""What an answer costs: reported tokens times configured prices, exact to the micro-USD. Pure.

A price of 1 USD per million tokens is one micro-USD per token. behaviours/pins.md, decision 8.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from core.errors import InvalidArgument
from core.settings import Model

LARGEST = 2**63 - 1
"""The largest amount that a database keeps."""

CHARACTERS_PER_TOKEN = 4
"""What an estimate goes by."""


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of one answer. Cached ones are part of the input, reasoning ones of the output.

    `estimated` says that nobody reported them.
    """

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False


def check_usage(usage: Usage) -> Usage:
    """The usage itself; raises InvalidArgument, with the field, for what is no count of tokens."""
    for name in ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens"):
        check_amount(getattr(usage, name), name)
    return usage


def check_amount(amount: object, name: str) -> int:
    """A whole number from 0 to `LARGEST`; raises InvalidArgument for anything else."""
    if type(amount) is not int or not 0 <= amount <= LARGEST:
        raise InvalidArgument(f"{name}: must be a whole number from 0 to {LARGEST}; found {amount!r:.60}")
    return amount


class _Rates(msgspec.Struct, frozen=True):
    """Micro-USD per token, as whole numbers of `1 / scale`."""

    input: int
    output: int
    cached: int
    reasoning: int
    scale: int


class PriceList:
    """The configured prices by model id."""

    def __init__(self, models: Sequence[Model]) -> None:
        self._rates = {model.id: _rates(model) for model in models}

    def price(self, model: str, usage: Usage) -> int:
        """What `usage` of a model costs, in micro-USD, rounded half up.

        Cached tokens beyond the input, and reasoning ones beyond the output, are taken for a slip of the reporter and
        not counted. Raises InvalidArgument for a model without configured prices, for negative numbers, and for a
        price past `LARGEST`.
        """
        rates = self._rates.get(model)
        if rates is None:
            known = ", ".join(self._rates) or "none is configured"
            raise InvalidArgument(
                f"model: found {model!r:.60}; prices are configured for: {known}", path="$.model"
            )
        check_usage(usage)
        cached = min(usage.cached_tokens, usage.input_tokens)
        reasoning = min(usage.reasoning_tokens, usage.output_tokens)
        parts = (
            (usage.input_tokens - cached) * rates.input
            + cached * rates.cached
            + (usage.output_tokens - reasoning) * rates.output
            + reasoning * rates.reasoning
        )
        return check_amount((2 * parts + rates.scale) // (2 * rates.scale), "price")

    def price_or_zero(self, model: str, usage: Usage) -> int:
        """The same, but a model without configured prices (one that only an upstream names) costs nothing."""
        if model in self._rates:
            return self.price(model, usage)
        check_usage(usage)
        return 0


def estimate(text_in: str | Sequence[Mapping[str, Any]], text_out: str) -> Usage:
    """Usage where none was reported: a token for every four characters begun, marked estimated.

    `text_in` is a text, or the messages of a request, whose texts and called arguments are counted.
    """
    read = len(text_in) if isinstance(text_in, str) else characters(text_in)
    return estimate_lengths(read, len(text_out))


def estimate_lengths(read: int, written: int) -> Usage:
    """The same from so many characters read and written."""
    return Usage(input_tokens=_tokens(read), output_tokens=_tokens(written), estimated=True)


def characters(messages: Sequence[Mapping[str, Any]]) -> int:
    """How many characters the texts and called arguments of these messages have."""
    return sum(map(_characters, messages))


def _tokens(count: int) -> int:
    return -(-count // CHARACTERS_PER_TOKEN)


def _characters(message: Mapping[str, Any]) -> int:
    """The length of a message's text and of its tool calls."""
    content = message.get("content")
    parts = content if isinstance(content, list) else [content]
    count = sum(len(part) for part in parts if isinstance(part, str))
    count += sum(
        len(part["text"]) for part in parts if isinstance(part, Mapping) and isinstance(part.get("text"), str)
    )
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, Mapping) else None
        if isinstance(function, Mapping):
            count += sum(len(value) for value in function.values() if isinstance(value, str))
    return count


def _rates(model: Model) -> _Rates:
    cached_usd, reasoning_usd = model.cached_usd_per_million, model.reasoning_usd_per_million
    rates = (
        model.input_usd_per_million,
        model.output_usd_per_million,
        model.input_usd_per_million if cached_usd is None else cached_usd,
        model.output_usd_per_million if reasoning_usd is None else reasoning_usd,
    )
    # the shortest decimal that is the setting's float is what its file says
    exact = [Decimal(repr(usd)).as_integer_ratio() for usd in rates]
    scale = math.lcm(*(denominator for _, denominator in exact))
    read, written, cached, reasoning = (
        numerator * (scale // denominator) for numerator, denominator in exact
    )
    return _Rates(input=read, output=written, cached=cached, reasoning=reasoning, scale=scale)
