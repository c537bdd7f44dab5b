"""What is set for customers and tags, by their names, as levels."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Text, bindparam, column, exists, func, or_, select, values
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.tenancy import Level, scope_of
from app.storage.postgres.columns import LIMIT_COLUMNS
from app.storage.postgres.tables import budgets, customers, tags
from app.storage.postgres.terms import TERMS, budgets_of, limits_of, paces_of

_BUDGET = [budgets.c[name].label(f"budget_{name}") for name in (*TERMS, *LIMIT_COLUMNS)]
_ROWS = select(or_(exists(select(customers.c.customer_id)), exists(select(tags.c.tag))))


async def some_are_named(connection: AsyncConnection) -> bool:
    """Whether there is any customer or tag of which something may be set."""
    return bool((await connection.execute(_ROWS)).scalar_one())


async def customer_levels(
    connection: AsyncConnection, names: Sequence[str], default_budget_id: str | None
) -> dict[str, Level]:
    """By scope, of those for whom something is set; who has no budget has the default one."""
    if not names:
        return {}
    asked = values(column("name", Text), name="asked").data([(name,) for name in names])
    budget_id = func.coalesce(customers.c.budget_id, bindparam("default", default_budget_id, Text))
    joined = asked.outerjoin(customers, customers.c.customer_id == asked.c.name)
    query = select(
        asked.c.name,
        *(customers.c[name] for name in ("customer_alias", "blocked", "models", "default_model")),
        *(customers.c[name] for name in ("allowed_model_region", "budget_since", *LIMIT_COLUMNS)),
        *_BUDGET,
    ).select_from(joined.outerjoin(budgets, budgets.c.budget_id == budget_id))
    found = {}
    for row in await connection.execute(query):
        scope = scope_of("customer", row.name)
        level = Level(
            "customer",
            scope,
            f'customer "{row.customer_alias or row.name}"',
            tuple(row.models or ()),
            *_terms(dict(row._mapping)),
            blocked=bool(row.blocked),
            default_model=row.default_model,
            region=row.allowed_model_region,
        )
        if level.sets_something:
            found[scope] = level
    return found


async def tag_levels(connection: AsyncConnection, names: Sequence[str]) -> dict[str, Level]:
    """By scope, of those for which something is set."""
    if not names:
        return {}
    query = select(tags.c.tag, tags.c.budget_since, *(tags.c[name] for name in LIMIT_COLUMNS), *_BUDGET)
    query = query.select_from(tags.outerjoin(budgets, budgets.c.budget_id == tags.c.budget_id))
    found = {}
    for row in await connection.execute(query.where(tags.c.tag.in_(names))):
        scope = scope_of("tag", row.tag)
        limits, owned = _terms(dict(row._mapping))
        level = Level("tag", scope, f'tag "{row.tag}"', limits=limits, budgets=owned)
        if level.sets_something:
            found[scope] = level
    return found


def _terms(row: Mapping[str, Any]) -> tuple[Any, Any]:
    own = {name: row[name] for name in LIMIT_COLUMNS}
    budget = {name: row[f"budget_{name}"] for name in (*TERMS, *LIMIT_COLUMNS)}
    owned = (*budgets_of(budget, row["budget_since"], since_made=False), *paces_of(own, budget))
    return limits_of(own, budget), owned
