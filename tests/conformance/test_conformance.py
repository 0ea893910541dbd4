"""Every case of the project, and of the folders in MAITRED_CONFORMANCE, on every storage."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from _pytest.mark import ParameterSet

from tests.conformance.expected_failures import EXPECTED_FAILURES
from tests.conformance.play import Case, play, read_cases
from tests.storage.storage import Storage

OWN = Path(__file__).parent / "cases"
STORAGES = ("sqlite", "postgres")
"""The first one's tests are named ``part::name``, another's with its own name."""

WITHOUT_STORAGE = frozenset({"router"})
"""Parts that store nothing: their cases are played once."""


def _folders() -> list[Path]:
    named = os.environ.get("MAITRED_CONFORMANCE", "")
    return [*(Path(folder) for folder in named.split(":") if folder), OWN]


def _files() -> list[Path]:
    return [path for folder in _folders() for path in sorted(folder.glob("*.json"))]


def _cases() -> list[Case]:
    cases = []
    for path in _files():
        try:
            cases += read_cases(path)
        except (ValueError, msgspec.ValidationError):
            # told by test_every_file_is_of_the_form, so that one bad file hides no other
            continue
    return cases


def _parameters() -> list[ParameterSet]:
    parameters = []
    for number, storage in enumerate(STORAGES):
        namesakes: Counter[str] = Counter()
        for case in _cases():
            if number and case.part in WITHOUT_STORAGE:
                continue
            reason = EXPECTED_FAILURES.get(case.id)
            marks = [pytest.mark.xfail(strict=True, reason=reason)] if reason else []
            name = case.id if number == 0 else f"{case.id} on {storage}"
            namesakes[case.id] += 1
            if namesakes[case.id] > 1:
                # pytest would rename both, and the first would be called what nobody looks for
                name += f" ({namesakes[case.id]})"
            parameters.append(pytest.param(case, storage, id=name, marks=marks))
    return parameters


@pytest.mark.parametrize(("case", "storage"), _parameters(), indirect=["storage"])
async def test_case(case: Case, storage: Storage) -> None:
    await play(case, storage.folder, storage.url)


@pytest.mark.parametrize("path", _files(), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_file_is_of_the_form(path: Path) -> None:
    assert read_cases(path), f"{path} holds no case"


@pytest.mark.parametrize("folder", _folders(), ids=str)
def test_every_folder_that_is_named_holds_cases(folder: Path) -> None:
    assert list(folder.glob("*.json")), f"{folder} is no folder with *.json in it; see MAITRED_CONFORMANCE"
