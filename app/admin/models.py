"""Use cases of models that are made at run time: each is one host of a model, as an entry of model_list is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec import UNSET, UnsetType
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.admin.actor import Actor, Change, record_change
from app.admin.live_catalog import LiveCatalog
from app.admin.provider_secrets import ADDRESSES, check_address, check_secrets_stay, is_shown
from app.base.clock import now
from app.base.errors import NotFound, Unprocessable
from app.base.ids import new_id
from app.domain.catalog import ModelEntry
from app.providers.egress import Egress
from app.storage.postgres import deployments as rows
from app.storage.postgres.credentials import StoredCredential, find_credential, sealed_values
from app.storage.postgres.deployments import StoredDeployment
from app.storage.postgres.engine import transaction

CREDENTIAL_NAME = "litellm_credential_name"
_OURS = ("id", "db_model", "created_at", "created_by", "updated_at", "updated_by", "blocked")
"""Of ``model_info``: what we tell of a model, and clients send back with what they change."""


@dataclass(frozen=True, slots=True)
class ModelTerms:
    """``params`` and ``info`` are those to set; null takes one away, as does a name in ``removed``."""

    model_name: str | UnsetType = UNSET
    params: Mapping[str, Any] = field(default_factory=dict)
    info: Mapping[str, Any] = field(default_factory=dict)
    removed: Sequence[str] = ()
    blocked: bool | UnsetType = UNSET


class Models:
    """``catalog`` is told after each commit."""

    def __init__(self, engine: AsyncEngine, catalog: LiveCatalog, egress: Egress) -> None:
        self.catalog = catalog
        self._engine = engine
        self._egress = egress

    async def create(self, terms: ModelTerms, actor: Actor) -> StoredDeployment:
        """Raises Unprocessable: what an entry of the file could not say, an address that may not be called."""
        given = terms.info.get("id")
        deployment_id = new_id("dep") if given is None else _checked_id(given)
        if self.catalog.stands_in_the_file(deployment_id):
            raise _taken(deployment_id)
        async with transaction(self._engine) as connection:
            values = await self._values(connection, deployment_id, None, terms)
            values |= {"deployment_id": deployment_id, "created_by": actor.name, "updated_by": actor.name}
            if not await rows.insert_deployment(connection, values):
                raise _taken(deployment_id)
            made = await self._record(connection, actor, "model.new", deployment_id, None)
        await self.catalog.changed()
        return made

    async def update(self, deployment_id: str, terms: ModelTerms, actor: Actor) -> StoredDeployment:
        """Raises NotFound, and Unprocessable as ``create``, or for a model of the file."""
        return await self._change(deployment_id, terms, actor, "model.update")

    async def block(self, deployment_id: str, actor: Actor, *, blocked: bool) -> StoredDeployment:
        """Raises NotFound, Unprocessable."""
        action = "model.block" if blocked else "model.unblock"
        return await self._change(deployment_id, ModelTerms(blocked=blocked), actor, action)

    async def delete(self, deployment_id: str, actor: Actor) -> StoredDeployment:
        """Raises NotFound, Unprocessable for a model of the file."""
        async with transaction(self._engine) as connection:
            before = await self._get(connection, deployment_id)
            await rows.delete_deployment(connection, deployment_id)
            await record_change(
                connection, actor, Change("model.delete", "model", deployment_id, _snapshot(before), None)
            )
        await self.catalog.changed()
        return before

    async def _change(self, deployment_id: str, terms: ModelTerms, actor: Actor, action: str) -> StoredDeployment:
        async with transaction(self._engine) as connection:
            before = await self._get(connection, deployment_id)
            values = await self._values(connection, deployment_id, before, terms)
            values |= {"updated_at": now(), "updated_by": actor.name}
            await rows.update_deployment(connection, deployment_id, values)
            made = await self._record(connection, actor, action, deployment_id, before)
        await self.catalog.changed()
        return made

    async def _values(
        self, connection: AsyncConnection, deployment_id: str, before: StoredDeployment | None, terms: ModelTerms
    ) -> dict[str, Any]:
        """The columns, when the whole of it can be served. Raises Unprocessable."""
        old_params = {} if before is None else dict(before.litellm_params)
        old_secrets = {} if before is None else self.catalog.secrets(before)
        old_name = None if before is None else before.credential_name
        written = {CREDENTIAL_NAME: old_name, **old_params, **old_secrets, **terms.params}
        params = {name: value for name, value in written.items() if value is not None and name not in terms.removed}
        info = {**({} if before is None else before.model_info), **terms.info}
        info = {name: value for name, value in info.items() if value is not None and name not in _OURS}
        name = terms.model_name if isinstance(terms.model_name, str) else "" if before is None else before.model_name
        check_secrets_stay({**old_params, **old_secrets}, params, terms.params, "litellm_params")
        credential = await self._credential(connection, params.pop(CREDENTIAL_NAME, None), params)
        shared = {} if credential is None else self.catalog.values_of(credential)
        entry = self.catalog.read(deployment_id, name, {**shared, **params}, info)
        await self._check(entry)
        secrets = {name: value for name, value in params.items() if not is_shown(name)}
        blocked = {} if isinstance(terms.blocked, UnsetType) else {"blocked": terms.blocked}
        return {
            "model_name": entry.model_name,
            "litellm_params": {name: value for name, value in params.items() if is_shown(name)},
            "model_info": info,
            "credential_id": None if credential is None else credential.credential_id,
            **sealed_values(self.catalog.cipher.seal(deployment_id, secrets)),
            **blocked,
        }

    async def _credential(
        self, connection: AsyncConnection, name: object, params: Mapping[str, Any]
    ) -> StoredCredential | None:
        if name is None:
            return None
        found = await find_credential(connection, name) if isinstance(name, str) else None
        if found is None:
            raise Unprocessable(
                f'"{CREDENTIAL_NAME}" is not the name of a credential: "{name}"; see GET /credentials',
                param=f"litellm_params.{CREDENTIAL_NAME}",
            )
        for address in ADDRESSES:
            if address in params:
                raise Unprocessable(
                    f'"{address}" may not stand beside "{CREDENTIAL_NAME}": a credential is used at its own address '
                    "alone; put the address into the credential",
                    param=f"litellm_params.{address}",
                )
        return found

    async def _check(self, entry: ModelEntry) -> None:
        why = self.catalog.why_left_out(entry)
        if why is not None:
            raise Unprocessable(f'model "{entry.model_name}" cannot be served: {why}', param="litellm_params")
        if entry.api_base is not None:
            await check_address(self._egress, entry.api_base, "litellm_params.api_base")

    async def _get(self, connection: AsyncConnection, deployment_id: str) -> StoredDeployment:
        found = await rows.find_deployment(connection, deployment_id, lock=True)
        if found is not None:
            return found
        if self.catalog.stands_in_the_file(deployment_id):
            raise Unprocessable(
                f'the model "{deployment_id}" stands in the configuration file or the environment; change it there',
                param="id",
            )
        raise NotFound(f'no such model: "{deployment_id}"; see GET /model/info', param="id")

    async def _record(
        self,
        connection: AsyncConnection,
        actor: Actor,
        action: str,
        deployment_id: str,
        before: StoredDeployment | None,
    ) -> StoredDeployment:
        after = await rows.find_deployment(connection, deployment_id)
        assert after is not None
        earlier = None if before is None else _snapshot(before)
        await record_change(connection, actor, Change(action, "model", deployment_id, earlier, _snapshot(after)))
        return after


def _checked_id(given: object) -> str:
    if not isinstance(given, str) or not given or len(given) > 256 or not given.isprintable() or "/" in given:
        raise Unprocessable('"model_info.id" must be a text of 1 to 256 characters without "/"', param="model_info.id")
    return given


def _taken(deployment_id: str) -> Unprocessable:
    return Unprocessable(
        f'"model_info.id" is taken: "{deployment_id}"; choose another, or leave it out', param="model_info.id"
    )


def _snapshot(deployment: StoredDeployment) -> dict[str, Any]:
    fields = {name: getattr(deployment, name) for name in StoredDeployment.__slots__ if name != "sealed"}
    return {**fields, "has_secrets": deployment.sealed is not None}
