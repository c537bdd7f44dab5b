"""Reads the counters of budgets and rate limits that the ledger moves, many at once: for people who look at them."""

from collections.abc import Sequence
from typing import NamedTuple

from app.storage.redis.script import ScriptRunner, load_script

_AT_ONCE = 500
_LEASES = b"{kh}:leases"


class RateUse(NamedTuple):
    """What the window that runs now has counted, and how many calls run at this moment."""

    requests: int
    tokens: int
    running: int


class Counters:
    def __init__(self, runner: ScriptRunner) -> None:
        self._runner = runner
        self._script = load_script("look_many")
        self._rates = load_script("look_rates")

    async def look(self, names: Sequence[str]) -> list[tuple[int, int] | None]:
        """Spent and held on each of these counters (``counter_name``), None where there is no such counter.

        Raises StorageUnavailable.
        """
        found: list[tuple[int, int] | None] = []
        for first in range(0, len(names), _AT_ONCE):
            keys = [b"{kh}:budget:" + name.encode() for name in names[first : first + _AT_ONCE]]
            for spent, held in await self._runner.run(self._script, keys, []):
                found.append(None if spent is None else (int(spent), int(held)))
        return found

    async def rates(self, scopes: Sequence[tuple[str, int]]) -> list[RateUse]:
        """Of each scope, as claims name it, with the seconds of its window. Raises StorageUnavailable."""
        found: list[RateUse] = []
        for first in range(0, len(scopes), _AT_ONCE):
            asked: list[bytes | str | int] = []
            for scope, window_s in scopes[first : first + _AT_ONCE]:
                asked += (scope, window_s)
            found += [RateUse(*one) for one in await self._runner.run(self._rates, [_LEASES], asked)]
        return found
