"""Queries on keys, their budgets and their retired digests; a row becomes a record here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, insert, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.base.clock import now
from app.base.ids import BudgetId, KeyId, OrganizationId, ProjectId, TeamId, UserId
from app.base.money import NanoUSD
from app.domain.roles import Tenant
from app.storage.postgres.columns import TIME
from app.storage.postgres.tables import budgets, keys, retired_key_digests
from app.storage.postgres.tenants import within


@dataclass(frozen=True, slots=True)
class StoredKey:
    """One row of keys with its budget, as the control plane sees it; never the digest.

    ``budget_duration`` may be set without ``limit_nanousd``: spend is then shown per window and nothing refused.
    """

    key_id: KeyId
    last_four: str
    key_alias: str | None
    key_type: str
    organization_id: OrganizationId | None
    team_id: TeamId | None
    user_id: UserId | None
    project_id: ProjectId | None
    budget_id: BudgetId | None
    models: list[str]
    aliases: dict[str, str]
    budget_fallbacks: dict[str, list[str]]
    allowed_model_region: str | None
    allowed_routes: list[str]
    requests_per_minute: int | None
    tokens_per_minute: int | None
    tokens_per_day: int | None
    max_parallel_requests: int | None
    model_requests_per_minute: dict[str, int]
    model_tokens_per_minute: dict[str, int]
    further_limits: list[dict[str, Any]]
    blocked: bool
    metadata: dict[str, Any]
    tags: list[str]
    expires_at: datetime | None
    last_active_at: datetime | None
    rotation_count: int
    last_rotation_at: datetime | None
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str
    deleted_at: datetime | None
    deleted_by: str | None
    limit_nanousd: NanoUSD | None
    budget_duration: str | None
    on_exceed: str | None
    budget_anchor: datetime | None
    budget_counting_since: datetime | None
    budget_reset_at: datetime | None
    soft_limit_nanousd: NanoUSD | None
    budget_timezone: str | None
    budget_windows: list[dict[str, Any]] | None
    model_budgets: dict[str, dict[str, Any]] | None
    increase_nanousd: NanoUSD | None
    increase_until: datetime | None


@dataclass(frozen=True, slots=True)
class RetiredSecret:
    """An earlier secret of a key."""

    last_four: str
    works_until: datetime


@dataclass(frozen=True, slots=True)
class KeyFilter:
    """Which keys to list; None does not filter. ``search`` is a part of the alias, or a whole id. ``status`` is active,
    blocked, expired or deleted."""

    key_id: str | None = None
    user_id: str | None = None
    team_id: str | None = None
    organization_id: str | None = None
    project_id: str | None = None
    access_group_id: str | None = None
    key_alias: str | None = None
    alias_is_substring: bool = False
    search: str | None = None
    status: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """``number`` counts from 1."""

    number: int
    size: int
    sort_by: str
    descending: bool


_KEY_COLUMNS = [keys.c[name] for name in StoredKey.__slots__ if name in keys.c]
_STORED = select(
    *_KEY_COLUMNS,
    budgets.c.limit_nanousd,
    budgets.c.duration.label("budget_duration"),
    budgets.c.on_exceed,
    budgets.c.anchor.label("budget_anchor"),
    budgets.c.counting_since.label("budget_counting_since"),
    budgets.c.reset_at.label("budget_reset_at"),
    budgets.c.soft_limit_nanousd,
    budgets.c.timezone.label("budget_timezone"),
    budgets.c.windows.label("budget_windows"),
    budgets.c.model_budgets,
    budgets.c.increase_nanousd,
    budgets.c.increase_until,
).select_from(keys.outerjoin(budgets, keys.c.budget_id == budgets.c.budget_id))

SORT_COLUMNS: Mapping[str, ColumnElement[Any]] = {
    "created_at": keys.c.created_at,
    "updated_at": keys.c.updated_at,
    "key_alias": keys.c.key_alias,
    "token": keys.c.key_id,
    "spend": keys.c.spend_nanousd,
    "max_budget": budgets.c.limit_nanousd,
    "expires": keys.c.expires_at,
    "last_active": keys.c.last_active_at,
}


async def find_key(connection: AsyncConnection, tenant: Tenant, key_id: str, *, lock: bool = False) -> StoredKey | None:
    """The key, deleted or not; ``lock`` keeps other changes of it out until the transaction ends."""
    return await _find_one(connection, tenant, keys.c.key_id == key_id, lock=lock)


async def find_key_by_digest(
    connection: AsyncConnection, tenant: Tenant, digest: bytes, *, lock: bool = False
) -> StoredKey | None:
    """The key whose present digest this is, deleted or not."""
    return await _find_one(connection, tenant, keys.c.digest == digest, lock=lock)


async def find_key_by_alias(
    connection: AsyncConnection, tenant: Tenant, alias: str, *, lock: bool = False
) -> StoredKey | None:
    """The undeleted key of this name."""
    named = and_(keys.c.key_alias == alias, keys.c.deleted_at.is_(None))
    return await _find_one(connection, tenant, named, lock=lock)


async def find_key_for_routes(
    connection: AsyncConnection, user_id: str, team_id: str | None, routes: Sequence[str]
) -> str | None:
    """The id of the eldest undeleted key of this user in this team that opens these routes and no others."""
    of_team = keys.c.team_id.is_(None) if team_id is None else keys.c.team_id == team_id
    query = (
        select(keys.c.key_id)
        .where(keys.c.user_id == user_id, of_team, keys.c.allowed_routes == list(routes), keys.c.deleted_at.is_(None))
        .order_by(keys.c.created_at)
        .limit(1)
    )
    return (await connection.execute(query)).scalar_one_or_none()


async def _find_one(
    connection: AsyncConnection, tenant: Tenant, named: ColumnElement[bool], *, lock: bool
) -> StoredKey | None:
    which = and_(named, *within(tenant, keys))
    if lock:
        # A statement of its own: one that waited for a lock still sees the budget as it was before the wait.
        await connection.execute(select(keys.c.key_id).where(which).with_for_update())
    row = (await connection.execute(_STORED.where(which))).one_or_none()
    return None if row is None else StoredKey(**row._mapping)


async def digest_is_taken(connection: AsyncConnection, digest: bytes) -> bool:
    """Whether any key, also a deleted or a regenerated one, has or had this digest."""
    taken = or_(
        select(keys.c.key_id).where(keys.c.digest == digest).exists(),
        select(retired_key_digests.c.key_id).where(retired_key_digests.c.digest == digest).exists(),
    )
    return bool((await connection.execute(select(taken))).scalar())


async def list_aliases(
    connection: AsyncConnection, tenant: Tenant, wanted: KeyFilter, size: int, offset: int
) -> tuple[list[str], int]:
    """One page of the names of keys that are not deleted, in their order, and how many there are."""
    conditions = [*within(tenant, keys), *_conditions(wanted, now()), keys.c.key_alias.is_not(None)]
    total = (await connection.execute(select(func.count()).select_from(keys).where(*conditions))).scalar_one()
    query = select(keys.c.key_alias).where(*conditions).order_by(keys.c.key_alias, keys.c.key_id)
    return list((await connection.execute(query.limit(size).offset(offset))).scalars()), total


async def insert_key(connection: AsyncConnection, values: Mapping[str, Any]) -> None:
    await connection.execute(insert(keys).values(**values))


async def update_key(connection: AsyncConnection, key_id: str, values: Mapping[str, Any]) -> None:
    await connection.execute(update(keys).where(keys.c.key_id == key_id).values(**values))


async def update_budget(connection: AsyncConnection, budget_id: str, values: Mapping[str, Any]) -> None:
    await connection.execute(update(budgets).where(budgets.c.budget_id == budget_id).values(**values))


async def retire_digest(connection: AsyncConnection, key_id: str, works_until: datetime) -> None:
    """Note the key's present digest as one that works until then; call it before the new digest is written."""
    present = select(keys.c.digest, keys.c.key_id, keys.c.last_four, literal(works_until, TIME)).where(
        keys.c.key_id == key_id
    )
    columns = ["digest", "key_id", "last_four", "works_until"]
    await connection.execute(insert(retired_key_digests).from_select(columns, present))


async def end_retired_digests(connection: AsyncConnection, key_id: str, at: datetime) -> None:
    """Let no earlier digest of the key work beyond ``at``."""
    ended = update(retired_key_digests).where(
        retired_key_digests.c.key_id == key_id, retired_key_digests.c.works_until > at
    )
    await connection.execute(ended.values(works_until=at))


async def list_retired(connection: AsyncConnection, key_id: str, at: datetime) -> Sequence[RetiredSecret]:
    """Those that still work at ``at``, the longest first."""
    columns = retired_key_digests.c
    query = select(columns.last_four, columns.works_until).where(columns.key_id == key_id, columns.works_until > at)
    rows = await connection.execute(query.order_by(columns.works_until.desc()))
    return [RetiredSecret(**row._mapping) for row in rows]


async def list_keys(
    connection: AsyncConnection, tenant: Tenant, wanted: KeyFilter, page: Page, at: datetime
) -> tuple[list[StoredKey], int]:
    """One page of keys, and how many there are on all pages; deleted ones only with ``status`` deleted."""
    conditions = [*within(tenant, keys), *_conditions(wanted, at)]
    total = (await connection.execute(select(func.count()).select_from(keys).where(*conditions))).scalar_one()
    column = SORT_COLUMNS[page.sort_by]
    order = column.desc().nulls_last() if page.descending else column.asc().nulls_last()
    # Which they are is found by a few columns: whole keys would be sorted by the thousand for the sake of a page.
    ids = select(keys.c.key_id).where(*conditions).order_by(order, keys.c.key_id)
    if page.sort_by == "max_budget":
        ids = ids.outerjoin_from(keys, budgets, keys.c.budget_id == budgets.c.budget_id)
    shown = ids.limit(page.size).offset((page.number - 1) * page.size).subquery("shown")
    query = _STORED.join(shown, shown.c.key_id == keys.c.key_id).order_by(order, keys.c.key_id)
    rows = await connection.execute(query)
    return [StoredKey(**row._mapping) for row in rows], total


def _conditions(wanted: KeyFilter, at: datetime) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.key_id is not None:
        conditions.append(keys.c.key_id == wanted.key_id)
    if wanted.user_id is not None:
        conditions.append(keys.c.user_id == wanted.user_id)
    if wanted.team_id is not None:
        conditions.append(keys.c.team_id == wanted.team_id)
    if wanted.organization_id is not None:
        conditions.append(keys.c.organization_id == wanted.organization_id)
    if wanted.project_id is not None:
        conditions.append(keys.c.project_id == wanted.project_id)
    if wanted.access_group_id is not None:
        conditions.append(keys.c.models.contains([wanted.access_group_id]))
    if wanted.key_alias is not None:
        alias = keys.c.key_alias
        like = alias.icontains(wanted.key_alias, autoescape=True)
        conditions.append(like if wanted.alias_is_substring else alias == wanted.key_alias)
    if wanted.search is not None:
        held = keys.c.key_alias.icontains(wanted.search, autoescape=True)
        conditions.append(or_(held, keys.c.key_id == wanted.search))
    if wanted.status is not None:
        conditions.append(_state(at) == wanted.status)
    else:
        conditions.append(keys.c.deleted_at.is_(None))
    return conditions


def _state(at: datetime) -> ColumnElement[str]:
    """In the order of app.domain.keys.key_state: blocked before expired."""
    return case(
        (keys.c.deleted_at.is_not(None), "deleted"),
        (keys.c.blocked, "blocked"),
        (keys.c.expires_at <= at, "expired"),
        else_="active",
    )
