"""Passwords of people: what may be one, and how it is hashed and compared without stopping the process."""

import asyncio
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from app.base.errors import Unprocessable

SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 200
# RFC 9106's second choice: 64 MiB for three passes. Two at once, so that a crowd at the door costs time and not memory.
PASSES, MEMORY_KIB, LANES = 3, 64 * 1024, 4
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

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)
        self._of_nobody: str | None = None
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def hash(self, password: str) -> str:
        async with self._places:
            return await asyncio.to_thread(self._hasher.hash, _normal(password))

    async def matches(self, stored: str | None, password: str) -> bool:
        """False for None, after the same time: how long it takes does not tell who has a password."""
        async with self._places:
            return await asyncio.to_thread(self._matches, stored, password) and stored is not None

    def _matches(self, stored: str | None, password: str) -> bool:
        if self._of_nobody is None:
            self._of_nobody = self._hasher.hash("of nobody at all")
        try:
            return self._hasher.verify(stored or self._of_nobody, _normal(password[:LONGEST_PASSWORD]))
        except (VerifyMismatchError, InvalidHashError):
            return False


def _normal(password: str) -> str:
    """One text for all ways to type it: an accent may come as one character or as two."""
    return unicodedata.normalize("NFKC", password)
