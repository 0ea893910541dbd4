"""Houses for the tests of admission."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from core.settings import Admission
from tests.admission.house import House, OpenHouse, admission
from tests.storage.storage import Fresh


@pytest.fixture
async def open_house(fresh: Fresh) -> AsyncIterator[OpenHouse]:
    """Opens a house with given settings; all are closed after the test."""
    houses: list[House] = []

    async def open_one(settings: Admission | None = None) -> House:
        house = House(fresh(), settings or admission())
        await house.open()
        houses.append(house)
        return house

    yield open_one
    for house in houses:
        await house.aclose()
