"""Models as people look at them: where each is served and at what price, and what it was asked for this month."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from app.admin.live_catalog import LiveCatalog
from app.admin.price_view import Priced, PriceView
from app.admin.spend import Ask, Spend
from app.base.clock import now
from app.domain.catalog import Deployment, Model
from app.domain.pricing import PriceSheet
from app.domain.roles import Tenant
from app.storage.postgres.deployments import StoredDeployment
from app.storage.postgres.reports import Amounts

NOTHING = Amounts()


@dataclass(frozen=True, slots=True)
class Place:
    """One host of a model. ``deployment`` None: it is made, and not served; ``why`` says what it lacks, empty where it
    is blocked. ``amounts`` are those of calls that it served, together with others of the same host and name there."""

    deployment_id: str
    provider: str
    upstream_model: str
    host: str
    stored: StoredDeployment | None
    deployment: Deployment | None = None
    listed: PriceSheet | None = None
    charged: PriceSheet | None = None
    why: str = ""
    amounts: Amounts = NOTHING


@dataclass(frozen=True, slots=True)
class ModelView:
    """``model`` None: nothing serves it. ``asked_as`` are the names by which calls asked for it this month."""

    name: str
    model: Model | None
    places: Sequence[Place]
    amounts: Amounts = NOTHING
    asked_as: Sequence[str] = field(default_factory=tuple)


_Use = dict[str, tuple[Amounts, dict[tuple[str, str], Amounts], list[str]]]
"""By the name of a model: all of it, by provider and its name there, and the names asked for."""


class ModelOverview:
    """Reads the catalogue in memory, and of the books this month's sums."""

    def __init__(self, catalog: LiveCatalog, prices: PriceView, spend: Spend) -> None:
        self._catalog = catalog
        self._prices = prices
        self._spend = spend

    async def list(self, spending: Tenant | None) -> list[ModelView]:
        """All of them, in the catalogue's order, and then what is not served; ``spending`` None: without amounts."""
        used: _Use = {} if spending is None else await self._uses(spending)
        at = now()
        waiting = {one.deployment_id: one for one in self._catalog.deployments}
        views: dict[str, ModelView] = {}
        for model in self._catalog.current().models:
            amounts, by_place, asked_as = used.get(model.name, (NOTHING, {}, []))
            places = [
                self._served(place, waiting.pop(place.deployment_id, None), by_place, at) for place in model.deployments
            ]
            views[model.name] = ModelView(model.name, model, places, amounts, asked_as)
        for stored in waiting.values():
            found = views.get(stored.model_name) or ModelView(stored.model_name, None, ())
            places = [*found.places, self._unserved(stored)]
            views[stored.model_name] = ModelView(found.name, found.model, places, found.amounts, found.asked_as)
        return list(views.values())

    async def find(self, name: str, spending: Tenant | None) -> ModelView | None:
        return next((view for view in await self.list(spending) if view.name == name), None)

    def _served(
        self,
        place: Deployment,
        stored: StoredDeployment | None,
        by_place: Mapping[tuple[str, str], Amounts],
        at: datetime,
    ) -> Place:
        priced: Priced = self._prices.price(place, None, at)
        return Place(
            place.deployment_id,
            place.provider,
            place.upstream_model,
            urlsplit(place.api_base).netloc or place.api_base,
            stored,
            place,
            priced.listed,
            priced.charged,
            amounts=_of_place(by_place, place),
        )

    def _unserved(self, stored: StoredDeployment) -> Place:
        provider, _, upstream_model = str(stored.litellm_params.get("model", "")).partition("/")
        address = str(stored.litellm_params.get("api_base", ""))
        why = "" if stored.blocked else self._catalog.why_unusable(stored.deployment_id) or "it is not read yet"
        return Place(
            stored.deployment_id, provider, upstream_model, urlsplit(address).netloc, stored, why=why
        )  # fmt: skip

    async def _uses(self, tenant: Tenant) -> _Use:
        today = now().date()
        ask = Ask(today.replace(day=1), today, group_by=("model_asked", "model", "provider"))
        found = await self._spend.report(ask, tenant)
        resolve = _remembered(self._catalog.current().resolve)
        written = {model.name: model.name for model in self._catalog.current().models}
        wildcards: dict[str, str] = {}
        used: _Use = {}
        for cell in found.cells:
            asked, served, provider = cell.group
            model = resolve(asked)
            if model is None:
                continue
            name = written.get(model.name) or wildcards.get(model.name)
            if name is None:
                name = wildcards[model.name] = self._wildcard_of(model)
            total, by_place, names = used.get(name, (NOTHING, {}, []))
            place = (provider, served)
            by_place[place] = by_place.get(place, NOTHING).plus(cell.amounts)
            used[name] = (total.plus(cell.amounts), by_place, [*names, asked] if asked not in names else names)
        return used

    def _wildcard_of(self, filled: Model) -> str:
        """The name of the wildcard that has taken a name."""
        first = filled.deployments[0].deployment_id
        for model in self._catalog.current().models:
            if any(first.startswith(f"{place.deployment_id}/") for place in model.deployments):
                return model.name
        return filled.name


def _of_place(by_place: Mapping[tuple[str, str], Amounts], place: Deployment) -> Amounts:
    if "*" not in place.upstream_model:
        return by_place.get((place.provider, place.upstream_model), NOTHING)
    return total_of(amounts for (provider, _), amounts in by_place.items() if provider == place.provider)


def total_of(found: Iterable[Amounts]) -> Amounts:
    total = NOTHING
    for amounts in found:
        total = total.plus(amounts)
    return total


def _remembered(resolve: Callable[[str], Model | None]) -> Callable[[str], Model | None]:
    known: dict[str, Model | None] = {}

    def once(name: str) -> Model | None:
        if name not in known:
            known[name] = resolve(name)
        return known[name]

    return once
