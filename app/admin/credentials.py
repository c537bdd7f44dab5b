"""Use cases of credentials: secrets of providers under a name, which models refer to and nobody reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.admin.actor import Actor, Change, record_change
from app.admin.live_catalog import LiveCatalog
from app.admin.provider_secrets import ADDRESSES, HIDDEN, check_address, check_secrets_stay, is_shown
from app.base.clock import now
from app.base.errors import GatewayError, NotFound, Unprocessable
from app.base.ids import new_id
from app.providers.egress import Egress
from app.providers.host_table import HOSTS
from app.storage.postgres import credentials as rows
from app.storage.postgres.credentials import StoredCredential, sealed_values
from app.storage.postgres.deployments import StoredDeployment, list_deployments, models_of_credential
from app.storage.postgres.engine import transaction

_NAMES = frozenset({"api_key", "organization", *ADDRESSES, *(name for host in HOSTS.values() for name in host.options)})
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class CredentialTerms:
    """``values`` to set, null taking one away as a name in ``removed`` does; ``info`` None leaves it as it is."""

    values: Mapping[str, Any] = field(default_factory=dict)
    info: Mapping[str, Any] | None = None
    removed: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class CredentialView:
    """``values`` with stars for what is secret."""

    stored: StoredCredential
    values: Mapping[str, str]


class Credentials:
    """``catalog`` is told after each commit."""

    def __init__(self, engine: AsyncEngine, catalog: LiveCatalog, egress: Egress) -> None:
        self._engine = engine
        self._catalog = catalog
        self._egress = egress

    async def create(self, name: str, terms: CredentialTerms, actor: Actor) -> CredentialView:
        """Raises Unprocessable: a taken name, a value nobody knows, an address that may not be called."""
        credential_id = new_id("cred")
        values = await self._columns(credential_id, None, terms)
        values |= {"credential_id": credential_id, "name": name, "created_by": actor.name, "updated_by": actor.name}
        async with transaction(self._engine) as connection:
            if not await rows.insert_credential(connection, values):
                raise Unprocessable(
                    f'"credential_name" is taken: "{name}"; change it with PATCH /credentials/{name}',
                    param="credential_name",
                )
            view = await self._record(connection, actor, "credential.new", name, None)
        await self._catalog.changed()
        return view

    async def update(self, name: str, terms: CredentialTerms, actor: Actor) -> CredentialView:
        """Raises NotFound, and Unprocessable as ``create``, or when a model that uses it could not be served then."""
        async with transaction(self._engine) as connection:
            before = await _get(connection, name)
            values = await self._columns(before.credential_id, before, terms)
            values |= {"updated_at": now(), "updated_by": actor.name}
            await rows.update_credential(connection, before.credential_id, values)
            view = await self._record(connection, actor, "credential.update", name, self._view(before))
            await self._check_models(connection, view.stored)
        await self._catalog.changed()
        return view

    async def delete(self, name: str, actor: Actor) -> None:
        """Raises NotFound, Unprocessable while models use it."""
        async with transaction(self._engine) as connection:
            before = await _get(connection, name)
            users = await models_of_credential(connection, before.credential_id, _MOST_NAMED)
            if users:
                named = ", ".join(f'"{user}"' for user in users)
                raise Unprocessable(
                    f'the credential "{name}" is in use by the models {named}: give them another first',
                    param="credential_name",
                )
            await rows.delete_credential(connection, before.credential_id)
            snapshot = _snapshot(self._view(before))
            await record_change(connection, actor, Change("credential.delete", "credential", name, snapshot, None))
        await self._catalog.changed()

    async def get(self, name: str) -> CredentialView:
        """Raises NotFound."""
        async with transaction(self._engine) as connection:
            return self._view(await _get(connection, name))

    async def of_model(self, deployment_id: str) -> CredentialView:
        """That of a model made at run time. Raises NotFound."""
        found = next((one for one in self._catalog.deployments if one.deployment_id == deployment_id), None)
        if found is None or found.credential_name is None:
            raise NotFound(
                f'the model "{deployment_id}" refers to no credential; see GET /model/info', param="model_id"
            )
        return await self.get(found.credential_name)

    async def list(self) -> list[CredentialView]:
        async with transaction(self._engine) as connection:
            return [self._view(stored) for stored in await rows.list_credentials(connection)]

    async def _columns(
        self, credential_id: str, before: StoredCredential | None, terms: CredentialTerms
    ) -> dict[str, Any]:
        old = {} if before is None else self._catalog.values_of(before)
        kept = {name: value for name, value in old.items() if name not in terms.removed}
        values = {name: value for name, value in {**kept, **terms.values}.items() if value is not None}
        for name, value in values.items():
            if name not in _NAMES:
                raise Unprocessable(
                    f'"credential_values" holds "{name}", which no provider knows; known: {", ".join(sorted(_NAMES))}',
                    param=f"credential_values.{name}",
                )
            if not isinstance(value, str) or not value:
                raise Unprocessable(f'"{name}" must be a text', param=f"credential_values.{name}")
        for name in ADDRESSES:
            if name in values:
                await check_address(self._egress, values[name], f"credential_values.{name}")
        check_secrets_stay(old, values, terms.values, "credential_values")
        secrets = {name: value for name, value in values.items() if not is_shown(name)}
        info = {} if terms.info is None else {"metadata": dict(terms.info)}
        return {
            "public_values": {name: value for name, value in values.items() if is_shown(name)},
            **sealed_values(self._catalog.cipher.seal(credential_id, secrets)),
            **info,
        }

    async def _check_models(self, connection: AsyncConnection, credential: StoredCredential) -> None:
        values = self._catalog.values_of(credential)
        for model in await list_deployments(connection):
            if model.credential_id == credential.credential_id:
                self._check_model(model, values)

    def _check_model(self, model: StoredDeployment, values: Mapping[str, Any]) -> None:
        params = {**values, **model.litellm_params, **self._catalog.secrets(model)}
        entry = self._catalog.read(model.deployment_id, model.model_name, params, model.model_info)
        why = self._catalog.why_left_out(entry)
        if why is not None:
            raise Unprocessable(
                f'the model "{model.model_name}" could not be served with it: {why}', param="credential_values"
            )

    async def _record(
        self, connection: AsyncConnection, actor: Actor, action: str, name: str, before: CredentialView | None
    ) -> CredentialView:
        view = self._view(await _get(connection, name))
        earlier = None if before is None else _snapshot(before)
        await record_change(connection, actor, Change(action, "credential", name, earlier, _snapshot(view)))
        return view

    def _view(self, stored: StoredCredential) -> CredentialView:
        try:
            names: Sequence[str] = sorted(self._catalog.values_of(stored))
        except GatewayError:  # under a key that is not known here: there is something, and nobody can say what
            names = [*stored.public_values, "undecipherable"]
        return CredentialView(stored, {name: stored.public_values.get(name, HIDDEN) for name in names})


async def _get(connection: AsyncConnection, name: str) -> StoredCredential:
    found = await rows.find_credential(connection, name, lock=True)
    if found is None:
        raise NotFound(f'no such credential: "{name}"; see GET /credentials', param="credential_name")
    return found


def _snapshot(view: CredentialView) -> dict[str, Any]:
    return {"credential_name": view.stored.name, "values": dict(view.values), "credential_info": view.stored.metadata}
