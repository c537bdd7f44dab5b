"""Why calls with a key are refused, whatever they ask for: said on the key's page, so that nobody has to try."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from app.admin.key_reading import KeyView
from app.base.clock import now
from app.domain.access import Principal
from app.gateway.own_usage import OwnUsage
from app.storage.principals import Principals
from app.storage.spending import SpendingReader


@dataclass(frozen=True, slots=True)
class Obstacle:
    """In words; ``until`` is when it passes by itself. No amounts: who reads of a key may not read of its team."""

    words: str
    until: datetime | None = None


class KeyObstacles:
    def __init__(self, engine: AsyncEngine, principals: Principals) -> None:
        self._principals = principals
        self._own_usage = OwnUsage(SpendingReader(engine))

    async def find(self, view: KeyView) -> Sequence[Obstacle]:
        """Of a key that works by itself too. Raises StorageUnavailable."""
        key, at = view.key, now()
        if key.deleted_at is not None:
            return [Obstacle("the key is deleted")]
        found = []
        if key.blocked:
            found.append(Obstacle("the key itself is blocked"))
        if key.expires_at is not None and key.expires_at <= at:
            found.append(Obstacle("the key has expired"))
        principal = await self._principals.find_key(key.key_id)
        if principal is None:
            return found
        found += [Obstacle(f"the {title} is blocked") for title in _blocked_levels(principal)]
        for standing in await self._own_usage.budgets(principal, at):
            if not standing.claim.pace and standing.spent_nanousd >= standing.claim.limit_nanousd:
                words = f"the budget of {standing.whose.removeprefix('the ')} is used up"
                found.append(Obstacle(words, standing.claim.end))
        return found


def _blocked_levels(principal: Principal) -> list[str]:
    titles = [level.title for level in principal.levels if level.blocked]
    if principal.team is not None and principal.team.blocked:
        titles.append(f'team "{principal.team.alias or principal.team.team_id}"')
    return list(dict.fromkeys(titles))
