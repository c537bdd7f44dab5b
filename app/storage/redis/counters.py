"""Reads the counters of budgets that the ledger moves, many at once: for people who look at them."""

from collections.abc import Sequence

from app.storage.redis.script import ScriptRunner, load_script

_AT_ONCE = 500


class Counters:
    def __init__(self, runner: ScriptRunner) -> None:
        self._runner = runner
        self._script = load_script("look_many")

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
