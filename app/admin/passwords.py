"""Passwords of people: what may be one, and how it is hashed and compared without stopping the process."""

import asyncio
import unicodedata
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from app.base.errors import Unprocessable

SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 200
# RFC 9106's second choice: 64 MiB for three passes. Two at once, so that a crowd at the door costs time and not memory.
_HASHER = PasswordHasher(time_cost=3, memory_cost=64 * 1024, parallelism=4)
_AT_ONCE = 2


def check_new_password(password: str, email: str | None) -> None:
    """Raises Unprocessable for what is too easily guessed, or too long to be meant."""
    length = len(password)
    if not SHORTEST_PASSWORD <= length <= LONGEST_PASSWORD:
        raise Unprocessable(
            f"the password has {length} characters; give {SHORTEST_PASSWORD} to {LONGEST_PASSWORD}: "
            "three or four words are easy to keep",
            param="password",
        )
    if len(set(password)) < 5 or (email is not None and password.lower() == email.lower()):
        raise Unprocessable("this password is too easily guessed; choose another", param="password")


class Passwords:
    """Hashes in threads; each takes about 50 ms of a core."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def hash(self, password: str) -> str:
        async with self._places:
            return await asyncio.to_thread(_HASHER.hash, _normal(password))

    async def matches(self, stored: str | None, password: str) -> bool:
        """False for None, after the same time: how long it takes does not tell who has a password."""
        async with self._places:
            return await asyncio.to_thread(_matches, stored, password) and stored is not None


def _matches(stored: str | None, password: str) -> bool:
    try:
        return _HASHER.verify(_hash_of_nobody() if stored is None else stored, _normal(password[:LONGEST_PASSWORD]))
    except (VerifyMismatchError, InvalidHashError):
        return False


@cache
def _hash_of_nobody() -> str:
    return _HASHER.hash("of nobody at all")


def _normal(password: str) -> str:
    """One text for all ways to type it: an accent may come as one character or as two."""
    return unicodedata.normalize("NFKC", password)
