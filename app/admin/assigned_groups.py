"""Use cases of access groups together with the teams and keys that name them, as LiteLLM's ``/v1/access_group`` is.

A group is assigned to a team or key by standing in its list of models, so there is one truth about who may use what.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import UNSET, UnsetType
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.admin.access_groups import AccessGroups, GroupWords
from app.admin.actor import Actor
from app.admin.key_reading import find_referenced, shown
from app.admin.key_terms import KeyTerms
from app.admin.keys import Keys
from app.admin.live_catalog import LiveCatalog
from app.admin.teams import Teams, TeamTerms
from app.base.errors import Unprocessable
from app.domain.access import NO_MODELS
from app.domain.roles import EVERYTHING
from app.storage.postgres.deployments import StoredAccessGroup, list_access_groups
from app.storage.postgres.engine import transaction
from app.storage.postgres.group_holders import Holder, list_key_holders, list_team_holders
from app.storage.postgres.teams import find_team
from app.storage.principals import Principals

_WORDS = GroupWords("access_group_name", "access_model_names")


@dataclass(frozen=True, slots=True)
class GroupTerms:
    """UNSET leaves it as it is; ``team_ids`` and ``keys`` are all to which the group is to be assigned."""

    description: str | UnsetType | None = UNSET
    model_names: tuple[str, ...] | UnsetType = UNSET
    team_ids: tuple[str, ...] | UnsetType = UNSET
    keys: tuple[str, ...] | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class AssignedGroup:
    group: StoredAccessGroup
    teams: tuple[Holder, ...]
    keys: tuple[Holder, ...]


class AssignedGroups:
    """``catalog`` and ``principals`` are told after each commit."""

    def __init__(self, engine: AsyncEngine, principals: Principals, catalog: LiveCatalog) -> None:
        self._engine = engine
        self._principals = principals
        self._catalog = catalog
        self._groups = AccessGroups(engine, catalog, _WORDS)

    async def create(self, name: str, terms: GroupTerms, actor: Actor) -> AssignedGroup:
        """All of it, or nothing. Raises Unprocessable: a taken name, an unknown model, team or key, a key whose team
        may not use a model of the group."""
        models = () if terms.model_names is UNSET else terms.model_names
        description = None if terms.description is UNSET else terms.description
        async with transaction(self._engine) as connection:
            await self._groups.make(connection, name, models, description, actor)
            touched = await self._assign(connection, name, models, terms, actor)
            made = (await _list(connection, name))[0]
        await self._tell(touched)
        return made

    async def update(self, name: str, terms: GroupTerms, actor: Actor) -> AssignedGroup:
        """Raises NotFound, and Unprocessable as ``create``."""
        async with transaction(self._engine) as connection:
            before = await self._groups.hold(connection, name)
            models = tuple(before.model_names) if terms.model_names is UNSET else terms.model_names
            description = before.description if terms.description is UNSET else terms.description
            await self._groups.change(connection, before, models, description, actor)
            touched = await self._assign(connection, name, models, terms, actor)
            changed = (await _list(connection, name))[0]
        await self._tell(touched)
        return changed

    async def delete(self, name: str, actor: Actor) -> None:
        """It is taken off the lists of all teams and keys, too. Raises NotFound."""
        async with transaction(self._engine) as connection:
            before = await self._groups.hold(connection, name)
            nobody = GroupTerms(team_ids=(), keys=())
            touched = await self._assign(connection, name, before.model_names, nobody, actor)
            await self._groups.remove(connection, before, actor)
        await self._tell(touched)

    async def get(self, name: str) -> AssignedGroup:
        """Raises NotFound."""
        async with transaction(self._engine) as connection:
            await self._groups.hold(connection, name)
            return (await _list(connection, name))[0]

    async def all(self) -> list[AssignedGroup]:
        """The newest first; not those that the entries of models make by themselves."""
        async with transaction(self._engine) as connection:
            found = await _list(connection)
        return sorted(found, key=lambda one: one.group.created_at, reverse=True)

    async def _assign(
        self, connection: AsyncConnection, name: str, models: Sequence[str], terms: GroupTerms, actor: Actor
    ) -> list[str]:
        """Put it on the lists of those named, and take it off all others'; who was changed, for the announcement."""
        catalog = self._catalog.current().with_group(name, models)
        touched: list[str] = []
        if terms.team_ids is not UNSET:
            teams = Teams(self._engine, self._principals, lambda: catalog)
            holders = {one.holder_id: one.models for one in await list_team_holders(connection, EVERYTHING, [name])}
            wanted = {team_id: await _models_of_team(connection, team_id) for team_id in terms.team_ids}
            for team_id, listed in _changes(name, holders, wanted):
                await teams.change(connection, team_id, TeamTerms({"models": listed}), actor)
                touched.append(f"team:{team_id}")
        if terms.keys is not UNSET:
            keys = Keys(self._engine, self._principals, self._principals.pepper, lambda: catalog)
            holders = {one.holder_id: one.models for one in await list_key_holders(connection, EVERYTHING, [name])}
            wanted = dict([await self._models_of_key(connection, reference) for reference in terms.keys])
            for key_id, listed in _changes(name, holders, wanted):
                await keys.change(connection, key_id, KeyTerms(models=tuple(listed)), actor)
                touched.append(key_id)
        return touched

    async def _models_of_key(self, connection: AsyncConnection, reference: str) -> tuple[str, list[str]]:
        found = await find_referenced(connection, EVERYTHING, self._principals.pepper, reference)
        if found is None or found.deleted_at is not None:
            raise Unprocessable(
                f'"assigned_key_ids" holds "{shown(reference)}", which is no key; see GET /key/list',
                param="assigned_key_ids",
            )
        return found.key_id, found.models

    async def _tell(self, touched: Sequence[str]) -> None:
        await self._catalog.changed()
        for name in touched:
            await self._principals.announce(name)


async def _models_of_team(connection: AsyncConnection, team_id: str) -> list[str]:
    team = await find_team(connection, EVERYTHING, team_id)
    if team is None:
        raise Unprocessable(
            f'"assigned_team_ids" holds "{team_id}", which is no team; see GET /team/list', param="assigned_team_ids"
        )
    return team.models


def _changes(name: str, holders: dict[str, list[str]], wanted: dict[str, list[str]]) -> list[tuple[str, list[str]]]:
    """Whose list becomes another. One that held nothing else allows nothing then, rather than everything."""
    added = [(one, [*models, name]) for one, models in wanted.items() if one not in holders]
    taken = [
        (one, [entry for entry in models if entry != name] or [NO_MODELS])
        for one, models in holders.items()
        if one not in wanted
    ]
    return sorted([*added, *taken])


async def _list(connection: AsyncConnection, name: str | None = None) -> list[AssignedGroup]:
    groups = [group for group in await list_access_groups(connection) if name in (None, group.access_group)]
    names = [group.access_group for group in groups]
    teams = await list_team_holders(connection, EVERYTHING, names)
    keys = await list_key_holders(connection, EVERYTHING, names)
    return [AssignedGroup(group, _naming(group, teams), _naming(group, keys)) for group in groups]


def _naming(group: StoredAccessGroup, holders: Sequence[Holder]) -> tuple[Holder, ...]:
    return tuple(holder for holder in holders if group.access_group in holder.models)
