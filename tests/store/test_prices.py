"""What usage costs: behaviours/pins.md, decision 8."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidArgument
from core.settings import Model
from core.store.prices import LARGEST, PriceList, Usage, estimate


def model(
    input_usd: float = 0.0,
    output_usd: float = 0.0,
    cached_usd: float | None = None,
    reasoning_usd: float | None = None,
) -> Model:
    return Model(
        id="m",
        input_usd_per_million=input_usd,
        output_usd_per_million=output_usd,
        cached_usd_per_million=cached_usd,
        reasoning_usd_per_million=reasoning_usd,
    )


def price(model: Model, read: int, written: int, cached: int = 0, reasoning: int = 0) -> int:
    usage = Usage(input_tokens=read, output_tokens=written, cached_tokens=cached, reasoning_tokens=reasoning)
    return PriceList([model]).price("m", usage)


@pytest.mark.parametrize(
    ("usage", "priced", "micros"),
    [
        ((1000, 500), model(4.0, 8.0), 8000),
        ((0, 0), model(4.0, 8.0), 0),
        ((10**12, 10**12), model(), 0),
        ((1, 0), model(0.5), 1),
        ((1, 0), model(0.4999), 0),
        ((3, 0), model(0.5), 2),
        ((1, 1), model(0.25, 0.25), 1),
        ((1, 1), model(0.1, 0.2), 0),
        ((10, 0), model(0.15), 2),
        ((30, 0), model(0.15), 5),
        ((30, 0), model(2.05), 62),  # in floating point 61.49999999999999
        ((100, 0, 40), model(2.0, cached_usd=0.5), 140),
        ((100, 0, 40), model(2.0, cached_usd=0.0), 120),
        ((100, 0, 40), model(2.0), 200),
        ((100, 0, 400), model(2.0, cached_usd=0.5), 50),
        ((0, 100, 0, 40), model(0.0, 2.0), 200),
        ((0, 100, 0, 40), model(0.0, 2.0, reasoning_usd=0.5), 140),
        ((0, 100, 0, 40), model(0.0, 2.0, reasoning_usd=0.0), 120),
        ((0, 100, 0, 400), model(0.0, 2.0, reasoning_usd=0.5), 50),
        ((100, 100, 50, 50), model(4.0, 3.0, 2.0, 1.0), 500),
        ((2**53 + 1, 0), model(1.0), 2**53 + 1),
        ((LARGEST, 0), model(1.0), LARGEST),
    ],
)
def test_prices(usage: tuple[int, ...], priced: Model, micros: int) -> None:
    assert price(priced, *usage) == micros


decimals = st.decimals(min_value=0, max_value=10_000, places=4)
tokens = st.integers(0, 10**12)


@given(st.tuples(tokens, tokens), st.tuples(tokens, tokens), *[st.tuples(decimals, st.none() | decimals)] * 2)
def test_prices_are_exact_decimals(
    read: tuple[int, int],
    written: tuple[int, int],
    read_usd: tuple[Decimal, Decimal | None],
    written_usd: tuple[Decimal, Decimal | None],
) -> None:
    exact = Decimal(0)
    with localcontext(prec=100):
        for (whole, part), (usd, part_usd) in ((read, read_usd), (written, written_usd)):
            dear = min(part, whole)
            exact += (whole - dear) * usd + dear * (usd if part_usd is None else part_usd)
        expected = int(exact.to_integral_value(ROUND_HALF_UP))
    (input_usd, cached_usd), (output_usd, reasoning_usd) = (
        (float(usd), None if part_usd is None else float(part_usd))
        for usd, part_usd in (read_usd, written_usd)
    )
    priced = model(input_usd, output_usd, cached_usd, reasoning_usd)
    assert price(priced, read[0], written[0], read[1], written[1]) == expected


@pytest.mark.parametrize(
    "usage",
    [
        {"input_tokens": -1},
        {"output_tokens": -1},
        {"cached_tokens": -1},
        {"reasoning_tokens": -1},
        {"input_tokens": 1.5},
        {"input_tokens": True},
        {"input_tokens": None},
        {"input_tokens": 2**63},
    ],
)
def test_what_is_no_count_is_refused(usage: dict[str, Any]) -> None:
    prices = PriceList([Model(id="m")])
    wrong = Usage(**{"input_tokens": 1, "output_tokens": 1} | usage)
    for function in (prices.price, prices.price_or_zero):
        with pytest.raises(InvalidArgument, match=next(iter(usage))):
            function("m", wrong)
    with pytest.raises(InvalidArgument):
        prices.price_or_zero("unheard-of", wrong)


def test_a_price_past_what_is_kept_is_refused() -> None:
    with pytest.raises(InvalidArgument):
        price(model(1.0, 1.0), LARGEST, 1)


def test_a_model_without_prices() -> None:
    prices = PriceList([Model(id="m", input_usd_per_million=3)])
    usage = Usage(input_tokens=10, output_tokens=10)
    with pytest.raises(InvalidArgument, match="configured for: m"):
        prices.price("other", usage)
    assert prices.price_or_zero("other", usage) == 0
    assert prices.price_or_zero("m", usage) == 30


@pytest.mark.parametrize(
    ("text_in", "text_out", "expected"),
    [
        ("", "", (0, 0)),
        ("abcd", "abcde", (1, 2)),
        (
            [
                {"role": "user", "content": "abcd"},
                {"role": "user", "content": [{"type": "text", "text": "ab"}]},
            ],
            "",
            (2, 0),
        ),
        (
            [
                {
                    "role": "assistant",
                    "tool_calls": [{"function": {"name": "run", "arguments": "{}"}}, None, {"function": 1}],
                }
            ],
            "x",
            (2, 1),
        ),
        (
            [
                {},
                {"content": None, "tool_calls": 5},
                {"content": [None, "abc", {"text": 5}, {"type": "image_url"}]},
            ],
            "",
            (1, 0),
        ),
    ],
)
def test_estimates(text_in: Any, text_out: str, expected: tuple[int, int]) -> None:
    usage = estimate(text_in, text_out)
    assert (usage.input_tokens, usage.output_tokens) == expected
    assert usage.estimated
