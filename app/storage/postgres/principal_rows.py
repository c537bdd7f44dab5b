"""Who a digest names: the key, its team and every level above it that sets something, in one query."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, FromClause, Select, and_, bindparam, case, func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.access import Principal
from app.domain.budgets import Budget
from app.domain.keys import VirtualKey
from app.domain.limits import RateLimits
from app.domain.teams import Team
from app.domain.tenancy import Level, LevelKind, scope_of
from app.storage.postgres.columns import LIMIT_COLUMNS, TIME
from app.storage.postgres.tables import (
    budgets,
    keys,
    memberships,
    organizations,
    projects,
    retired_key_digests,
    teams,
    users,
)
from app.storage.postgres.terms import TERMS, budgets_of, limits_of, paces_of

_OWNERS = {
    "key": keys,
    "project": projects,
    "member": memberships,
    "user": users,
    "team": teams,
    "organization": organizations,
}
_WITH_MODELS = ("project", "team", "user", "organization")
_WITH_REGION = ("key", "team", "organization")
_BUDGET = (*TERMS, *LIMIT_COLUMNS)
_BUDGETS: dict[str, Any] = {owner: budgets.alias(f"budget_of_{owner}") for owner in _OWNERS}
# A key of a team belongs to the team's organization.
_ORGANIZATION_ID = func.coalesce(teams.c.organization_id, keys.c.organization_id)

_COLUMNS = [
    *(keys.c[name] for name in ("key_id", "key_alias", "team_id", "user_id", "project_id", "created_at")),
    *(keys.c[name] for name in ("models", "aliases", "allowed_routes", "metadata", "tags", "expires_at", "blocked")),
    keys.c.budget_fallbacks,
    *(_OWNERS[owner].c.allowed_model_region.label(f"{owner}_region") for owner in _WITH_REGION),
    _ORGANIZATION_ID.label("organization_id"),
    teams.c.team_alias,
    teams.c.organization_id.label("team_organization_id"),
    teams.c.metadata.label("team_metadata"),
    users.c.user_alias,
    projects.c.project_alias,
    organizations.c.organization_alias,
    *(_OWNERS[owner].c.models.label(f"{owner}_models") for owner in _WITH_MODELS),
    *(_OWNERS[owner].c.blocked.label(f"{owner}_blocked") for owner in _WITH_MODELS),
    *(_OWNERS[owner].c.budget_since.label(f"{owner}_since") for owner in ("key", *_WITH_MODELS)),
    # A member without a budget of its own has the team's for members: since either of them changed.
    case(
        (memberships.c.budget_id.is_not(None), memberships.c.budget_since),
        else_=func.greatest(memberships.c.budget_since, teams.c.member_budget_since),
    ).label("member_since"),
    *(table.c[name].label(f"{owner}_{name}") for owner, table in _OWNERS.items() for name in LIMIT_COLUMNS),
    *(table.c[name].label(f"{owner}_budget_{name}") for owner, table in _BUDGETS.items() for name in _BUDGET),
]


def _joined() -> FromClause:
    joined: FromClause = (
        keys.outerjoin(teams, keys.c.team_id == teams.c.team_id)
        .outerjoin(users, keys.c.user_id == users.c.user_id)
        .outerjoin(projects, keys.c.project_id == projects.c.project_id)
        .outerjoin(organizations, organizations.c.organization_id == _ORGANIZATION_ID)
        .outerjoin(memberships, and_(memberships.c.team_id == keys.c.team_id, memberships.c.user_id == keys.c.user_id))
    )
    for owner in ("key", *_WITH_MODELS):
        joined = joined.outerjoin(_BUDGETS[owner], _BUDGETS[owner].c.budget_id == _OWNERS[owner].c.budget_id)
    of_member = func.coalesce(memberships.c.budget_id, teams.c.member_budget_id)
    return joined.outerjoin(
        _BUDGETS["member"], and_(_BUDGETS["member"].c.budget_id == of_member, keys.c.user_id.is_not(None))
    )


def _holders() -> tuple[Select[Any], Select[Any]]:
    """Who has the digest now, and who has it through the grace of a regenerated key."""
    joined, retired = _joined(), retired_key_digests.c
    digest: BindParameter[bytes] = bindparam("digest")
    present = select(*_COLUMNS, keys.c.last_four, literal(None, TIME).label("works_until")).select_from(joined)
    earlier = select(*_COLUMNS, retired.last_four, retired.works_until).select_from(
        joined.join(retired_key_digests, retired.key_id == keys.c.key_id)
    )
    is_alive = keys.c.deleted_at.is_(None)
    return (
        present.where(keys.c.digest == digest, is_alive),
        earlier.where(retired.digest == digest, retired.works_until > bindparam("at"), is_alive),
    )


# Built once: that takes longer than asking.
_PRESENT, _EARLIER = _holders()


async def find_principal(
    connection: AsyncConnection, digest: bytes, at: datetime
) -> tuple[Principal, datetime | None] | None:
    """Who a digest names at this instant, and until when it does: None is until something changes."""
    row = (await connection.execute(_PRESENT, {"digest": digest})).one_or_none()
    if row is None:
        row = (await connection.execute(_EARLIER, {"digest": digest, "at": at})).one_or_none()
    return None if row is None else (_principal(row), row.works_until)


async def find_digest(connection: AsyncConnection, key_id: str) -> bytes | None:
    """Of the key's present secret; None for a key that is deleted, or was never there."""
    query = select(keys.c.digest).where(keys.c.key_id == key_id, keys.c.deleted_at.is_(None))
    found = (await connection.execute(query)).scalar_one_or_none()
    return None if found is None else bytes(found)


def _principal(row: Any) -> Principal:  # noqa: ANN401  a row of a join
    key = VirtualKey(
        key_id=row.key_id,
        last_four=row.last_four,
        created_at=row.created_at,
        alias=row.key_alias,
        organization_id=row.organization_id,
        team_id=row.team_id,
        user_id=row.user_id,
        models=tuple(row.models),
        aliases=row.aliases,
        allowed_routes=tuple(row.allowed_routes),
        limits=_limits(row, "key"),
        budgets=_budgets(row, "key"),
        expires_at=row.expires_at,
        blocked=row.blocked,
        metadata=row.metadata,
        tags=tuple(row.tags),
        project_id=row.project_id,
        budget_fallbacks=row.budget_fallbacks,
        region=row.key_region,
    )
    levels = tuple(level for level in _levels(row) if level.sets_something)
    named = (row._mapping[f"{owner}_budget_budget_id"] for owner in _OWNERS)
    budget_ids = tuple(dict.fromkeys(name for name in named if name is not None))
    return Principal(key, _team(row), levels=levels, budget_ids=budget_ids)


def _team(row: Any) -> Team | None:  # noqa: ANN401
    if row.team_id is None:
        return None
    return Team(
        row.team_id,
        row.team_alias,
        row.team_organization_id,
        tuple(row.team_models),
        blocked=row.team_blocked,
        metadata=row.team_metadata,
    )


def _levels(row: Any) -> list[Level]:  # noqa: ANN401
    """What stands above the key, the nearest first."""
    levels = []
    team, user = row.team_alias or row.team_id, row.user_alias or row.user_id
    if row.project_id is not None:
        levels.append(_level(row, "project", row.project_alias or row.project_id, row.project_id))
    if row.team_id is not None and row.user_id is not None:
        scope, title = scope_of("member", row.team_id, row.user_id), f'member "{user}" of team "{team}"'
        levels.append(Level("member", scope, title, limits=_limits(row, "member"), budgets=_budgets(row, "member")))
    organization = row.organization_alias or row.organization_id
    above: tuple[tuple[LevelKind, str | None, str | None], ...] = (
        ("team", team, row.team_id),
        ("user", user, row.user_id),
        ("organization", organization, row.organization_id),
    )
    for kind, name, level_id in above:
        if level_id is not None:
            levels.append(_level(row, kind, name, level_id))
    return levels


def _level(row: Any, kind: LevelKind, name: str | None, level_id: str) -> Level:  # noqa: ANN401
    return Level(
        kind,
        scope_of(kind, level_id),
        f'{kind} "{name}"',
        tuple(row._mapping[f"{kind}_models"]),
        _limits(row, kind),
        _budgets(row, kind),
        blocked=row._mapping[f"{kind}_blocked"],
        region=row._mapping[f"{kind}_region"] if kind in _WITH_REGION else None,
    )


def _limits(row: Any, owner: str) -> tuple[RateLimits, ...]:  # noqa: ANN401
    return limits_of(_columns(row, owner), _columns(row, f"{owner}_budget"))


def _budgets(row: Any, owner: str) -> tuple[Budget, ...]:  # noqa: ANN401
    terms = {name: row._mapping[f"{owner}_budget_{name}"] for name in TERMS}
    own_since = row._mapping[f"{owner}_since"]
    return (
        *budgets_of(terms, own_since, since_made=owner == "key"),
        *paces_of(_columns(row, owner), _columns(row, f"{owner}_budget")),
    )


def _columns(row: Any, place: str) -> Mapping[str, Any]:  # noqa: ANN401
    return {name: row._mapping[f"{place}_{name}"] for name in LIMIT_COLUMNS}
