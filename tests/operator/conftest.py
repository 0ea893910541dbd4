"""The house of the end-to-end tests."""

from tests.end_to_end.conftest import house, open_house

__all__ = ["house", "open_house"]
