"""The catalogue as it is now: of file, environment and what was made at run time, read again when it changes."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from app.admin.catalog import Managed, build_catalog, why_left_out
from app.admin.model_settings import ModelSettings
from app.base.errors import GatewayError, StorageUnavailable
from app.base.logs import get_logger
from app.domain.budgets import Budget
from app.domain.catalog import Catalog, ModelEntry
from app.providers.price_book import PriceBook
from app.storage.postgres import deployments as rows
from app.storage.postgres.access_group_budgets import list_counted
from app.storage.postgres.credentials import CredentialCipher, StoredCredential, list_credentials
from app.storage.postgres.deployments import StoredAccessGroup, StoredDeployment
from app.storage.postgres.engine import transaction
from app.storage.redis.announcements import Announcements

ReadModel = Callable[[str, Mapping[str, Any], Mapping[str, Any]], ModelEntry]
"""An entry of its name, ``litellm_params`` and ``model_info``. Raises Unprocessable."""
CHANNEL = "kh:models"
REREAD_S = 10.0


@dataclass(frozen=True, slots=True)
class _State:
    """``unusable`` says of a deployment that cannot be served why, by its id."""

    catalog: Catalog
    stamp: str = ""
    deployments: tuple[StoredDeployment, ...] = ()
    groups: tuple[StoredAccessGroup, ...] = ()
    unusable: Mapping[str, str] | None = None


class LiveCatalog:
    """Implements the gateway's CatalogSource. ``open`` before serving; ``watch`` and ``refresh`` keep it up to date."""

    def __init__(
        self,
        settings: ModelSettings,
        price_book: PriceBook,
        engine: AsyncEngine,
        announcements: Announcements,
        cipher: CredentialCipher,
        read_model: ReadModel,
    ) -> None:
        self.cipher = cipher
        self._settings = settings
        self.price_book = price_book
        self._engine = engine
        self._announcements = announcements
        self._read_model = read_model
        self._reading = asyncio.Lock()
        self._log = get_logger()
        catalog, self.notices = build_catalog(settings, price_book)
        self._state = _State(catalog)
        self._of_the_file = frozenset(
            deployment.deployment_id for model in catalog.models for deployment in model.deployments
        )

    def current(self) -> Catalog:
        return self._state.catalog

    @property
    def deployments(self) -> Sequence[StoredDeployment]:
        """Those made at run time, as of the last reading."""
        return self._state.deployments

    @property
    def groups(self) -> Sequence[StoredAccessGroup]:
        return self._state.groups

    def why_unusable(self, deployment_id: str) -> str | None:
        return (self._state.unusable or {}).get(deployment_id)

    def stands_in_the_file(self, deployment_id: str) -> bool:
        return deployment_id in self._of_the_file

    def read(
        self, deployment_id: str, model_name: str, params: Mapping[str, Any], info: Mapping[str, Any]
    ) -> ModelEntry:
        """The entry of a deployment made at run time. Raises Unprocessable."""
        entry = self._read_model(model_name, params, info)
        named = replace(entry.info, deployment_id=deployment_id)
        return replace(entry, info=named, place="the database", managed=True)

    def why_left_out(self, entry: ModelEntry) -> str | None:
        return why_left_out(self._settings, self.price_book, entry)

    async def changed(self) -> None:
        """After a commit: read again here, and tell every other process. A store that is away makes it no failure:
        what was committed is read when it is back."""
        try:
            await self.refresh()
        except StorageUnavailable as error:
            self._log.warning("models are read again later", reason=str(error))
        await self._announcements.say()

    async def watch(self) -> None:
        await self._announcements.watch(self.refresh)

    async def refresh(self) -> None:
        """Read what was made at run time, if any of it has changed. Raises StorageUnavailable."""
        async with self._reading:
            async with transaction(self._engine) as connection:
                stamp = await rows.read_stamp(connection)
                if stamp == self._state.stamp:
                    return
                found = await rows.list_deployments(connection)
                groups = await rows.list_access_groups(connection)
                budgets = await list_counted(connection)
                credentials = {str(one.credential_id): one for one in await list_credentials(connection)}
            self._state = self._build(stamp, found, groups, credentials, tuple(budgets))

    def _build(
        self,
        stamp: str,
        found: Sequence[StoredDeployment],
        groups: Sequence[StoredAccessGroup],
        credentials: Mapping[str, StoredCredential],
        budgets: tuple[Budget, ...],
    ) -> _State:
        entries: list[ModelEntry] = []
        unusable: dict[str, str] = {}
        for deployment in found:
            try:
                credential = None if deployment.credential_id is None else credentials[deployment.credential_id]
                params = {**self._values(credential), **deployment.litellm_params, **self.secrets(deployment)}
                entry = self.read(deployment.deployment_id, deployment.model_name, params, deployment.model_info)
                why = self.why_left_out(entry)
            except GatewayError as error:
                why, entry = error.message, None
            if why is not None:
                unusable[deployment.deployment_id] = why
                self._log.warning("model is left out", model=deployment.model_name, reason=why)
            elif entry is not None and not deployment.blocked:
                entries.append(entry)
        names: dict[str, tuple[str, ...]] = {}
        for group in groups:
            for name in group.model_names:
                names[name] = (*names.get(name, ()), group.access_group)
        catalog, _ = build_catalog(self._settings, self.price_book, Managed(tuple(entries), names, budgets))
        return _State(catalog, stamp, tuple(found), tuple(groups), unusable)

    def secrets(self, deployment: StoredDeployment) -> dict[str, Any]:
        """Raises Undecipherable."""
        return self.cipher.open(deployment.deployment_id, deployment.sealed)

    def _values(self, credential: StoredCredential | None) -> dict[str, Any]:
        return {} if credential is None else self.values_of(credential)

    def values_of(self, credential: StoredCredential) -> dict[str, Any]:
        """All values of a credential. Raises Undecipherable."""
        return {**credential.public_values, **self.cipher.open(credential.credential_id, credential.sealed)}
