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


class AccessGroups:
    """``catalog`` is told after each commit."""

    def __init__(self, engine: AsyncEngine, catalog: LiveCatalog) -> None:
        self._engine = engine
        self._catalog = catalog

    async def create(
        self, name: str, model_names: Sequence[str], model_ids: Sequence[str], actor: Actor
    ) -> AccessGroupView:
        """Raises Unprocessable: a taken name, a model nobody knows."""
        if name in _TAKEN_WORDS or "*" in name or "/" in name:
            raise Unprocessable(
                f'"access_group" is "{name}", which means something else in a list of models', param="access_group"
            )
        if self._catalog.current().resolve(name) is not None:
            raise Unprocessable(f'"access_group" is taken: "{name}" is a model', param="access_group")
        async with transaction(self._engine) as connection:
            if await rows.find_access_group(connection, name, lock=True) is not None:
                raise Unprocessable(
                    f'"access_group" is taken: "{name}"; see PUT /access_group/{name}/update', param="access_group"
                )
            await self._put(connection, name, self._names(model_names, model_ids), actor, "access_group.new")
        await self._catalog.changed()
        return self.get(name)

    async def update(
        self, name: str, model_names: Sequence[str], model_ids: Sequence[str], actor: Actor
    ) -> AccessGroupView:
        """These models in place of the present ones. Raises NotFound, and Unprocessable as ``create``."""
        async with transaction(self._engine) as connection:
            await self._get(connection, name)
            await self._put(connection, name, self._names(model_names, model_ids), actor, "access_group.update")
        await self._catalog.changed()
        return self.get(name)

    async def delete(self, name: str, actor: Actor) -> int:
        """How many models were in it. A list that still names it allows nothing by that. Raises NotFound."""
        async with transaction(self._engine) as connection:
            before = await self._get(connection, name)
            await delete_group_budget(connection, name)
            await rows.delete_access_group(connection, name)
            change = Change("access_group.delete", "access_group", name, _snapshot(before), None)
            await record_change(connection, actor, change)
        await self._catalog.changed()
        return len(before.model_names)

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
                raise Unprocessable(
                    f'"model_names" holds "{name}", which is no model here; {hint}', param="model_names"
                )
        for deployment_id in model_ids:
            if deployment_id not in by_id:
                raise Unprocessable(
                    f'"model_ids" holds "{deployment_id}", which is no model here; see GET /model/info',
                    param="model_ids",
                )
        names = [*model_names, *(by_id[deployment_id] for deployment_id in model_ids)]
        if not names:
            raise Unprocessable('"model_names" is missing: name at least one model', param="model_names")
        return list(dict.fromkeys(names))

    async def _put(
        self, connection: AsyncConnection, name: str, model_names: Sequence[str], actor: Actor, action: str
    ) -> None:
        before = await rows.find_access_group(connection, name)
        await rows.put_access_group(connection, name, model_names, actor.name)
        after = await rows.find_access_group(connection, name)
        assert after is not None
        earlier = None if before is None else _snapshot(before)
        await record_change(connection, actor, Change(action, "access_group", name, earlier, _snapshot(after)))

    async def _get(self, connection: AsyncConnection, name: str) -> StoredAccessGroup:
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
