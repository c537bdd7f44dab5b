"""Who may use a model, by the allow-lists of teams, organizations and keys."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from app.domain.access import lists
from app.domain.catalog import Model
from app.storage.postgres.allow_lists import AllowList, count_keys_naming, list_allow_lists
from app.storage.postgres.engine import reading

_MOST_LISTS = 2_000


@dataclass(frozen=True, slots=True)
class Audience:
    """Teams and organizations with a list that holds the model or lacks it, and how many have none and so may use all
    models; ``keys`` are those whose own list names it."""

    teams: Sequence[AllowList]
    teams_without: int
    free_teams: int
    organizations: Sequence[AllowList]
    organizations_without: int
    keys: int


class ModelAudience:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def of(self, model: Model) -> Audience:
        async with reading(self._engine) as connection:
            teams, free_teams = await list_allow_lists(connection, "team", _MOST_LISTS)
            organizations, _ = await list_allow_lists(connection, "organization", _MOST_LISTS)
            keys = await count_keys_naming(connection, [*model.names, *model.access_groups])
        with_it = [one for one in teams if lists(one.models, model)]
        among = [one for one in organizations if lists(one.models, model)]
        return Audience(
            with_it, len(teams) - len(with_it), free_teams, among, len(organizations) - len(among), keys
        )  # fmt: skip
