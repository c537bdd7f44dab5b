"""How many unknown keys came from where in the minute that runs, so that nobody tries them without end."""

from collections import OrderedDict
from datetime import datetime

from app.base.network_place import place_of

WRONG_KEYS_PER_MINUTE = 60
_PLACES_REMEMBERED = 10_000


class WrongKeys:
    """Of each address; of IPv6, of each network."""

    def __init__(self, most_per_minute: int = WRONG_KEYS_PER_MINUTE) -> None:
        self._most_per_minute = most_per_minute
        self._counts: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def too_many(self, address: str, at: datetime) -> bool:
        minute, count = self._counts.get(place_of(address), (0, 0))
        return count >= self._most_per_minute and minute == int(at.timestamp()) // 60

    def note(self, address: str, at: datetime) -> None:
        this_minute, place = int(at.timestamp()) // 60, place_of(address)
        minute, count = self._counts.pop(place, (this_minute, 0))
        self._counts[place] = (this_minute, count + 1 if minute == this_minute else 1)
        if len(self._counts) > _PLACES_REMEMBERED:
            self._counts.popitem(last=False)
