"""Whose rows a query may touch, and who somebody is: the condition that each query on tenant data begins with."""

from typing import Any

from sqlalchemy import Column, ColumnElement, FromClause, Text, bindparam, func, or_, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.roles import DEFAULT_ROLE, USER_ROLES, Role, Standing, Tenant
from app.storage.postgres.tables import memberships, organization_memberships, teams, users

TENANT_COLUMNS = ("organization_id", "team_id", "user_id", "key_id")
"""That tell which tenant a row belongs to."""


def within(tenant: Tenant, table: FromClause) -> list[ColumnElement[bool]]:
    """For ``where(*…)`` on a table that names the owners of its rows: none for everything."""
    if tenant.everything:
        return []
    owners: list[ColumnElement[bool]] = [
        table.c[name].in_(ids)
        for name, ids in (("organization_id", tenant.organization_ids), ("team_id", tenant.team_ids))
        if ids
    ]
    owners += [
        table.c[name] == one
        for name, one in (("user_id", tenant.user_id), ("key_id", tenant.key_id))
        if one is not None and name in table.c
    ]
    return [or_(*owners)] if owners else [_nothing(table)]


def _nothing(table: FromClause) -> ColumnElement[bool]:
    first: ColumnElement[Any] = next(iter(table.c))
    return first.in_([])


async def find_standing(connection: AsyncConnection, key_id: str | None, user_id: str | None) -> Standing:
    """The roles of the key's user as they stand now; ``key_id`` None is of somebody who signed in without a key."""
    if user_id is None:
        return Standing(key_id)
    user = (await connection.execute(_USER, {"user_id": user_id})).one_or_none()
    if user is None:
        return Standing(key_id)
    role: Role = next((role for role in USER_ROLES if role == user.user_role), DEFAULT_ROLE)
    organizations = set(user.administered_organizations)
    if role == "org_admin" and user.organization_id is not None:
        organizations.add(user.organization_id)
    teams_of_organizations: frozenset[str] = frozenset()
    if organizations:
        below = select(teams.c.team_id).where(teams.c.organization_id.in_(organizations))
        teams_of_organizations = frozenset((await connection.execute(below)).scalars())
    return Standing(
        key_id,
        user_id,
        role,
        administered_organizations=frozenset(organizations),
        administered_teams=frozenset(user.administered_teams),
        teams_of_organizations=teams_of_organizations,
        member_of_teams=frozenset(user.member_of_teams),
    )


def _ids(column: Column[str], *conditions: ColumnElement[bool]) -> ColumnElement[list[str]]:
    """Of the rows of a user's memberships."""
    of_user = select(column).where(column.table.c.user_id == users.c.user_id, *conditions)
    return func.array(of_user.scalar_subquery(), type_=ARRAY(Text))


_USER = select(
    users.c.user_role,
    users.c.organization_id,
    _ids(memberships.c.team_id).label("member_of_teams"),
    _ids(memberships.c.team_id, memberships.c.role == "admin").label("administered_teams"),
    _ids(organization_memberships.c.organization_id, organization_memberships.c.role == "org_admin").label(
        "administered_organizations"
    ),
).where(users.c.user_id == bindparam("user_id"))


async def belong_to(connection: AsyncConnection, tenant: Tenant, user_ids: set[str]) -> bool:
    """Whether each of these people is a member of the tenant's teams or organizations, or its person."""
    if tenant.everything:
        return True
    people = (
        select(memberships.c.user_id).where(memberships.c.team_id.in_(tenant.team_ids)),
        select(organization_memberships.c.user_id).where(
            organization_memberships.c.organization_id.in_(tenant.organization_ids)
        ),
        select(users.c.user_id).where(users.c.organization_id.in_(tenant.organization_ids)),
    )
    left = user_ids - {tenant.user_id}
    for query in people:
        if left:
            table_column = query.selected_columns[0]
            left = left - set((await connection.execute(query.where(table_column.in_(left)))).scalars())
    return not left
