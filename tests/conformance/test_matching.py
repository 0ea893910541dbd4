"""What matches what: values, markers, and many answers together."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.matching import Kept, Mismatch, match, match_all, resolve

BIG = 2**53 + 1


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        (5, 5.0),
        (5.0, 5),
        (0.3, 0.3),
        (BIG, BIG),
        (10**30, 10**30),
        (True, True),
        (None, None),
        ("a", "a"),
        ({}, {"more": 1}),
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}, "d": 3}),
        ({"a": None}, {"a": None}),
        ([], []),
        ([{"a": 1}, {}], [{"a": 1, "b": 2}, {"c": 3}]),
        ({"a": {"$any": True}}, {"a": None}),
        ({"a": {"$absent": True}}, {}),
        ({"a": {"$absent": True}}, {"a": None}),
        ({"a": {"$len": 2}}, {"a": [1, 2]}),
        ({"a": {"$len": 0}}, {"a": []}),
    ],
)
def test_what_matches(expected: Any, found: Any) -> None:
    kept: Kept = {}
    match(expected, found, kept)
    assert kept == {}


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        (1, True),
        (True, 1),
        (0, False),
        (False, None),
        (None, False),
        (None, 0),
        (5, "5"),
        (BIG, float(BIG - 1)),
        (BIG, BIG - 1),
        (float(BIG - 1), BIG),
        (0.3, 0.30000000000000004),
        ("a", "A"),
        ({"a": None}, {}),
        ({"a": 1}, {"b": 1}),
        ({}, []),
        ([], {}),
        ([], None),
        ([1], [1, 2]),
        ([1, 2], [1]),
        ([1, 2], [2, 1]),
        ([1], "1"),
        ({"a": {"$any": True}}, {}),
        ({"a": {"$save": "n"}}, {}),
        ({"a": {"$absent": True}}, {"a": 0}),
        ({"a": {"$absent": True}}, {"a": ""}),
        ({"a": {"$len": 1}}, {"a": []}),
        ({"a": {"$len": 1}}, {"a": 1}),
        ({"a": {"$len": 0}}, {}),
        ({"a": {"$unheard": 1}}, {"a": {"$unheard": 1}}),
    ],
)
def test_what_does_not(expected: Any, found: Any) -> None:
    with pytest.raises(Mismatch):
        match(expected, found, {})


def test_what_is_saved_can_be_compared_with_and_saved_again() -> None:
    kept: Kept = {}
    match({"id": {"$save": "n"}}, {"id": "one"}, kept)
    match({"id": {"$ref": "n"}}, {"id": "one"}, kept)
    with pytest.raises(Mismatch):
        match({"id": {"$notRef": "n"}}, {"id": "one"}, kept)
    match({"id": {"$notRef": "n"}}, {"id": "two"}, kept)
    with pytest.raises(Mismatch):
        match({"id": {"$ref": "n"}}, {"id": "two"}, kept)
    match({"id": {"$save": "n"}}, {"id": None}, kept)
    assert kept == {"n": None}
    match({"id": {"$ref": "n"}}, {"id": None}, kept)


def test_a_reference_compares_deeply_and_exactly() -> None:
    kept: Kept = {"n": {"list": [1, {"a": 2.0}]}}
    match({"$ref": "n"}, {"list": [1.0, {"a": 2}]}, kept)
    others: list[dict[str, Any]] = [
        {"list": [True, {"a": 2}]},
        {"list": [1, {"a": 2, "b": 3}]},
        {"list": [1]},
        {"list": []},
    ]
    for other in others:
        with pytest.raises(Mismatch):
            match({"$ref": "n"}, other, kept)


@pytest.mark.parametrize("marker", ["$ref", "$notRef"])
@pytest.mark.parametrize("found", [{}, {"id": "x"}])
def test_a_reference_to_nothing_is_a_mistake(marker: str, found: dict[str, Any]) -> None:
    with pytest.raises(Mismatch):
        match({"id": {marker: "never"}}, found, {})


def test_a_not_ref_needs_the_key() -> None:
    with pytest.raises(Mismatch):
        match({"id": {"$notRef": "n"}}, {}, {"n": 1})


def test_a_mismatch_says_where() -> None:
    with pytest.raises(Mismatch, match=r"\$\.a\[1\]\.b: expected 1, found 2"):
        match({"a": [{}, {"b": 1}]}, {"a": [{}, {"b": 2}]}, {})


def test_references_are_resolved_at_any_depth() -> None:
    kept: Kept = {"n": [1]}
    assert resolve({"a": {"$ref": "n"}, "b": [{"c": {"$ref": "n"}}], "d": None}, kept) == {
        "a": [1],
        "b": [{"c": [1]}],
        "d": None,
    }


@pytest.mark.parametrize("value", [{"a": {"$ref": "never"}}, {"a": {"$any": True}}, {"a": {"$save": "n"}}])
def test_only_known_references_may_be_sent(value: dict[str, Any]) -> None:
    with pytest.raises(Mismatch):
        resolve(value, {})


ANSWERS: list[dict[str, Any]] = [
    {"status": "active", "ok": True, "n": 1},
    {"status": "queued", "ok": True},
    {"status": "queued"},
]


@pytest.mark.parametrize(
    ("expected", "failures"),
    [
        ({}, []),
        ({"count": {"status": {"active": 1, "queued": 2, "none": 0}}}, []),
        ({"count": {"status": {"queued": 2}, "ok": {"true": 2}, "n": {"1": 1}}}, []),
        ({"all": {"status": {"$any": True}}}, []),
        ({"raises": {"at_capacity": 2}}, ["at_capacity", "at_capacity"]),
        ({"raises": {"at_capacity": 0}}, []),
    ],
)
def test_many_answers_match(expected: dict[str, Any], failures: list[str]) -> None:
    kept: Kept = {}
    match_all(expected, ANSWERS, failures, kept)
    assert kept == {}


@pytest.mark.parametrize(
    ("expected", "failures"),
    [
        ({"count": {"status": {"active": 2}}}, []),
        ({"count": {"status": {"queued": 1}}}, []),
        ({"count": {"status": {"active": True}}}, []),
        ({"all": {"ok": True}}, []),
        ({}, ["at_capacity"]),
        ({"raises": {"at_capacity": 1}}, []),
        ({"raises": {"at_capacity": 1}}, ["at_capacity", "at_capacity"]),
        ({"raises": {"at_capacity": 1}}, ["at_capacity", "banned"]),
        ({"status": "active"}, []),
    ],
)
def test_many_answers_do_not(expected: dict[str, Any], failures: list[str]) -> None:
    with pytest.raises(Mismatch):
        match_all(expected, ANSWERS, failures, {})
