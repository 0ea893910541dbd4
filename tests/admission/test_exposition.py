"""The text that servers write for Prometheus, and whatever else arrives in its place."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.admission.exposition import MOST_LINES, Sample, Unreadable, samples

NAMES = {"a", "a:b_total", "m_bucket"}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a 1", Sample("a", {}, 1.0)),
        ("a 1 1395066363000", Sample("a", {}, 1.0, 1_395_066_363_000)),
        ("a 1 -5", Sample("a", {}, 1.0, -5)),
        ("  a\t 2.5e-3 \r", Sample("a", {}, 0.0025)),
        ("a:b_total{} .5", Sample("a:b_total", {}, 0.5)),
        ('a {x="1", y="b c",} 3.', Sample("a", {"x": "1", "y": "b c"}, 3.0)),
        ('a{x="q\\"} 9 \\\\\\n}"} 7', Sample("a", {"x": 'q"} 9 \\\n}'}, 7.0)),
        ('m_bucket{le="+Inf"} +Inf', Sample("m_bucket", {"le": "+Inf"}, float("inf"))),
    ],
)
def test_a_sample(line: str, expected: Sample) -> None:
    assert samples(f"# TYPE a counter\n\n{line}\nother 5\n", NAMES) == [expected]


def test_comments_alone_are_no_samples_but_readable() -> None:
    assert samples("# HELP a nothing yet\n", NAMES) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n \n",
        "<html>",
        "Service Unavailable",
        "a",
        "a 1 2 3",
        "a 1_000",
        "a ١",
        "a 0x1",
        "a{x=1} 2",
        'a{x="1} 2',
        'a{x="1" y="2"} 2',
        "a 1\nb{",
        "5a 1",
        '{"a", x="1"} 2',
        "a 1 99999999999999999999",
        "a " + "1" * 1000,
        "a" + " " * 500_000 + "x",
        "a{" + "} " * 200_000,
        "a 1\n" * (MOST_LINES + 1),
    ],
    ids=lambda text: repr(text[:20]),
)
def test_everything_else_is_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        samples(text, NAMES)


@given(st.text(alphabet=st.sampled_from('a{}="\\, 1.e+-#\n\t\0é'), max_size=60) | st.text(max_size=200))
def test_no_text_does_harm(text: str) -> None:
    with contextlib.suppress(Unreadable):
        assert all(each.name in NAMES for each in samples(text, NAMES))


def written(sample: Sample) -> str:
    escaped = {
        name: value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
        for name, value in sample.labels.items()
    }
    labels = ",".join(f'{name}="{value}"' for name, value in escaped.items())
    return f"{sample.name}{{{labels}}} {sample.value!r} {'' if sample.at is None else sample.at}"


@given(
    st.lists(
        st.builds(
            Sample,
            st.sampled_from(sorted(NAMES)),
            st.dictionaries(
                st.from_regex(r"[a-z_][a-z0-9_]{0,5}", fullmatch=True),
                # what a carriage return or the like does to a line is no business of the format
                st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]) | st.just("\n")),
                max_size=3,
            ),
            st.floats(allow_nan=False, allow_infinity=False),
            st.none() | st.integers(-(10**18) + 1, 10**18 - 1),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_what_was_written_is_read(wanted: list[Any]) -> None:
    assert samples("\n".join(map(written, wanted)), NAMES) == wanted
