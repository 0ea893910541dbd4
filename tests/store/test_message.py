"""What is kept of a message, and when a resent one is the same."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidArgument
from core.store.message import (
    chain,
    check_key,
    check_limit,
    clean,
    clean_message,
    clean_text,
    form_of,
    key_of,
    prepare,
    text_of,
)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec=None)),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec=None)), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.mark.parametrize(
    "key", ["a", "tg:7", "a:b:c", "plain", " ", "/", "键", "a\nb", "%00", "x" * 10_000, "\ufffd"]
)
def test_any_key_is_valid(key: str) -> None:
    assert check_key(key) == key


@pytest.mark.parametrize("key", ["", "\0", "a\0b", "\ud800", "a\udfffb", "é\0", None, 7, b"a"])
def test_a_key_that_no_database_keeps_is_refused(key: object) -> None:
    with pytest.raises(InvalidArgument, match="user id"):
        check_key(key, "user id")


def test_the_key_of_a_front_end_and_a_user() -> None:
    assert key_of("tg", "7") == "tg:7"
    assert key_of("a", "b:c") == "a:b:c"


@pytest.mark.parametrize(
    ("frontend", "user"), [("a:b", "c"), ("", "u"), ("f", ""), ("f\0", "u"), ("f", "\ud800")]
)
def test_keys_that_could_meet_or_are_none(frontend: str, user: str) -> None:
    with pytest.raises(InvalidArgument):
        key_of(frontend, user)


@pytest.mark.parametrize("limit", [1, 100, 1000])
def test_limits(limit: int) -> None:
    assert check_limit(limit) == limit


@pytest.mark.parametrize("limit", [0, -1, 1001, True, 5.0, "5", None])
def test_limits_that_are_none(limit: object) -> None:
    with pytest.raises(InvalidArgument, match="1 to 1000"):
        check_limit(limit)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("", ""),
        ("plain", "plain"),
        ("a\0b", "a\ufffdb"),
        ("\ud83dx", "\ufffdx"),
        ("😀é", "😀é"),
        ("\0\0", "\ufffd\ufffd"),
    ],
)
def test_cleaning_a_text(text: str, kept: str) -> None:
    assert clean_text(text) == kept


def test_cleaning_goes_deep() -> None:
    dirty = {"a\0": [1, None, True, 2.5, ("\ud800", {"b": "x\0"})]}
    assert clean(dirty) == {"a\ufffd": [1, None, True, 2.5, ["\ufffd", {"b": "x\ufffd"}]]}


@given(JSON)
def test_what_is_cleaned_can_be_stored_and_stays(value: Any) -> None:
    cleaned = clean(value)
    text = msgspec.json.encode(cleaned).decode()
    assert "\0" not in text
    assert clean(cleaned) == cleaned


@pytest.mark.parametrize("value", [object(), b"bytes", {1: "x"}, {"a": {2}}, [{"a": 1j}]])
def test_what_is_no_json_is_refused(value: object) -> None:
    with pytest.raises(InvalidArgument):
        clean(value)


def test_nesting_has_an_end() -> None:
    nested: Any = "core"
    for _ in range(100):
        nested = [nested]
    assert clean(nested) == nested
    with pytest.raises(InvalidArgument, match="100 deep"):
        clean([nested])


@pytest.mark.parametrize("message", [None, "hi", [], {}, {"role": ""}, {"role": 1}, {"content": "x"}])
def test_a_message_has_a_role(message: object) -> None:
    with pytest.raises(InvalidArgument) as refused:
        clean_message(message, "$.messages[3]")
    assert refused.value.path in ("$.messages[3]", "$.messages[3].role")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("plain", "plain"),
        (None, ""),
        (7, ""),
        ([], ""),
        ({"type": "text", "text": "one"}, "one"),
        (
            [{"type": "text", "text": "a"}, {"type": "image", "url": "b"}, {"type": "text", "text": "c"}],
            "a\nc",
        ),
        ([{"type": "input_text", "text": "a"}, {"text": "b"}, "c", None, {"type": "text", "text": 5}], ""),
    ],
)
def test_the_text_of_content(content: Any, text: str) -> None:
    assert text_of(content) == text


def test_prepared() -> None:
    message = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "1"}],
        "refusal": None,
        "name": "",
        "x": [],
    }
    prepared = prepare(message, at=5, run_id="r", partial=True)
    assert (prepared.content, prepared.extra, prepared.length) == ("null", '{"tool_calls":[{"id":"1"}]}', 0)
    assert (prepared.at, prepared.run_id, prepared.partial) == (5, "r", True)


def test_the_length_is_in_code_points_of_the_text() -> None:
    parts = [{"type": "text", "text": "😀é"}, {"type": "image_url", "image_url": {"url": "x" * 99}}]
    assert prepare({"role": "user", "content": parts}).length == 2


def call(arguments: Any, call_id: str = "c1", name: str = "f", **more: Any) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def assistant(**fields: Any) -> dict[str, Any]:
    return {"role": "assistant", **fields}


@pytest.mark.parametrize(
    ("stored", "resent"),
    [
        (assistant(content="x"), assistant(content=[{"type": "text", "text": "x"}])),
        (
            assistant(content="x"),
            assistant(content=[{"type": "text", "text": "x", "cache_control": {"type": "e"}}]),
        ),
        (assistant(content=None, tool_calls=[call("{}")]), assistant(content="", tool_calls=[call("{}")])),
        (assistant(content=None, tool_calls=[call("{}")]), assistant(tool_calls=[call("{}", index=0)])),
        (assistant(tool_calls=[call('{"a": 1, "b": 2}')]), assistant(tool_calls=[call('{"b":2,"a":1}')])),
        (
            assistant(
                content="x", refusal=None, annotations=[], audio=None, function_call=None, reasoning="hm"
            ),
            assistant(content="x", tool_calls=[], name=None),
        ),
        (assistant(content=[]), assistant(content="")),
    ],
)
def test_a_resent_message_is_the_stored_one(stored: dict[str, Any], resent: dict[str, Any]) -> None:
    assert form_of(stored) == form_of(resent)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (assistant(content="x"), {"role": "user", "content": "x"}),
        (assistant(content="x"), assistant(content="x ")),
        (
            assistant(content="ab"),
            assistant(content=[{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]),
        ),
        (assistant(tool_calls=[call("{}")]), assistant(tool_calls=[call("{}", "c2")])),
        (assistant(tool_calls=[call("{}")]), assistant(tool_calls=[call("{}", name="g")])),
        (assistant(tool_calls=[call('{"a":1}')]), assistant(tool_calls=[call('{"a":2}')])),
        (assistant(tool_calls=[call("{")]), assistant(tool_calls=[call("{}")])),
        (assistant(tool_calls=[call("{}")]), assistant(tool_calls=[call("{}"), call("{}", "c2")])),
        (
            {"role": "tool", "content": "x", "tool_call_id": "1"},
            {"role": "tool", "content": "x", "tool_call_id": "2"},
        ),
        ({"role": "user", "content": "x", "name": "a"}, {"role": "user", "content": "x"}),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "a"}}]},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "b"}}]},
        ),
        (assistant(function_call={"name": "f", "arguments": "{}"}), assistant(content="")),
    ],
)
def test_another_message_is_another(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert form_of(one) != form_of(other)


@pytest.mark.parametrize("odd", ["[" * 5000, "\\", '"\\ud800"', 7, None, ["x"], {"a": 1}])
def test_odd_arguments_have_a_form(odd: Any) -> None:
    assert form_of(assistant(tool_calls=[call(odd), "no call", {"id": None}, {"function": "f"}]))


@given(st.lists(st.text(max_size=5), min_size=1, max_size=6), st.data())
def test_a_chain_stands_for_everything_before(texts: list[str], data: st.DataObject) -> None:
    def chains(of: list[str]) -> list[bytes]:
        made: list[bytes] = []
        for text in of:
            made.append(chain(made[-1] if made else None, form_of({"role": "user", "content": text})))
        return made

    place = data.draw(st.integers(0, len(texts) - 1))
    changed = [*texts[:place], texts[place] + "!", *texts[place + 1 :]]
    before, after = chains(texts), chains(changed)
    assert [len(link) for link in before] == [16] * len(texts)
    assert before[:place] == after[:place]
    assert not set(before[place:]) & set(after[place:])
