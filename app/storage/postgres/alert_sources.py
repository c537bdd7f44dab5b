"""What the watch for alerts looks at: budgets of those who spent lately, their habits, models without a price, keys.

The page of budgets looks at the same budgets."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Literal, get_args

from sqlalchemy import (
    Column,
    ColumnElement,
    FromClause,
    Integer,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    case,
    cast,
    column,
    func,
    null,
    or_,
    select,
    text,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from app.base.money import NanoUSD
from app.domain.alert_words import Owner
from app.domain.budgets import Budget
from app.domain.report_periods import HOUR_S, QUARTER_S
from app.domain.roles import Tenant
from app.domain.tenancy import scope_of, scope_of_model, scope_of_pool
from app.storage.postgres.budget_standings import nearest
from app.storage.postgres.owner_spend import owner_days
from app.storage.postgres.tables import (
    budgets,
    customers,
    keys,
    memberships,
    organizations,
    projects,
    receipts,
    tags,
    teams,
    users,
)
from app.storage.postgres.tables.reports import SPEND, SPEND_BY_TAG
from app.storage.postgres.tenants import within
from app.storage.postgres.terms import TERMS, budgets_of

# One number for the one who looks among all processes on a database: "khalert" in ASCII.
ALERT_LOCK = 0x6B68616C657274
Ids = tuple[str, ...]
"""What names an owner, by the columns of its kind."""
WatchedKind = Literal["key", "member", "team", "user", "organization", "customer", "tag", "project", "platform"]
WATCHED_KINDS: tuple[WatchedKind, ...] = tuple(kind for kind in get_args(WatchedKind) if kind != "platform")
"""Those that have rows: the platform's budget is a setting."""
OWNER_COLUMNS: dict[WatchedKind, tuple[str, ...]] = {
    "key": ("key_id",),
    "member": ("team_id", "user_id"),
    "team": ("team_id",),
    "user": ("user_id",),
    "organization": ("organization_id",),
    "customer": ("customer_id",),
    "tag": ("tag",),
    "project": ("project_id",),
    "platform": (),
}
_TERMS = [budgets.c[name] for name in TERMS]
_NONE = cast(null(), Text)
_NO_PARTS: dict[str, Any] = {"windows": [], "model_budgets": {}}
_MOST_QUERIES = 64


_PLAIN: dict[str, tuple[Table, Column[Any], Column[Any]]] = {
    "user": (users, users.c.user_id, users.c.user_alias),
    "organization": (organizations, organizations.c.organization_id, organizations.c.organization_alias),
    "customer": (customers, customers.c.customer_id, customers.c.customer_alias),
    "tag": (tags, tags.c.tag, tags.c.tag),
}
"""Owners that stand alone in their table: the table, its id and its alias."""


@dataclass(frozen=True, slots=True)
class WatchedBudget:
    """One of the budgets of a row; ``owner`` is whose it is, a pool or one model of an owner among them.

    ``ids`` name the owner by the columns of its kind. ``refuses`` false: only the soft limit is set.
    """

    kind: WatchedKind
    ids: tuple[str, ...]
    owner: Owner
    budget: Budget
    refuses: bool
    soft_limit_nanousd: NanoUSD | None


@dataclass(frozen=True, slots=True)
class UnpricedUse:
    provider: str
    model: str
    calls: int
    cost_nanousd: NanoUSD


@dataclass(frozen=True, slots=True)
class ExpiringKey:
    owner: Owner
    created_at: datetime
    expires_at: datetime


async def may_look(connection: AsyncConnection) -> bool:
    """Whether no other process looks just now; until the transaction ends, none will."""
    return bool((await connection.execute(select(func.pg_try_advisory_xact_lock(ALERT_LOCK)))).scalar_one())


async def list_spenders(
    connection: AsyncConnection, kind: WatchedKind, before: datetime, since: datetime
) -> list[tuple[Ids, NanoUSD, NanoUSD]]:
    """Each owner of this kind who spent since ``before``, what it spent since then, and since ``since``, a later one.

    Both are boundaries of a quarter of an hour.
    """
    quarters = (SPEND_BY_TAG if kind == "tag" else SPEND)[QUARTER_S]
    names = [quarters.c[name] for name in OWNER_COLUMNS[kind]]
    cost = func.sum(quarters.c.cost_nanousd)
    query = select(cost, func.coalesce(cost.filter(quarters.c.bucket >= since), 0), *names)
    query = query.where(quarters.c.bucket >= before, *(name != "" for name in names)).group_by(*names)
    return [(tuple(ids), int(earlier), int(later)) for earlier, later, *ids in await connection.execute(query)]


async def list_watched(
    connection: AsyncConnection, kind: WatchedKind, since: datetime, spenders: Collection[Ids] | None
) -> list[WatchedBudget]:
    """The budgets of these owners, None is all, and those that were changed since then."""
    query, owner = _owners(kind)
    if spenders is not None:
        columns = [column(name, Text) for name in OWNER_COLUMNS[kind]]
        arrays = [
            bindparam(None, [ids[place] for ids in spenders], ARRAY(Text), unique=True) for place in range(len(columns))
        ]
        asked = func.unnest(*arrays).table_valued(*columns, name="asked").render_derived()
        query = query.where(or_(tuple_(*owner).in_(select(*asked.c)), budgets.c.updated_at >= since))
    return [watched for row in await connection.execute(query) for watched in _watched(kind, row)]


async def list_budgeted(  # noqa: PLR0913  whose, and which of them
    connection: AsyncConnection,
    tenant: Tenant,
    kind: WatchedKind,
    search: str,
    most: int,
    at: datetime,
    *,
    farthest: bool = False,
) -> tuple[list[WatchedBudget], bool]:
    """The budgets of at most so many owners of this kind whose name or id holds ``search``, and whether there are more:
    first those that were nearest to their limits at the last look of the watch, or farthest from them, then those that
    were used last, or whose budget was changed last."""
    query = _budgeted_query(tenant, kind, search, farthest)
    rows = (await connection.execute(query, {"at": at, "most": most + 1})).all()
    return [watched for row in rows[:most] for watched in _watched(kind, row)], len(rows) > most


@lru_cache(maxsize=_MOST_QUERIES)
def _budgeted_query(tenant: Tenant, kind: WatchedKind, search: str, farthest: bool) -> Select[Any]:  # noqa: FBT001
    """Kept for those who ask again, mostly without a search: to write it takes longer than to ask it."""
    owners, near = _owners(kind)[0], nearest(kind)
    if kind == "key":  # whose budget is there for certain: it need not be read to be counted
        of_keys = _keys((keys.c.budget_id, keys.c.last_active_at.label("recent")))
        sought = of_keys.where(keys.c.deleted_at.is_(None), keys.c.budget_id.is_not(None)).subquery("sought")
    else:
        sought = owners.add_columns(budgets.c.updated_at.label("recent")).subquery("sought")
    owned = owners.subquery("owned")
    of_team = near.c.team_id == (sought.c.team_id if kind == "member" else "")
    same = and_(near.c.id == sought.c.id, near.c.budget_id == sought.c.budget_id, of_team)
    # Which they are is found by a few columns: all that is told of thousands would be sorted for the sake of some.
    found = select(sought.c.id, sought.c.team_id, near.c.percent, sought.c.recent).outerjoin(near, same)
    found = found.where(*within(tenant, sought))
    if search:
        found = found.where(
            or_(sought.c.id.icontains(search, autoescape=True), sought.c.alias.icontains(search, autoescape=True))
        )
    percent = near.c.percent.asc().nulls_first() if farthest else near.c.percent.desc().nulls_last()
    order = (percent, sought.c.recent.desc().nulls_last(), sought.c.team_id, sought.c.id)
    few = found.order_by(*order).limit(bindparam("most", type_=Integer)).subquery("few")
    same = owned.c.id == few.c.id
    if kind == "member":
        same = and_(same, owned.c.team_id == few.c.team_id)
    percent = few.c.percent.asc().nulls_first() if farthest else few.c.percent.desc().nulls_last()
    query = select(owned).join(few, same)
    return query.order_by(percent, few.c.recent.desc().nulls_last(), few.c.team_id, few.c.id)


async def spend_by_weekday(
    connection: AsyncConnection, kind: WatchedKind, ids: Collection[tuple[str, ...]], at: datetime
) -> dict[tuple[str, ...], list[NanoUSD]]:
    """What each of these spent on each weekday, Monday first, in the four whole weeks before the day of ``at``."""
    if not ids:
        return {}
    days = owner_days(OWNER_COLUMNS[kind])
    names = [days.c[name] for name in OWNER_COLUMNS[kind]]
    today = at.replace(hour=0, minute=0, second=0, microsecond=0)
    weekday = func.extract("isodow", days.c.bucket)
    query = (
        select(*names, weekday, func.sum(days.c.cost_nanousd))
        .where(days.c.bucket >= today - timedelta(days=28), days.c.bucket < today, tuple_(*names).in_(list(ids)))
        .group_by(*names, weekday)
    )
    found: dict[tuple[str, ...], list[NanoUSD]] = defaultdict(lambda: [0] * 7)
    for *owner, day, cost in await connection.execute(query):
        found[tuple(owner)][int(day) - 1] = int(cost)
    return found


async def spend_since(
    connection: AsyncConnection, kind: Literal["key", "team"], since: datetime, least: NanoUSD
) -> dict[str, NanoUSD]:
    """Who spent at least that much since a boundary of a quarter of an hour, and how much."""
    quarters = SPEND[QUARTER_S]
    owner, cost = quarters.c[f"{kind}_id"], func.sum(quarters.c.cost_nanousd)
    query = select(owner, cost).where(quarters.c.bucket >= since, owner != "").group_by(owner).having(cost >= least)
    return {name: int(spent) for name, spent in await connection.execute(query)}


async def active_hours(
    connection: AsyncConnection, kind: Literal["key", "team"], ids: Collection[str], since: datetime, until: datetime
) -> dict[str, list[NanoUSD]]:
    """What each of these spent in the hours of UTC between, hours without spend left out."""
    if not ids:
        return {}
    hours = SPEND[HOUR_S]
    owner, cost = hours.c[f"{kind}_id"], func.sum(hours.c.cost_nanousd)
    query = (
        select(owner, cost)
        .where(hours.c.bucket >= since, hours.c.bucket < until, owner.in_(ids))
        .group_by(owner, hours.c.bucket)
        .having(cost > 0)
    )
    found: dict[str, list[NanoUSD]] = defaultdict(list)
    for name, spent in await connection.execute(query):
        found[name].append(int(spent))
    return found


async def name_owners(
    connection: AsyncConnection, kind: Literal["key", "team"], ids: Collection[str]
) -> dict[str, Owner]:
    """Of keys and teams that were found before."""
    if not ids:
        return {}
    if kind == "key":
        query: Select[Any] = _keys(()).where(keys.c.key_id.in_(ids))
    else:
        query = select(*_team_words()).where(teams.c.team_id.in_(ids))
    return {row.id: _owner(kind, (row.id,), row) for row in await connection.execute(query)}


async def unpriced_uses(connection: AsyncConnection, since: datetime) -> list[UnpricedUse]:
    """What was charged since then at the price of models that have none."""
    # The condition is literal, as that of the index is.
    unpriced = and_(receipts.c.started_at >= since, text("price_source = 'fallback'"))
    names = (receipts.c.provider, receipts.c.model_served)
    query = select(*names, func.count(), func.sum(receipts.c.cost_nanousd)).where(unpriced).group_by(*names)
    return [UnpricedUse(row[0], row[1], int(row[2]), int(row[3])) for row in await connection.execute(query)]


async def expiring_keys(connection: AsyncConnection, at: datetime, until: datetime) -> list[ExpiringKey]:
    """Keys that work at ``at`` and end before ``until``."""
    ends = keys.c.expires_at
    query = _keys((keys.c.created_at, ends)).where(ends > at, ends <= until, ~keys.c.blocked)
    rows = await connection.execute(query.where(keys.c.deleted_at.is_(None)))
    return [ExpiringKey(_owner("key", (row.id,), row), row.created_at, row.expires_at) for row in rows]


def _owners(kind: WatchedKind) -> tuple[Select[Any], list[ColumnElement[Any]]]:
    """The owners of a kind with their budgets and with whose they are, and the columns that name one."""
    if kind == "key":
        joined = keys.join(budgets, budgets.c.budget_id == keys.c.budget_id)
        query = _keys((*_TERMS, keys.c.budget_since.label("since")), joined).where(keys.c.deleted_at.is_(None))
        return query, [keys.c.key_id]
    if kind == "member":
        return _members(), [memberships.c.team_id, memberships.c.user_id]
    if kind == "team":
        joined = teams.join(budgets, budgets.c.budget_id == teams.c.budget_id)
        words = (*_team_words(), *_TERMS, teams.c.budget_since.label("since"))
        return select(*words).select_from(joined), [teams.c.team_id]
    if kind == "project":
        joined = projects.join(teams, teams.c.team_id == projects.c.team_id)
        joined = joined.join(budgets, budgets.c.budget_id == projects.c.budget_id)
        words = (
            projects.c.project_id.label("id"), projects.c.project_alias.label("alias"), *_team_words()[2:],
            *_TERMS, projects.c.budget_since.label("since"),
        )  # fmt: skip
        return select(*words).select_from(joined), [projects.c.project_id]
    table, own_id, alias = _PLAIN[kind]
    organization, user = (own_id if kind == one else _NONE for one in ("organization", "user"))
    query = select(
        own_id.label("id"), alias.label("alias"), _NONE.label("last_four"), _NONE.label("team_id"),
        organization.label("organization_id"), user.label("user_id"), *_TERMS, table.c.budget_since.label("since"),
    )  # fmt: skip
    return query.select_from(table.join(budgets, budgets.c.budget_id == table.c.budget_id)), [own_id]


def _keys(further: Sequence[ColumnElement[Any]], joined: FromClause = keys) -> Select[Any]:
    organization = func.coalesce(teams.c.organization_id, keys.c.organization_id)
    return select(
        keys.c.key_id.label("id"), keys.c.key_alias.label("alias"), keys.c.last_four, keys.c.team_id,
        organization.label("organization_id"), keys.c.user_id, *further,
    ).select_from(joined.outerjoin(teams, teams.c.team_id == keys.c.team_id))  # fmt: skip


def _team_words() -> list[ColumnElement[Any]]:
    return [
        teams.c.team_id.label("id"), teams.c.team_alias.label("alias"), _NONE.label("last_four"),
        teams.c.team_id, teams.c.organization_id,
    ]  # fmt: skip


def _members() -> Select[Any]:
    """A member without a budget of its own has the team's for members."""
    own = func.coalesce(memberships.c.budget_id, teams.c.member_budget_id)
    since = case(
        (memberships.c.budget_id.is_not(None), memberships.c.budget_since),
        else_=func.greatest(memberships.c.budget_since, teams.c.member_budget_since),
    )
    joined = (
        memberships.join(teams, teams.c.team_id == memberships.c.team_id)
        .join(users, users.c.user_id == memberships.c.user_id)
        .join(budgets, budgets.c.budget_id == own)
    )
    return select(
        memberships.c.user_id.label("id"), func.coalesce(users.c.user_alias, memberships.c.user_id).label("alias"),
        _NONE.label("last_four"), teams.c.team_id, teams.c.organization_id, memberships.c.user_id,
        func.coalesce(teams.c.team_alias, teams.c.team_id).label("team"), *_TERMS, since.label("since"),
    ).select_from(joined)  # fmt: skip


def _watched(kind: WatchedKind, row: Any) -> list[WatchedBudget]:  # noqa: ANN401  a row of a join
    ids = (row.team_id, row.id) if kind == "member" else (row.id,)
    return watched_of(kind, ids, _owner(kind, ids, row), row, row.since)


def watched_of(
    kind: WatchedKind,
    ids: Ids,
    own: Owner,
    row: Any,  # noqa: ANN401
    since: datetime | None,
) -> list[WatchedBudget]:
    """All that a row of budgets, by its ``TERMS``, stands for; ``since`` is when its owner was given it."""
    terms = {name: row._mapping[name] for name in TERMS}
    soft = row.soft_limit_nanousd
    found = [
        WatchedBudget(kind, ids, _counted(own, budget), budget, refuses=True, soft_limit_nanousd=None)
        for budget in budgets_of(terms, since, since_made=kind == "key")
    ]
    if soft is None:
        return found
    if found and not found[0].budget.part:
        return [replace(found[0], soft_limit_nanousd=soft), *found[1:]]
    alone = budgets_of(terms | _NO_PARTS | {"limit_nanousd": soft}, since, since_made=kind == "key")
    of_soft = WatchedBudget(kind, ids, _counted(own, alone[0]), alone[0], refuses=False, soft_limit_nanousd=soft)
    return [of_soft, *found]


def _counted(own: Owner, budget: Budget) -> Owner:
    """Whose spend counts on it: a pool is everybody's who names it, and of one model there is a part."""
    if budget.pooled:
        own = Owner(scope_of_pool(budget.budget_id), f'pool "{budget.budget_id}"')
    if budget.model is None:
        return own
    scope, title = scope_of_model(own.scope, budget.model), f'model "{budget.model}" of {own.title}'
    return Owner(scope, title, own.team_id, own.organization_id)


def _owner(kind: WatchedKind, ids: tuple[str, ...], row: Any) -> Owner:  # noqa: ANN401
    scope = ids[0] if kind == "key" else scope_of(kind, *ids)
    if kind == "key":
        title = f'key "{row.alias}"' if row.alias else f'key "…{row.last_four}"'
    elif kind == "member":
        title = f'member "{row.alias}" of team "{row.team}"'
    else:
        title = f'{kind} "{row.alias or ids[0]}"'
    return Owner(scope, title, row.team_id, row.organization_id)
