"""behaviours/pins.md, decisions 3, 4 (what is fingerprinted) and 9."""

from __future__ import annotations

import hashlib
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.store.fingerprint import derive_key, fingerprint, session_id, turn_fingerprint

WHITE_SPACE = (
    [chr(code) for code in range(0x09, 0x0E)]
    + [" ", "\x85", "\xa0", "\u1680"]
    + [chr(code) for code in range(0x2000, 0x200B)]
    + ["\u2028", "\u2029", "\u202f", "\u205f", "\u3000"]
)


def plainly(content: str, tools: list[str]) -> str:
    """The rule as the page says it, one code point at a time."""
    words: list[str] = []
    word = ""
    for letter in content:
        if letter in WHITE_SPACE:
            words, word = words + [word] * bool(word), ""
        else:
            word += letter
    text = " ".join(words + [word] * bool(word))[:500]
    if tools:
        text += "|tools:" + ",".join(sorted(tools))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@pytest.mark.parametrize(
    ("content", "tools", "expected"),
    [
        ("", [], "e3b0c44298fc1c149afbf4c8996fb924"),
        ("a b", [], "c8687a08aa5d6ed2044328fa6a697ab8"),
        ("hi", [], "8f434346648f6b96df89dda901c5176b"),
        ("hi", ["read", "bash"], "af3d8fc279e4d575fc9409f47038e581"),
        ("x" * 500, [], "c38c2bf3055c516a98ac5d97f30e7c36"),
        ("x" * 501, [], "c38c2bf3055c516a98ac5d97f30e7c36"),
        ("x" * 50_000, [], "c38c2bf3055c516a98ac5d97f30e7c36"),
        ("  Fix   the\tbug\nnow ", [], "e6fe6b72d7be458fa63cd91e6fb0604f"),
        ("Fix the bug now", [], "e6fe6b72d7be458fa63cd91e6fb0604f"),
    ],
)
def test_known_values(content: str, tools: list[str], expected: str) -> None:
    assert fingerprint(content, tools) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("fix the bug now", "Fix the bug now"),
        ("pas", "pass"),
        ("ab", "a b"),
        ("x" * 499 + "a", "x" * 499 + "b"),
        ("é" * 499 + "a", "é" * 499 + "b"),
        ("a\x1cb", "a b"),
        ("a\u200bb", "a b"),
    ],
)
def test_different_requests(one: str, other: str) -> None:
    assert fingerprint(one) != fingerprint(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x" * 500 + "a", "x" * 500 + "b"),
        ("é" * 500 + "a", "é" * 500 + "b"),
        ("a" + " " * 5000 + "b" + " " * 9000, "a b"),
        (" " * 10_000 + "y" * 501, "y" * 500),
    ],
)
def test_equal_requests(one: str, other: str) -> None:
    assert fingerprint(one) == fingerprint(other)


def test_tools() -> None:
    tools = ["read", "bash"]
    assert fingerprint("hi", tools) == fingerprint("hi", ["bash", "read"])
    assert tools == ["read", "bash"]
    different = [[], ["read", "bash"], ["read", "Bash"], ["read", "bash", "bash"], ["read"]]
    assert len({fingerprint("hi", tools) for tools in different}) == len(different)


def test_white_space_is_the_unicode_property_and_nothing_else() -> None:
    blank = fingerprint("a b")
    found = [chr(code) for code in range(sys.maxunicode + 1) if fingerprint(f"a{chr(code)}b") == blank]
    assert found == sorted(WHITE_SPACE)


def test_a_lone_surrogate_is_no_accident() -> None:
    assert fingerprint("\ud800") != fingerprint("")
    assert len(derive_key("\ud800", "\udfff")) == 64


letters = st.sampled_from([*WHITE_SPACE, "\x1c", "\x1f", "a", "B", "s", "é", "\u200b", "😀"])
contents = st.text(letters, max_size=1500)


@given(contents, st.lists(st.text(max_size=5), max_size=4))
def test_against_the_plain_rule(content: str, tools: list[str]) -> None:
    assert fingerprint(content, tools) == plainly(content, tools)


@given(st.lists(st.text("abc", min_size=1), max_size=30), st.data())
def test_white_space_never_tells(words: list[str], data: st.DataObject) -> None:
    blanks = st.text(st.sampled_from(WHITE_SPACE), min_size=1, max_size=300)
    spread = "".join(data.draw(blanks) + word for word in words) + data.draw(blanks)
    assert fingerprint(spread) == fingerprint(" ".join(words))


@given(
    contents,
    st.lists(st.text(max_size=5)).flatmap(lambda tools: st.tuples(st.just(tools), st.permutations(tools))),
)
def test_the_order_of_tools_never_tells(content: str, tools: tuple[list[str], list[str]]) -> None:
    assert fingerprint(content, tools[0]) == fingerprint(content, tools[1])


# ------------------------------------------------------------------------------------------- a chat request

Messages = list[dict[str, Any]]


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def said(text: Any, *tools: str) -> dict[str, Any]:
    calls = [{"type": "function", "function": {"name": name, "arguments": "{}"}} for name in tools]
    return {"role": "assistant", "content": text} | ({"tool_calls": calls} if calls else {})


def result(text: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": "1", "content": text}


SYSTEM: Messages = [{"role": "system", "content": "be brief"}, {"role": "developer", "content": "and kind"}]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param([user("a")], [user(" a\n")], id="white space"),
        pytest.param(
            [user("a")], [*SYSTEM, user("a")], id="what stands for the whole conversation does not count"
        ),
        pytest.param(
            [user("a")], [*SYSTEM, user("b"), said("c"), user("a")], id="what lies before the last answer"
        ),
        pytest.param([user("a")], [user([{"type": "text", "text": "a"}])], id="one text part is the text"),
        pytest.param([user("b"), said(None)], [user("b")], id="an assistant without words"),
        pytest.param(
            [user("a"), said(None, "x", "y"), result("1")],
            [user("a"), said("", "y", "x"), result("1")],
            id="blank words beside calls are no words",
        ),
    ],
)
def test_equal_turns(one: Messages, other: Messages) -> None:
    assert turn_fingerprint(one) == turn_fingerprint(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param([user("a")], [user("b")], id="text"),
        pytest.param([user("a")], [user("a"), said(None, "x"), result("1")], id="a tool loop moves on"),
        pytest.param(
            [user("a"), said(None, "x"), result("1")],
            [user("a"), said(None, "x"), result("2")],
            id="tool results",
        ),
        pytest.param(
            [user("a"), said(None, "x"), result("1")],
            [user("a"), said(None, "y"), result("1")],
            id="tools called",
        ),
        pytest.param(
            [user("a"), said("w", "x"), result("1")],
            [user("a"), said("w", "y"), result("1")],
            id="calls beside words",
        ),
        pytest.param(
            [user("x" * 600), said(None, "x"), result("1")],
            [user("x" * 600), said(None, "x"), result("2")],
            id="a long message hides none behind it",
        ),
        pytest.param([user("a"), user("b")], [user("b"), user("a")], id="order"),
        pytest.param([user("ab")], [user("a"), user("b")], id="borders"),
        pytest.param(
            [
                user(
                    [
                        {"type": "text", "text": "a"},
                        {"type": "image_url", "image_url": {"url": "data:" + "x" * 900}},
                    ]
                )
            ],
            [
                user(
                    [
                        {"type": "text", "text": "a"},
                        {"type": "image_url", "image_url": {"url": "data:" + "x" * 901}},
                    ]
                )
            ],
            id="pictures count whole",
        ),
        pytest.param(
            [user("a"), {"role": "assistant", "refusal": "no"}, user("b")],
            [user("a"), user("b")],
            id="a refusal",
        ),
    ],
)
def test_different_turns(one: Messages, other: Messages) -> None:
    assert turn_fingerprint(one) != turn_fingerprint(other)


def test_the_older_form_of_a_call_counts() -> None:
    old = {"role": "assistant", "content": None, "function_call": {"name": "x", "arguments": ""}}
    assert turn_fingerprint([user("a"), old]) == turn_fingerprint([user("a"), said(None, "x")])


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{}],
        [{"role": 7, "content": 7}],
        [user(None)],
        [user({"a": 1})],
        [user([None, 1, "x", {"text": 3}, []])],
        [{"role": "assistant", "content": [], "tool_calls": "x", "function_call": []}],
        [{"role": "assistant", "tool_calls": [None, {}, {"function": {"name": 5}}, {"function": "f"}]}],
    ],
)
def test_odd_messages_are_fingerprinted_too(messages: Messages) -> None:
    assert len(turn_fingerprint(messages)) == 32


@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=6), st.sampled_from(["a", "b"]))
def test_only_the_last_request_of_a_conversation_counts(earlier: list[str], request: str) -> None:
    conversation = [message for text in earlier for message in (user(text), said(f"answer to {text}"))]
    assert turn_fingerprint([*SYSTEM, *conversation, user(request)]) == turn_fingerprint([user(request)])


# ------------------------------------------------------------------------------------------------------ keys


def test_derived_keys() -> None:
    known = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    assert derive_key("hello") == known
    keys = [derive_key("hello", scope) for scope in (None, "", "a", "b", "ah")] + [derive_key("ello", "ah")]
    assert len(set(keys)) == len(keys)
    assert all(len(key) == 64 for key in keys)


@pytest.mark.parametrize("header", [None, "", " \t"])
def test_without_a_header_the_key_is_derived(header: str | None) -> None:
    assert session_id(header, "hello", "u") == derive_key("hello", "u")


def test_a_header_wins_and_is_trimmed() -> None:
    assert session_id(" abc\t", "hello") == "abc"
