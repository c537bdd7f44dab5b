"""Queries of a take-over from another gateway: what is there already, and many rows of one kind at once."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Table, bindparam, func, insert, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import Text

from app.storage.postgres.tables import (
    budgets,
    customers,
    keys,
    memberships,
    organization_memberships,
    organizations,
    receipts,
    retired_key_digests,
    tags,
    teams,
    users,
)

# One number for the one take-over at a time: "khtakes" in ASCII.
TAKE_OVER_LOCK = 0x6B6874616B6573
_IDS: Mapping[str, ColumnElement[Any]] = {
    "organization": organizations.c.organization_id,
    "user": users.c.user_id,
    "team": teams.c.team_id,
    "budget": budgets.c.budget_id,
    "customer": customers.c.customer_id,
    "tag": tags.c.tag,
}
_TABLES: Mapping[str, Table] = {
    "organization": organizations,
    "user": users,
    "team": teams,
    "budget": budgets,
    "customer": customers,
    "tag": tags,
    "membership": memberships,
    "organization membership": organization_memberships,
    "key": keys,
    "earlier secret": retired_key_digests,
}


async def hold_take_over(connection: AsyncConnection) -> None:
    """Others that take over wait until this transaction ends."""
    await connection.execute(select(func.pg_advisory_xact_lock(TAKE_OVER_LOCK)))


async def present_ids(connection: AsyncConnection) -> dict[str, set[str]]:
    """By kind."""
    return {kind: set((await connection.execute(select(column))).scalars()) for kind, column in _IDS.items()}


async def present_pairs(connection: AsyncConnection, kind: str) -> set[tuple[str, str]]:
    """The two names of each membership of a team or an organization."""
    table = _TABLES[kind]
    whole = table.c.team_id if kind == "membership" else table.c.organization_id
    return {(row[0], row[1]) for row in await connection.execute(select(whole, table.c.user_id))}


async def present_names(
    connection: AsyncConnection,
) -> tuple[set[str], set[tuple[str | None, str]], set[str], set[str]]:
    """Aliases of organizations, of teams with their organizations, of living keys; addresses of users in small."""
    of_teams = select(teams.c.organization_id, teams.c.team_alias).where(teams.c.team_alias.is_not(None))
    of_keys = select(keys.c.key_alias).where(keys.c.key_alias.is_not(None), keys.c.deleted_at.is_(None))
    addresses = select(func.lower(users.c.user_email)).where(users.c.user_email.is_not(None))
    return (
        set((await connection.execute(select(organizations.c.organization_alias))).scalars()),
        {(row[0], row[1]) for row in await connection.execute(of_teams)},
        set((await connection.execute(of_keys)).scalars()),
        set((await connection.execute(addresses)).scalars()),
    )


async def present_digests(connection: AsyncConnection) -> set[bytes]:
    """Of keys, deleted ones and earlier secrets included."""
    both = select(keys.c.digest).union_all(select(retired_key_digests.c.digest))
    return {bytes(digest) for digest in (await connection.execute(both)).scalars()}


async def keys_with_receipts(connection: AsyncConnection, key_ids: Collection[str]) -> set[str]:
    asked = func.unnest(bindparam("key_ids", list(key_ids), ARRAY(Text))).table_valued("key_id").render_derived()
    has = select(literal(1)).where(receipts.c.key_id == asked.c.key_id).exists()
    return set((await connection.execute(select(asked.c.key_id).where(has))).scalars())


async def insert_rows(connection: AsyncConnection, kind: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """All of one kind; rows with the same columns go in one statement."""
    by_columns: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        by_columns.setdefault(tuple(row), []).append(row)
    for alike in by_columns.values():
        await connection.execute(insert(_TABLES[kind]), alike)
