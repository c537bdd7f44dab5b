"""Queries on the deployments of models that were made at run time, and on the groups that models are in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.base.ids import CredentialId, DeploymentId
from app.storage.postgres.credentials import Sealed, read_sealed
from app.storage.postgres.tables import access_groups, deployments, provider_credentials


@dataclass(frozen=True, slots=True)
class StoredDeployment:
    """One row of deployments. ``sealed`` are the secrets among its parameters, ``credential_name`` those it shares."""

    deployment_id: DeploymentId
    model_name: str
    litellm_params: dict[str, Any]
    credential_id: CredentialId | None
    credential_name: str | None
    model_info: dict[str, Any]
    blocked: bool
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str
    sealed: Sealed | None


@dataclass(frozen=True, slots=True)
class StoredAccessGroup:
    access_group: str
    description: str | None
    model_names: list[str]
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str


_PLAIN = [name for name in StoredDeployment.__slots__ if name in deployments.c]
_STORED = select(
    *(deployments.c[name] for name in (*_PLAIN, *Sealed.__slots__)),
    provider_credentials.c.name.label("credential_name"),
).select_from(
    deployments.outerjoin(provider_credentials, deployments.c.credential_id == provider_credentials.c.credential_id)
)
_GROUP = select(*(access_groups.c[name] for name in StoredAccessGroup.__slots__))
_STAMP = text(
    "SELECT md5(concat_ws('|', "
    "(SELECT string_agg(deployment_id || updated_at || blocked, ',' ORDER BY deployment_id) FROM deployments), "
    "(SELECT string_agg(credential_id || updated_at, ',' ORDER BY credential_id) FROM provider_credentials), "
    "(SELECT string_agg(access_group || updated_at, ',' ORDER BY access_group) FROM access_groups), "
    "(SELECT string_agg(access_group || updated_at, ',' ORDER BY access_group) "
    "FROM access_group_budgets JOIN budgets USING (budget_id))))"
)


async def read_stamp(connection: AsyncConnection) -> str:
    """A digest of everything here that a catalogue is made of: another one when any of it was changed."""
    return str((await connection.execute(_STAMP)).scalar_one())


async def find_deployment(
    connection: AsyncConnection, deployment_id: str, *, lock: bool = False
) -> StoredDeployment | None:
    query = _STORED.where(deployments.c.deployment_id == deployment_id)
    query = query.with_for_update(of=deployments) if lock else query
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else _stored(row._mapping)


async def list_deployments(connection: AsyncConnection) -> list[StoredDeployment]:
    """All of them, the oldest first."""
    rows = await connection.execute(_STORED.order_by(deployments.c.created_at, deployments.c.deployment_id))
    return [_stored(row._mapping) for row in rows]


async def insert_deployment(connection: AsyncConnection, values: Mapping[str, Any]) -> bool:
    """False, and nothing done, when the id is taken."""
    made = insert(deployments).values(**values).on_conflict_do_nothing().returning(deployments.c.deployment_id)
    return (await connection.execute(made)).one_or_none() is not None


async def update_deployment(connection: AsyncConnection, deployment_id: str, values: Mapping[str, Any]) -> None:
    which = deployments.c.deployment_id == deployment_id
    await connection.execute(update(deployments).where(which).values(**values))


async def delete_deployment(connection: AsyncConnection, deployment_id: str) -> None:
    await connection.execute(delete(deployments).where(deployments.c.deployment_id == deployment_id))


async def models_of_credential(connection: AsyncConnection, credential_id: str, most: int) -> Sequence[str]:
    """The names of at most so many models that use it."""
    query = select(deployments.c.model_name).where(deployments.c.credential_id == credential_id).distinct()
    return (await connection.execute(query.order_by(deployments.c.model_name).limit(most))).scalars().all()


async def find_access_group(connection: AsyncConnection, name: str, *, lock: bool = False) -> StoredAccessGroup | None:
    query = _GROUP.where(access_groups.c.access_group == name)
    row = (await connection.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else StoredAccessGroup(**row._mapping)


async def list_access_groups(connection: AsyncConnection) -> list[StoredAccessGroup]:
    """All of them, by name."""
    rows = await connection.execute(_GROUP.order_by(access_groups.c.access_group))
    return [StoredAccessGroup(**row._mapping) for row in rows]


async def which_are_groups(connection: AsyncConnection, names: Sequence[str]) -> frozenset[str]:
    query = select(access_groups.c.access_group).where(access_groups.c.access_group.in_(names))
    return frozenset((await connection.execute(query)).scalars())


async def put_access_group(
    connection: AsyncConnection, name: str, content: tuple[Sequence[str], str | None], actor: str
) -> None:
    """Make the group, or give it these models and this description."""
    model_names, description = content
    values = {
        "model_names": list(model_names),
        "description": description,
        "updated_by": actor,
        "updated_at": func.clock_timestamp(),
    }
    made = insert(access_groups).values(access_group=name, created_by=actor, **values)
    await connection.execute(made.on_conflict_do_update(index_elements=["access_group"], set_=values))


async def delete_access_group(connection: AsyncConnection, name: str) -> None:
    await connection.execute(delete(access_groups).where(access_groups.c.access_group == name))


def _stored(found: Mapping[Any, Any]) -> StoredDeployment:
    plain = {name: found[name] for name in (*_PLAIN, "credential_name")}
    return StoredDeployment(**plain, sealed=read_sealed(found))
