"""What the pages of teams, people, organizations, projects and customers read from, and who may do what there."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from app.admin.actor import Actor
from app.admin.cost_centers import CostCenters
from app.admin.managed_settings import ManagedSettings, SettingsView
from app.admin.naming import Naming
from app.admin.overview import Share, shares_of
from app.admin.people import Person
from app.admin.spend import BRIEF, Ask, Spend
from app.admin.team_reading import TeamReading
from app.api.admin.fields import Body
from app.api.named_rows import check_named_fields
from app.api.ui.forms import as_body
from app.api.ui.key_form import choices_of, groups_of, models_for
from app.api.ui.rendering import usd
from app.base.clock import now
from app.base.errors import Unprocessable
from app.base.money import NanoUSD
from app.domain.catalog import Catalog
from app.domain.roles import rule_for
from app.storage.postgres.budgets import StoredBudget, list_shared_budgets
from app.storage.postgres.engine import reading
from app.storage.postgres.reports import Dimension
from app.storage.postgres.users import find_user

_MOST_BUDGETS = 200


class Desk:
    """``catalog`` gives the one that holds now."""

    def __init__(self, engine: AsyncEngine, naming: Naming, catalog: Callable[[], Catalog]) -> None:
        self.naming = naming
        self.teams = TeamReading(engine)
        self._managed_settings = ManagedSettings(engine)
        self._cost_centers = CostCenters(engine)
        self._engine = engine
        self._spend = Spend(engine)
        self._catalog = catalog

    async def actor(self, person: Person, route: str, body: Body) -> Actor:
        """Whoever sends this body to ``route``, a method and a path: the same action as there, and what is named is
        held against the same rule. Raises what that route answers to a key of this person: Forbidden, NotFound for
        what belongs to others, Unprocessable."""
        method, path = route.split(" ")
        rule = rule_for(method, path)
        assert rule is not None, route
        actor = person.actor(rule.action)
        if not actor.tenant.everything and rule.named:
            async with reading(self._engine) as connection:
                await check_named_fields(connection, (), body, rule, actor.tenant)
        return actor

    async def actor_on(self, person: Person, route: str, **named: Any) -> Actor:  # noqa: ANN401  what JSON can say
        """Of a body of these fields."""
        return await self.actor(person, route, as_body(**named))

    async def check_named(self, member: Mapping[str, str]) -> None:
        """An id that nobody has is a slip of who types it, where the routes make a user of it. Raises Unprocessable."""
        user_id = member.get("user_id")
        if user_id is None:
            return
        async with reading(self._engine) as connection:
            found = await find_user(connection, user_id)
        if found is None:
            raise Unprocessable(f'nobody has the id "{user_id[:100]}"; give an e-mail address, or an id of People')

    def model_choices(self, person: Person) -> dict[str, Any]:
        """What a form offers of the models that this person may choose from."""
        return choices_of(models_for(person, self._catalog()))

    def groups(self) -> frozenset[str]:
        """The access groups that there are: in a list of models each stands for several."""
        return groups_of(self._catalog().models)

    async def claude_code_settings(
        self, person: Person, *, organization_id: str | None = None, team_id: str | None = None
    ) -> SettingsView | None:
        """None for who may not read of settings."""
        if not person.may("settings.read"):
            return None
        return await self._managed_settings.find(organization_id, team_id)

    async def cost_centers(self, person: Person, action: str) -> Sequence[str] | None:
        """Those that there are, for who says with this action what is charged to whom; None for everybody else."""
        tenant = person.tenant(action)
        if tenant is None or not (tenant.everything or tenant.organization_ids):
            return None
        return await self._cost_centers.known(tenant)

    async def shared_budgets(self, person: Person) -> list[tuple[str, str]]:
        """Id and words of those that this person may give to somebody: none but for a proxy_admin."""
        if not person.may("tenancy.change"):
            return []
        async with reading(self._engine) as connection:
            found, _ = await list_shared_budgets(connection, _MOST_BUDGETS, 0)
        return [(one.budget_id, _words(one)) for one in found]

    async def largest(self, person: Person, dimension: Dimension, of: Dimension, one: str) -> list[Share]:
        """What this month of UTC cost of one owner, by ``dimension``: the largest."""
        ask = Ask(*_this_month(), group_by=(dimension,), only={of: (one,)}, measures=BRIEF)
        return shares_of(await self._spend.report(ask, person.reach("spend.reports")))

    async def largest_by_each(
        self, person: Person, dimensions: tuple[Dimension, Dimension], of: Dimension, one: str
    ) -> tuple[list[Share], list[Share]]:
        """``largest`` by both, asked at once."""
        first, second = dimensions
        return await asyncio.gather(self.largest(person, first, of, one), self.largest(person, second, of, one))

    async def of_month(self, person: Person, dimension: Dimension, ids: list[str]) -> dict[str, NanoUSD]:
        """What this month of UTC cost, by owner."""
        ask = Ask(*_this_month(), group_by=(dimension,), only={dimension: ids}, measures=BRIEF, named=False)
        report = await self._spend.report(ask, person.reach("spend.reports")) if ids else None
        return {} if report is None else {cell.group[0]: cell.amounts.cost_nanousd for cell in report.cells}


def _words(budget: StoredBudget) -> str:
    if budget.limit_nanousd is None:
        return budget.budget_id
    amount = usd(budget.limit_nanousd)
    return f"{budget.budget_id}: {amount}" + (f" by {budget.duration}" if budget.duration else "")


def _this_month() -> tuple[date, date]:
    today = now().date()
    return today.replace(day=1), today
