"""Use cases of access groups: names that stand for several models in the allow-lists of keys, teams and all levels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.admin.actor import Actor, Change, record_change
from app.admin.live_catalog import LiveCatalog
from app.base.errors import NotFound, Unprocessable
from app.domain.access import EVERY_MODEL, NO_MODELS, TEAM_MODELS
from app.storage.postgres import deployments as rows
from app.storage.postgres.access_group_budgets import delete_group_budget
from app.storage.postgres.deployments import StoredAccessGroup
from app.storage.postgres.engine import transaction

_TAKEN_WORDS = {*EVERY_MODEL, NO_MODELS, TEAM_MODELS}


@dataclass(frozen=True, slots=True)
class AccessGroupView:
    """``in_file``: some model is in it by its own entry, where alone that can be changed."""

    access_group: str
    model_names: tuple[str, ...]
    deployment_count: int
    in_file: bool


@dataclass(frozen=True, slots=True)
class GroupWords:
    """What the fields of a group are called where it is set, for the errors."""

    name: str = "access_group"
    models: str = "model_names"


class AccessGroups:
    """``catalog`` is told after each commit."""

    def __init__(self, engine: AsyncEngine, catalog: LiveCatalog, words: GroupWords = GroupWords()) -> None:
        self._engine = engine
        self._catalog = catalog
        self._words = words

    async def create(
        self, name: str, model_names: Sequence[str], model_ids: Sequence[str], actor: Actor
    ) -> AccessGroupView:
        """Raises Unprocessable: a taken name, a model nobody knows."""
        names = self._required(self._names(model_names, model_ids))
        async with transaction(self._engine) as connection:
            await self.make(connection, name, names, None, actor)
        await self._catalog.changed()
        return self.get(name)

    async def make(
        self, connection: AsyncConnection, name: str, model_names: Sequence[str], description: str | None, actor: Actor
    ) -> None:
        """``create`` in the transaction of the caller, who tells the catalogue; it may be empty."""
        field = self._words.name
        if name in _TAKEN_WORDS or "*" in name or "/" in name:
            raise Unprocessable(f'"{field}" is "{name}", which means something else in a list of models', param=field)
        if self._catalog.current().resolve(name) is not None:
            raise Unprocessable(f'"{field}" is taken: "{name}" is a model', param=field)
        if await rows.find_access_group(connection, name, lock=True) is not None:
            raise Unprocessable(f'"{field}" is taken: "{name}"; change that group, or choose another name', param=field)
        await self._put(connection, None, name, (self._names(model_names, ()), description), actor)

    async def update(
        self, name: str, model_names: Sequence[str], model_ids: Sequence[str], actor: Actor
    ) -> AccessGroupView:
        """These models in place of the present ones. Raises NotFound, and Unprocessable as ``create``."""
        async with transaction(self._engine) as connection:
            before = await self.hold(connection, name)
            names = self._required(self._names(model_names, model_ids))
            await self.change(connection, before, names, before.description, actor)
        await self._catalog.changed()
        return self.get(name)

    async def change(
        self,
        connection: AsyncConnection,
        before: StoredAccessGroup,
        model_names: Sequence[str],
        description: str | None,
        actor: Actor,
    ) -> None:
        """``update`` in the transaction of the caller, who tells the catalogue."""
        await self._put(connection, before, before.access_group, (self._names(model_names, ()), description), actor)

    async def delete(self, name: str, actor: Actor) -> int:
        """How many models were in it. A list that still names it allows nothing by that. Raises NotFound."""
        async with transaction(self._engine) as connection:
            before = await self.hold(connection, name)
            await self.remove(connection, before, actor)
        await self._catalog.changed()
        return len(before.model_names)

    async def remove(self, connection: AsyncConnection, before: StoredAccessGroup, actor: Actor) -> None:
        """``delete`` in the transaction of the caller, who tells the catalogue."""
        name = before.access_group
        await delete_group_budget(connection, name)
        await rows.delete_access_group(connection, name)
        change = Change("access_group.delete", "access_group", name, _snapshot(before), None)
        await record_change(connection, actor, change)

    def get(self, name: str) -> AccessGroupView:
        """Raises NotFound."""
        found = next((view for view in self.all() if view.access_group == name), None)
        if found is None:
            raise _unknown(name)
        return found

    def all(self) -> list[AccessGroupView]:
        """Those made here and those of the models' own entries, by name."""
        made = {group.access_group for group in self._catalog.groups}
        models: dict[str, list[tuple[str, int]]] = {name: [] for name in made}
        for model in self._catalog.current().models:
            for name in model.access_groups:
                models.setdefault(name, []).append((model.name, len(model.deployments)))
        return [
            AccessGroupView(name, tuple(one for one, _ in found), sum(count for _, count in found), name not in made)
            for name, found in sorted(models.items())
        ]

    def _names(self, model_names: Sequence[str], model_ids: Sequence[str]) -> list[str]:
        models = self._catalog.current().models
        by_id = {str(deployment.deployment_id): model.name for model in models for deployment in model.deployments}
        known = {model.name for model in models}
        for name in model_names:
            if name not in known:
                near = self._catalog.current().nearest(name, sorted(known))
                hint = f"the nearest is {near[0]!r}" if near else "see GET /model/info"
                field = self._words.models
                raise Unprocessable(f'"{field}" holds "{name}", which is no model here; {hint}', param=field)
        for deployment_id in model_ids:
            if deployment_id not in by_id:
                raise Unprocessable(
                    f'"model_ids" holds "{deployment_id}", which is no model here; see GET /model/info',
                    param="model_ids",
                )
        names = [*model_names, *(by_id[deployment_id] for deployment_id in model_ids)]
        return list(dict.fromkeys(names))

    def _required(self, names: list[str]) -> list[str]:
        if not names:
            raise Unprocessable('"model_names" is missing: name at least one model', param="model_names")
        return names

    async def _put(
        self,
        connection: AsyncConnection,
        before: StoredAccessGroup | None,
        name: str,
        content: tuple[Sequence[str], str | None],
        actor: Actor,
    ) -> None:
        """``content``: its models, and what is said of it."""
        await rows.put_access_group(connection, name, content, actor.name)
        after = await rows.find_access_group(connection, name)
        assert after is not None
        action = "access_group.new" if before is None else "access_group.update"
        earlier = None if before is None else _snapshot(before)
        await record_change(connection, actor, Change(action, "access_group", name, earlier, _snapshot(after)))

    async def hold(self, connection: AsyncConnection, name: str) -> StoredAccessGroup:
        """The group, which nobody else changes meanwhile. Raises NotFound, and Unprocessable for one of the file."""
        found = await rows.find_access_group(connection, name, lock=True)
        if found is not None:
            return found
        if any(view.access_group == name for view in self.all()):
            raise Unprocessable(
                f'the access group "{name}" is made by the entries of its models (model_info.access_groups); '
                "change it there",
                param="access_group",
            )
        raise _unknown(name)


def _unknown(name: str) -> NotFound:
    return NotFound(f'no such access group: "{name}"; see GET /access_group/list', param="access_group")


def _snapshot(group: StoredAccessGroup) -> dict[str, Any]:
    return {name: getattr(group, name) for name in StoredAccessGroup.__slots__}
