"""What is read with a key: every level above it that sets something, each with its own budget and limits."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.base.ids import new_id
from app.domain.access import Principal
from app.domain.budgets import BudgetWindow, Duration, window_at
from app.domain.limits import RateLimits
from app.domain.tenancy import owners_in
from app.storage.postgres.engine import create_engine
from app.storage.postgres.migrate import upgrade
from app.storage.postgres.principal_rows import find_principal
from app.storage.postgres.tables import budgets, keys, memberships, organizations, projects, teams, users

pytestmark = pytest.mark.services

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
AUTHORS = {"created_by": "tests", "updated_by": "tests"}


class Rows:
    """Writes rows in a transaction that is never committed."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection
        mark = new_id("req")
        self.team_id, self.user_id, self.organization_id = f"red {mark}", f"ada {mark}", f"acme {mark}"
        self.digest = mark.encode()

    async def add(self, table: Any, **values: Any) -> None:
        await self.connection.execute(insert(table).values(**values))

    async def budget(self, limit: int | None, **values: Any) -> str:
        budget_id = new_id("bud")
        times = {"anchor": SINCE, "counting_since": SINCE}
        await self.add(budgets, budget_id=budget_id, limit_nanousd=limit, **times, **values)
        return budget_id

    async def organization(self, **values: Any) -> None:
        await self.add(organizations, organization_id=self.organization_id, organization_alias="Acme", **values)

    async def team(self, **values: Any) -> None:
        await self.add(teams, team_id=self.team_id, team_alias="red", **AUTHORS, **values)

    async def user(self, **values: Any) -> None:
        await self.add(users, user_id=self.user_id, **values)

    async def member(self, **values: Any) -> None:
        await self.add(memberships, team_id=self.team_id, user_id=self.user_id, **values)

    async def find(self, **values: Any) -> Principal:
        names = {"key_id": new_id("key"), "digest": self.digest, "last_four": "abcd"}
        await self.add(keys, **names, **AUTHORS, **values)
        found = await find_principal(self.connection, self.digest, SINCE)
        assert found is not None
        return found[0]


@pytest.fixture
async def rows(database_url: str) -> AsyncIterator[Rows]:
    await upgrade(database_url)
    engine = create_engine(database_url)
    async with engine.connect() as connection:
        yield Rows(connection)
    await engine.dispose()


async def test_levels_that_set_nothing_are_not_there(rows: Rows) -> None:
    await rows.organization()
    await rows.team(organization_id=rows.organization_id)
    await rows.user()
    await rows.member()
    principal = await rows.find(team_id=rows.team_id, user_id=rows.user_id)
    assert (principal.levels, principal.budget_ids) == ((), ())
    assert principal.key.organization_id == rows.organization_id
    assert principal.team is not None


async def test_every_level_comes_with_what_it_sets_the_nearest_first(rows: Rows) -> None:
    monthly = {"duration": "1mo", "shared": True}
    bud = {name: await rows.budget(limit, **monthly) for limit, name in enumerate(("org", "team", "user", "member"), 1)}
    await rows.organization(budget_id=bud["org"], models=["a"], blocked=True, tokens_per_minute=7)
    await rows.team(organization_id=rows.organization_id, budget_id=bud["team"], models=["b"], requests_per_minute=8)
    await rows.user(budget_id=bud["user"], models=["c"], user_alias="Ada")
    await rows.member(budget_id=bud["member"], max_parallel_requests=9)
    principal = await rows.find(team_id=rows.team_id, user_id=rows.user_id)
    assert [level.title for level in principal.levels] == [
        'member "Ada" of team "red"',
        'team "red"',
        'user "Ada"',
        'organization "Acme"',
    ]
    member, team, user, organization = principal.levels
    assert [level.models for level in principal.levels] == [(), ("b",), ("c",), ("a",)]
    assert (organization.blocked, team.blocked) == (True, False)
    assert organization.limits == (RateLimits(tokens=7),)
    assert (team.limits[0].requests, member.limits[0].max_parallel_requests) == (8, 9)
    limits = {level.kind: budget.limit_nanousd for level in principal.levels for budget in level.budgets}
    assert limits == {"organization": 1, "team": 2, "user": 3, "member": 4}
    assert (user.budgets[0].duration, user.budgets[0].shared) == (Duration(1, "mo"), True)
    assert set(principal.budget_ids) == set(bud.values())
    assert len({level.scope for level in principal.levels}) == 4
    assert all(" " not in level.scope for level in principal.levels)


@pytest.mark.parametrize(("is_member", "own", "limit"), [(True, True, 5), (True, False, 3), (False, False, 3)])
async def test_a_member_without_a_budget_of_its_own_has_the_teams_for_members(
    rows: Rows, is_member: bool, own: bool, limit: int
) -> None:
    await rows.team(member_budget_id=await rows.budget(3))
    await rows.user()
    if is_member:
        await rows.member(budget_id=await rows.budget(5) if own else None)
    principal = await rows.find(team_id=rows.team_id, user_id=rows.user_id)
    (member,) = principal.levels
    assert (member.kind, [budget.limit_nanousd for budget in member.budgets]) == ("member", [limit])


async def test_a_budget_without_a_duration_counts_since_ever(rows: Rows) -> None:
    await rows.team(budget_id=await rows.budget(3))
    principal = await rows.find(team_id=rows.team_id, budget_id=await rows.budget(4, shared=True))
    for budget in (*principal.key.budgets, *principal.levels[0].budgets):
        assert window_at(budget, SINCE) == BudgetWindow(datetime(1970, 1, 1, tzinfo=UTC), None)


async def test_a_team_key_of_nobody_is_no_member(rows: Rows) -> None:
    await rows.team(member_budget_id=await rows.budget(3))
    assert (await rows.find(team_id=rows.team_id)).levels == ()


async def test_limits_of_a_budget_narrow_those_of_its_owner(rows: Rows) -> None:
    budget_id = await rows.budget(None, requests_per_minute=5, tokens_per_minute=50)
    await rows.user(budget_id=budget_id, requests_per_minute=9, max_parallel_requests=2)
    principal = await rows.find(user_id=rows.user_id, budget_id=budget_id, tokens_per_minute=10)
    (user,) = principal.levels
    assert user.limits == (RateLimits(5, 50, 2),)
    assert user.budgets == ()
    assert principal.key.limits == (RateLimits(5, 10, None),)
    assert principal.budget_ids == (budget_id,)


async def test_a_key_of_a_team_belongs_to_the_teams_organization(rows: Rows) -> None:
    other = f"other {rows.organization_id}"
    await rows.organization(models=["a"])
    await rows.add(organizations, organization_id=other, models=["b"])
    await rows.team(organization_id=rows.organization_id)
    principal = await rows.find(team_id=rows.team_id, organization_id=other)
    assert principal.key.organization_id == rows.organization_id
    assert [level.models for level in principal.levels] == [("a",)]


async def test_a_project_stands_between_the_key_and_its_team(rows: Rows) -> None:
    await rows.team(models=["b"])
    project_id = f"moon {rows.team_id}"
    shared = await rows.budget(2, shared=True)
    terms = {"budget_id": shared, "budget_since": SINCE, "models": ["a"], "requests_per_minute": 4, "blocked": True}
    await rows.add(projects, project_id=project_id, team_id=rows.team_id, project_alias="Moon", **AUTHORS, **terms)
    principal = await rows.find(team_id=rows.team_id, project_id=project_id)
    project, team = principal.levels
    assert (project.title, project.models, project.blocked) == ('project "Moon"', ("a",), True)
    assert (project.limits[0].requests, project.budgets[0].limit_nanousd, team.kind) == (4, 2, "team")
    assert (principal.key.project_id, since_of(principal)) == (project_id, {"project": SINCE})
    assert (owners_in(project.scope), principal.budget_ids) == ({"project_id": project_id}, (shared,))


async def test_an_owner_has_its_budget_since_it_was_given_it(rows: Rows) -> None:
    shared, other = await rows.budget(3, shared=True), await rows.budget(4, shared=True)
    # The clock of a transaction stands still, so what is written first is dated back.
    await rows.team(member_budget_id=shared, budget_id=shared, budget_since=SINCE, member_budget_since=SINCE)
    await rows.user(budget_id=shared, budget_since=None)
    await rows.member(budget_id=other, budget_since=SINCE)
    before = await rows.find(team_id=rows.team_id, user_id=rows.user_id)
    assert since_of(before) == {"member": SINCE, "team": SINCE, "user": None}

    await rows.connection.execute(update(memberships).values(budget_id=None))
    await rows.connection.execute(update(teams).values(budget_id=shared, team_alias="blue"))
    await rows.connection.execute(update(users).values(budget_id=other))
    found = await find_principal(rows.connection, rows.digest, SINCE)
    assert found is not None
    (at,) = (await rows.connection.execute(select(func.now()))).one()
    assert since_of(found[0]) == {"member": at, "team": SINCE, "user": at}


def since_of(principal: Principal) -> dict[str, datetime | None]:
    return {level.kind: budget.owned_since for level in principal.levels for budget in level.budgets}
