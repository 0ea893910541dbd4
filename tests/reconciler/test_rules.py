"""What contradicts what, case by case."""

from __future__ import annotations

import pytest

from core.reconciler.rules import (
    Agent,
    Chair,
    Held,
    Request,
    Running,
    Slot,
    contradictions,
)

NOBODY: frozenset[str] = frozenset()
LED = frozenset({"r"})
OWN = Running("k", "r", own=True)
ELSEWHERE = Running("k", "r", own=False)
IN_SLOT = Slot("k", "r", "running")

FITS: dict[str, Held] = {
    "nothing at all": Held(led=NOBODY),
    "a turn under way": Held(
        led=LED,
        slots=[IN_SLOT],
        running=[OWN],
        recorded=[OWN],
        requests=[Request("k", "r", 1, "m", running=True)],
    ),
    "a turn before its claim": Held(led=LED),
    "a turn whose end is being written": Held(led=LED, recorded=[OWN]),
    "a run of an agent elsewhere, which takes no slot": Held(led=NOBODY, running=[ELSEWHERE], recorded=[OWN]),
}

DOES_NOT: dict[str, tuple[Held, str, str, bool]] = {
    "the run ended and nobody leads the turn": (
        Held(led=NOBODY, slots=[Slot("k", "r", "ended")]),
        "slot_without_run",
        "r",
        True,
    ),
    "the run ended and its turn still unwinds": (
        Held(led=LED, slots=[Slot("k", "r", "ended")]),
        "slot_without_run",
        "r",
        False,
    ),
    "somebody's own slot, of whose run nothing is known": (
        Held(led=NOBODY, slots=[Slot("k", "r", "unknown")]),
        "slot_without_run",
        "r",
        False,
    ),
    "a run whose turn is gone": (Held(led=NOBODY, running=[OWN]), "run_without_slot", "r", True),
    "a run whose turn has lost its slot": (Held(led=LED, running=[OWN]), "run_without_slot", "r", False),
    "a run in another one's slot": (
        Held(
            led=frozenset({"r", "s"}),
            slots=[Slot("k", "s", "running")],
            running=[OWN, Running("k", "s", own=True)],
        ),
        "run_without_slot",
        "r",
        False,
    ),
    "recorded as running, and nowhere else": (
        Held(led=NOBODY, recorded=[OWN]),
        "run_without_slot",
        "r",
        True,
    ),
    "a live session that nobody has": (
        Held(led=NOBODY, agents=[Agent("k", 7)]),
        "agent_without_session",
        "k#7",
        True,
    ),
    "a request that nobody reads": (
        Held(led=NOBODY, requests=[Request("k", "r", 3, "m", running=False)]),
        "upstream_without_run",
        "r#3",
        True,
    ),
    "a request whose turn still unwinds": (
        Held(led=LED, requests=[Request("k", "r", 3, "m", running=False)]),
        "upstream_without_run",
        "r#3",
        False,
    ),
    "a seat past its grace": (Held(led=NOBODY, chairs=[Chair("u", "m")]), "seat_without_instance", "u", True),
}


@pytest.mark.parametrize("held", FITS.values(), ids=FITS)
def test_what_fits(held: Held) -> None:
    assert list(contradictions(held)) == []


@pytest.mark.parametrize(("held", "kind", "key", "proven"), DOES_NOT.values(), ids=DOES_NOT)
def test_what_does_not(held: Held, kind: str, key: str, proven: bool) -> None:
    (suspect,) = contradictions(held)
    assert (suspect.kind, suspect.key, suspect.proven) == (kind, key, proven)
    assert suspect.evidence
    assert (suspect.session_key or suspect.user_id) == ("u" if kind == "seat_without_instance" else "k")
