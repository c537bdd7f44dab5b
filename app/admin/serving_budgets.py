"""The budgets that the catalogue sets for deployments and providers, as the board and the alerts look at budgets."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncEngine

from app.admin.budget_facts import budget_facts
from app.admin.live_catalog import LiveCatalog
from app.base.clock import now
from app.domain.alert_words import BudgetFacts, Owner
from app.domain.catalog import Catalog, Deployment, Model
from app.domain.tenancy import scope_of_pool, serving_of
from app.providers.host_table import HOSTS
from app.storage.postgres.alert_sources import WatchedBudget
from app.storage.postgres.engine import reading


def serving_budgets(catalog: Catalog) -> list[WatchedBudget]:
    """Each once, those of providers first. ``ids`` are whose it is, ``deployment`` or ``provider`` and its name, and of
    a deployment the model that it serves."""
    found: dict[str, WatchedBudget] = {}
    for model in catalog.models:
        for place in model.deployments:
            for one in budgets_of(place, model):
                found.setdefault(one.budget.budget_id, one)
    return sorted(found.values(), key=lambda one: one.ids[0], reverse=True)


def budgets_of(place: Deployment, model: Model) -> list[WatchedBudget]:
    watched: list[WatchedBudget] = []
    for budget in place.budgets:
        scope = scope_of_pool(budget.budget_id)
        kind, name = serving_of(scope) or ("", "")
        ids: tuple[str, ...] = (kind, name)
        title = f"provider {HOSTS[name].display_name}" if kind == "provider" else f'deployment "{name}"'
        if kind == "deployment":
            ids, title = (*ids, model.name), f'{title} of model "{model.name}"'
        owner = Owner(scope, title)
        watched.append(WatchedBudget("platform", ids, owner, budget, refuses=True, soft_limit_nanousd=None))
    return watched


class ServingBudgets:
    """What the books say of them; nothing of calls that run."""

    def __init__(self, engine: AsyncEngine, catalog: LiveCatalog) -> None:
        self._engine = engine
        self._catalog = catalog

    async def list(self) -> Sequence[tuple[WatchedBudget, BudgetFacts]]:
        async with reading(self._engine) as connection:
            return await budget_facts(connection, "platform", serving_budgets(self._catalog.current()), now())
