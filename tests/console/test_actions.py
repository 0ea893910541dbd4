"""The action table and the key map made from it."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.actions import ACTIONS, BY_ID, Impossible, Target, offered, tier
from console.keymap import key_table_markdown, keymap
from core.errors import SettingsError
from core.protocol import AbortRun, ClearDirty, CloseSession, EvictSession, MarkDirty

_SESSION = Target(label="s", session_key="s", generation=3, run_id="r", project="p", dirty=True)


def test_ids_are_unique_and_keys_are_unique_where_they_are_offered() -> None:
    assert len(BY_ID) == len(ACTIONS)
    for scope in ("panes", "session"):
        keys = [action.key for action in offered(scope, acting=True, fresh=True)]
        assert len(keys) == len(set(keys))


def test_lowercase_never_acts_and_what_acts_makes_a_command() -> None:
    for action in ACTIONS:
        if action.acts:
            assert action.key.isupper()
            assert action.makes is not None
        else:
            assert action.makes is None


def test_what_an_action_says_of_its_danger_is_what_its_command_asks_for() -> None:
    """A ban's lifting and a seat's end are other commands of their keys, and told in the help."""
    target = dataclasses.replace(_SESSION, user_id="u", model="m", pinned="m", strikes=1, choice="n")
    wanted = {"reversible": "at once", "loses work": "asks", "menu": "at once"}
    for action in ACTIONS:
        if action.makes is None:
            continue
        queued = dataclasses.replace(target, seat="queued") if action.id == "admit" else target
        made = action.makes(queued, "id", "why")
        assert not isinstance(made, Impossible), action.id
        assert tier(made) == wanted[action.danger], action.id


def test_nothing_that_acts_is_offered_in_read_only_mode() -> None:
    for scope in ("panes", "session"):
        assert not any(action.acts for action in offered(scope, acting=False))
        assert any(action.acts for action in offered(scope, acting=True))


def test_commands_carry_the_target_as_it_was_seen() -> None:
    made = {
        name: action.makes(_SESSION, "id", "why")
        for name in ("abort", "evict", "close", "dirty", "undo")
        if (action := BY_ID[name]).makes is not None
    }
    assert made == {
        "abort": AbortRun(command_id="id", reason="why", run_id="r"),
        "evict": EvictSession(command_id="id", reason="why", session_key="s", generation=3),
        "close": CloseSession(command_id="id", reason="why", session_key="s", generation=3),
        "dirty": MarkDirty(command_id="id", reason="why", session_key="s", generation=3),
        "undo": ClearDirty(command_id="id", reason="why", session_key="s", generation=3),
    }


@pytest.mark.parametrize(
    ("what", "command"),
    [
        ("project", MarkDirty(command_id="id", reason="why", project="p")),
        ("all", MarkDirty(command_id="id", reason="why", all=True)),
    ],
)
def test_dirt_may_be_spread(what: str, command: MarkDirty) -> None:
    make = BY_ID["dirty"].makes
    assert make is not None
    target = Target(label="s", project="p", what=what)  # type: ignore[arg-type]
    assert make(target, "id", "why") == command


@pytest.mark.parametrize(
    ("name", "target", "why"),
    [
        ("abort", Target(label="x"), "no run here"),
        ("abort", Target(label="x", run_id="r", run_ended=True), "has ended"),
        ("evict", Target(label="x", session_key="s"), "no live session"),
        ("close", Target(label="x", session_key="s"), "no live session"),
        ("dirty", Target(label="x"), "no live session"),
        ("dirty", Target(label="x", what="project"), "no project"),
        ("undo", Target(label="x", session_key="s", generation=1), "not marked"),
        ("undo", Target(label="x"), "no live session"),
    ],
)
def test_what_cannot_be_aimed_at_is_told(name: str, target: Target, why: str) -> None:
    make = BY_ID[name].makes
    assert make is not None
    made = make(target, "id", "")
    assert isinstance(made, Impossible)
    assert why in made.why


def test_the_sandbox_is_offered_in_a_fresh_house_only() -> None:
    keys = keymap()
    assert keys.find("panes", "p", "p", acting=True, fresh=True) is BY_ID["sandbox"]
    assert keys.find("panes", "p", "p", acting=True) is None
    assert keys.find("session", "p", "p", acting=True, fresh=True) is None
    with pytest.raises(SettingsError, match="is the key of sandbox already"):
        keymap({"theme": "p"})


def test_keys_may_be_changed() -> None:
    keys = keymap({"abort": "K", "filter": "ctrl+G"})
    assert keys.find("panes", "K", "K", acting=True) is BY_ID["abort"]
    assert keys.find("panes", "X", "X", acting=True) is None
    assert keys.find("panes", "ctrl+g", None, acting=True) is BY_ID["filter"]


def test_keys_are_found_by_what_they_type() -> None:
    keys = keymap()
    assert keys.find("panes", "slash", "/", acting=True) is BY_ID["filter"]
    assert keys.find("panes", "exclamation_mark", "!", acting=True) is BY_ID["arm"]
    assert keys.find("panes", "enter", "\r", acting=True) is BY_ID["open"]
    assert keys.find("panes", "z", "z", acting=True) is None
    assert keys.find("panes", "X", "X", acting=False) is None
    assert keys.find("session", "1", "1", acting=True) is BY_ID["messages"]
    assert keys.find("panes", "1", "1", acting=True) is BY_ID["queues"]


@pytest.mark.parametrize(
    ("chosen", "why"),
    [
        ({"abrot": "X"}, "keys.abrot: there is no such action; there are: abort"),
        ({"abort": "x"}, "lowercase"),
        ({"abort": "E"}, "is the key of"),
        ({"abort": "up"}, "cannot be chosen"),
        ({"abort": ""}, "cannot be chosen"),
        ({"sort": "1"}, "is the key of"),
    ],
)
def test_wrong_keys_are_refused(chosen: dict[str, str], why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        keymap(chosen)


@given(st.dictionaries(st.sampled_from(sorted(BY_ID)), st.text(max_size=3)))
def test_any_settings_give_unique_keys_or_an_error(chosen: dict[str, str]) -> None:
    try:
        keys = keymap(chosen)
    except SettingsError:
        return
    for scope in ("panes", "session"):
        bound = [keys.key_of(action) for action in offered(scope, acting=True, fresh=True)]
        assert len(bound) == len(set(bound))


def test_the_table_of_keys_names_every_action() -> None:
    table = key_table_markdown()
    for action in ACTIONS:
        assert f"| `{action.key}` | {action.id} |" in table
