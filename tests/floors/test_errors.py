"""One tree of errors, with codes that travel."""

from __future__ import annotations

import pytest

from core import errors
from core.errors import MaitredError, error_from_code


def tree(root: type[MaitredError]) -> list[type[MaitredError]]:
    return [root, *(each for child in root.__subclasses__() for each in tree(child))]


def test_every_code_belongs_to_one_class() -> None:
    codes = [cls.code for cls in tree(MaitredError)]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize(
    "cls", [errors.RunNotFound, errors.SessionBusy, errors.InvalidArgument, errors.Banned]
)
def test_a_code_becomes_the_same_class_again(cls: type[MaitredError]) -> None:
    error = error_from_code(cls.code, "what", retry_after_ms=5)
    assert (type(error), error.message, error.retry_after_ms) == (cls, "what", 5)


def test_an_unknown_code_is_kept() -> None:
    error = error_from_code("from_the_future", "what")
    assert (type(error), error.code) == (MaitredError, "from_the_future")
    assert MaitredError.code == "error"


def test_every_class_says_what_it_means() -> None:
    assert [cls.__name__ for cls in tree(MaitredError) if not cls.__doc__] == []
    assert errors.__doc__ is not None
    untold = [cls.__name__ for cls in tree(MaitredError) if cls.__name__ not in errors.__doc__]
    starts = {
        "SettingsError",
        "FolderUnusable",
        "FolderInUse",
        "DatabaseTooNew",
        "DatabaseUnusable",
        "TerminalUnfit",
        "PortInUse",
    }
    assert set(untold) <= starts
