"""Queries on who belongs to which team, and to which organization."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.base.ids import BudgetId, OrganizationId, TeamId, UserId
from app.storage.postgres.tables import memberships, organization_memberships, users


@dataclass(frozen=True, slots=True)
class StoredMembership:
    """One member of one team, with the user's name; ``role`` is admin or user."""

    team_id: TeamId
    user_id: UserId
    role: str
    created_at: datetime
    budget_id: BudgetId | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    tokens_per_day: int | None
    max_parallel_requests: int | None
    model_requests_per_minute: dict[str, int]
    model_tokens_per_minute: dict[str, int]
    further_limits: list[dict[str, Any]]
    user_email: str | None
    user_alias: str | None


@dataclass(frozen=True, slots=True)
class StoredOrganizationMembership:
    """One member of one organization, with the user's name; ``role`` is one of LiteLLM's roles of users."""

    organization_id: OrganizationId
    user_id: UserId
    role: str
    created_at: datetime
    budget_id: BudgetId | None
    user_email: str | None
    user_alias: str | None


_NAMES = (users.c.user_email, users.c.user_alias)
_OF_TEAMS = select(
    *(memberships.c[name] for name in StoredMembership.__slots__ if name in memberships.c), *_NAMES
).select_from(memberships.join(users, memberships.c.user_id == users.c.user_id))
_OF_ORGANIZATIONS = select(
    *(
        organization_memberships.c[name]
        for name in StoredOrganizationMembership.__slots__
        if name in organization_memberships.c
    ),
    *_NAMES,
).select_from(organization_memberships.join(users, organization_memberships.c.user_id == users.c.user_id))


async def find_membership(connection: AsyncConnection, team_id: str, user_id: str) -> StoredMembership | None:
    query = _OF_TEAMS.where(memberships.c.team_id == team_id, memberships.c.user_id == user_id)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else StoredMembership(**row._mapping)


async def members_of_teams(
    connection: AsyncConnection, team_ids: Collection[str], most: int | None = None
) -> list[StoredMembership]:
    """In the order in which they came."""
    if not team_ids:
        return []
    return await _of_teams(connection, memberships.c.team_id.in_(team_ids), most)


async def teams_of_users(connection: AsyncConnection, user_ids: Collection[str]) -> list[StoredMembership]:
    if not user_ids:
        return []
    return await _of_teams(connection, memberships.c.user_id.in_(user_ids), None)


async def list_members(
    connection: AsyncConnection, team_id: str, limit: int, offset: int
) -> tuple[list[StoredMembership], int]:
    """One page, in the order in which they came, and how many there are."""
    query = _OF_TEAMS.where(memberships.c.team_id == team_id).order_by(memberships.c.created_at, memberships.c.user_id)
    rows = await connection.execute(query.limit(limit).offset(offset))
    return [StoredMembership(**row._mapping) for row in rows], await count_members(connection, team_id)


async def count_members(connection: AsyncConnection, team_id: str) -> int:
    query = select(func.count()).select_from(memberships).where(memberships.c.team_id == team_id)
    return (await connection.execute(query)).scalar_one()


async def _of_teams(
    connection: AsyncConnection, which: ColumnElement[bool], most: int | None
) -> list[StoredMembership]:
    query = _OF_TEAMS.where(which).order_by(memberships.c.created_at, memberships.c.team_id, memberships.c.user_id)
    rows = await connection.execute(query if most is None else query.limit(most))
    return [StoredMembership(**row._mapping) for row in rows]


async def insert_membership(connection: AsyncConnection, values: Mapping[str, Any]) -> None:
    await connection.execute(insert(memberships).values(**values))


async def update_membership(connection: AsyncConnection, team_id: str, user_id: str, values: Mapping[str, Any]) -> None:
    which = (memberships.c.team_id == team_id, memberships.c.user_id == user_id)
    await connection.execute(update(memberships).where(*which).values(**values))


async def delete_membership(connection: AsyncConnection, team_id: str, user_id: str) -> None:
    which = (memberships.c.team_id == team_id, memberships.c.user_id == user_id)
    await connection.execute(delete(memberships).where(*which))


async def organizations_of_users(
    connection: AsyncConnection, user_ids: Collection[str]
) -> list[StoredOrganizationMembership]:
    query = _OF_ORGANIZATIONS.where(organization_memberships.c.user_id.in_(user_ids))
    rows = await connection.execute(query.order_by(organization_memberships.c.created_at))
    return [StoredOrganizationMembership(**row._mapping) for row in rows]


async def insert_organization_membership(connection: AsyncConnection, values: Mapping[str, Any]) -> None:
    await connection.execute(insert(organization_memberships).values(**values))


async def members_of_organizations(
    connection: AsyncConnection, organization_ids: Collection[str]
) -> list[StoredOrganizationMembership]:
    """In the order in which they came."""
    query = _OF_ORGANIZATIONS.where(organization_memberships.c.organization_id.in_(organization_ids))
    rows = await connection.execute(
        query.order_by(organization_memberships.c.created_at, organization_memberships.c.user_id)
    )
    return [StoredOrganizationMembership(**row._mapping) for row in rows]


async def find_organization_membership(
    connection: AsyncConnection, organization_id: str, user_id: str
) -> StoredOrganizationMembership | None:
    query = _OF_ORGANIZATIONS.where(
        organization_memberships.c.organization_id == organization_id, organization_memberships.c.user_id == user_id
    )
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else StoredOrganizationMembership(**row._mapping)


async def update_organization_membership(
    connection: AsyncConnection, organization_id: str, user_id: str, values: Mapping[str, Any]
) -> None:
    which = (
        organization_memberships.c.organization_id == organization_id,
        organization_memberships.c.user_id == user_id,
    )
    await connection.execute(update(organization_memberships).where(*which).values(**values))


async def delete_organization_membership(connection: AsyncConnection, organization_id: str, user_id: str) -> None:
    which = (
        organization_memberships.c.organization_id == organization_id,
        organization_memberships.c.user_id == user_id,
    )
    await connection.execute(delete(organization_memberships).where(*which))
