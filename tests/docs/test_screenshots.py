"""The README's pictures are what the console shows."""

from __future__ import annotations

import re

import pytest

from tests.docs.test_readme import README
from tests.screenshots import SHOWN, TARGET, pictures


@pytest.mark.xdist_group("screenshots")
async def test_the_pictures_are_true() -> None:
    made = await pictures()
    stale = [name for name, picture in made.items() if (TARGET / f"{name}.svg").read_text("utf-8") != picture]
    assert not stale, f"run `make screenshots`: {', '.join(stale)} show what the console does no longer"


def test_every_picture_is_shown_and_made() -> None:
    shown = set(re.findall(r"screenshots/(\w+)\.svg", README))
    assert shown == set(SHOWN) == {file.stem for file in TARGET.glob("*.svg")}
