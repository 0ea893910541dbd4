"""The keys of sessions that are made from users: whose a key is, by how it begins. Pure."""

from __future__ import annotations

_OF_USERS = "api:"


def own_keys(user: str) -> str:
    """What every key made from this user begins with, and no other user's."""
    return f"{_OF_USERS}{user.replace('%', '%25').replace('/', '%2F')}/"


def is_of_another(key: str, user: str) -> bool:
    """Whether the key is one made from somebody else: theirs from the beginning, whoever comes first."""
    return key.startswith(_OF_USERS) and not key.startswith(own_keys(user))
