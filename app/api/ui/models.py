"""The pages of models: the list, one model with its deployments and prices, a check of each, and changes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency

from app.admin.budget_board import BoardLine, BudgetBoard
from app.admin.credentials import Credentials
from app.admin.model_audience import ModelAudience
from app.admin.model_overview import ModelOverview, ModelView, Place
from app.admin.models import Models
from app.admin.overview import shares_of
from app.admin.people import Person
from app.admin.prices import PriceAdmin
from app.admin.serving_budgets import budgets_of
from app.admin.spend import BRIEF, Ask, Spend
from app.api.ui.access import Form, Pages
from app.api.ui.budget_form import PERIODS
from app.api.ui.further_values import without_secrets
from app.api.ui.lists import page_of, read_id, read_listing, read_text
from app.api.ui.machine import Machine, Trouble, trouble_of
from app.api.ui.model_form import PRICES, TYPED, read_change, read_dated_price, read_new, typed_of
from app.base.clock import now
from app.base.errors import CallerError, Forbidden, NotFound
from app.domain.roles import EVERYTHING, Tenant
from app.gateway.connection_check import Checked, ConnectionCheck
from app.providers.host_table import HOSTS
from app.providers.prices import names_of
from app.storage.postgres.deployments import StoredDeployment
from app.storage.postgres.prices import StoredPrice

AnyRequest = Request[Any, Any, Any]
_PAGE = 50
_MOST_PRICES = 20
_STATES = ("trouble", "unused", "not served")
_SORTS: dict[str, Callable[[ModelView], Any]] = {
    "name": lambda view: view.name.lower(),
    "requests": lambda view: view.amounts.requests,
    "failures": lambda view: view.amounts.failures,
    "spend": lambda view: view.amounts.cost_nanousd,
}


@dataclass(frozen=True, slots=True)
class Shown:
    """One deployment as a page shows it."""

    place: Place
    trouble: Trouble | None
    prices: Sequence[StoredPrice] = ()
    budgets: Sequence[BoardLine] = ()

    @property
    def state(self) -> str:
        if self.place.deployment is None:
            return "blocked" if self.place.stored is not None and self.place.stored.blocked else "not served"
        return "healthy" if self.trouble is None else str(self.trouble["state"])


@dataclass(frozen=True, slots=True)
class ModelDesk:
    """What the pages of a model ask."""

    overview: ModelOverview
    audience: ModelAudience
    prices: PriceAdmin
    spend: Spend
    machine: Machine
    board: BudgetBoard


class ModelPages(Controller):
    """On the services of ``/model/*`` and ``/price/*``, with the same actions."""

    include_in_schema = False

    @get("/ui/models")
    async def list_all(
        self, request: AnyRequest, pages: NamedDependency[Pages], model_desk: NamedDependency[ModelDesk]
    ) -> Response[bytes]:
        person = await _reader(request, pages)
        listing = read_listing(
            request, sorts=_SORTS, usual_sort="spend", filters={"provider": HOSTS, "state": _STATES}
        )  # fmt: skip
        views = await model_desk.overview.list(person.tenant("spend.reports"))
        troubled = model_desk.machine.troubled()
        found = [
            (view, [Shown(place, trouble_of(troubled, place.deployment_id)) for place in view.places]) for view in views
        ]
        providers = sorted({place.provider for view in views for place in view.places})
        found = [one for one in found if _fits(one, listing.search.lower(), listing.chosen)]
        found.sort(key=lambda one: _SORTS[listing.sort](one[0]), reverse=listing.descending)
        shown = found[(listing.number - 1) * _PAGE : listing.number * _PAGE]
        values: dict[str, Any] = {"found": shown, **page_of(listing, len(found), _PAGE)}
        values |= {"states": _STATES, "providers": providers, "is_empty": not views}
        values |= {"may_change": person.may("settings.change"), "sees_spend": person.may("spend.reports")}
        values |= {"hosts": HOSTS, "done": request.query_params.get("done")}
        return pages.show(request, "models.html", person, **values)

    @get("/ui/models/one")
    async def one(
        self, request: AnyRequest, pages: NamedDependency[Pages], model_desk: NamedDependency[ModelDesk]
    ) -> Response[bytes]:
        person = await _reader(request, pages)
        return await _show_one(request, pages, person, model_desk, read_id(request, "name"))

    @post("/ui/models/check", status_code=200)
    async def check(
        self, request: AnyRequest, pages: NamedDependency[Pages], model_desk: NamedDependency[ModelDesk]
    ) -> Response[bytes]:
        """A call that costs something, if little: for who may change models."""
        person = await _reader(request, pages)
        person.actor("settings.change")
        form = await pages.read_form(request)
        checked = await _check(model_desk.machine.check, form, person)
        name = form.raw("name")
        return await _show_one(request, pages, person, model_desk, name, checked={form.raw("id"): checked})

    @post("/ui/models/price", status_code=200)
    async def set_price(
        self, request: AnyRequest, pages: NamedDependency[Pages], model_desk: NamedDependency[ModelDesk]
    ) -> Response[bytes]:
        person = await _reader(request, pages)
        actor = person.actor("settings.change")
        form = await pages.read_form(request)
        name = form.raw("name")
        try:
            if form.text("price_id"):
                await model_desk.prices.delete(form.text("price_id"), actor)
            else:
                await model_desk.prices.create(read_dated_price(form, form.text("provider"), form.text("model")), actor)
        except CallerError as error:
            typed = {one: form.text(one) for one in (*PRICES, "effective_from", "id")}
            return await _show_one(request, pages, person, model_desk, name, refused=(error, typed))
        return pages.go(f"{_address(name)}&done=price")

    @get("/ui/models/new")
    async def new_page(
        self, request: AnyRequest, pages: NamedDependency[Pages], credentials: NamedDependency[Credentials]
    ) -> Response[bytes]:
        person = await pages.require_page(request, "settings.change")
        typed = dict.fromkeys(TYPED, "") | {"model_name": read_text(request, "name")}
        return await _show_form(request, pages, credentials, person, typed)

    @post("/ui/models/new", status_code=200)
    async def create(
        self,
        request: AnyRequest,
        pages: NamedDependency[Pages],
        credentials: NamedDependency[Credentials],
        models: NamedDependency[Models],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "settings.change")
        form = await pages.read_form(request)
        try:
            made = await models.create(read_new(form), person.actor("settings.change"))
        except CallerError as error:
            return await _show_form(request, pages, credentials, person, _typed(form), error=error)
        return pages.go(f"{_address(made.model_name)}&done=made")

    @get("/ui/models/edit")
    async def edit_page(
        self,
        request: AnyRequest,
        pages: NamedDependency[Pages],
        credentials: NamedDependency[Credentials],
        models: NamedDependency[Models],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "settings.change")
        stored = _stored(models, read_id(request, "id"))
        return await _show_form(request, pages, credentials, person, typed_of(stored), stored)

    @post("/ui/models/edit", status_code=200)
    async def change(
        self,
        request: AnyRequest,
        pages: NamedDependency[Pages],
        credentials: NamedDependency[Credentials],
        models: NamedDependency[Models],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "settings.change")
        form = await pages.read_form(request)
        stored = _stored(models, form.raw("id"))
        try:
            terms = read_change(form, stored)
            made = await models.update(stored.deployment_id, terms, person.actor("settings.change"))
        except CallerError as error:
            return await _show_form(request, pages, credentials, person, _typed(form), stored, error)
        return pages.go(f"{_address(made.model_name)}&done=changed")

    @post("/ui/models/state", status_code=200)
    async def set_state(
        self, request: AnyRequest, pages: NamedDependency[Pages], models: NamedDependency[Models]
    ) -> Response[bytes]:
        """Block, unblock, or delete for good."""
        person = await pages.require_page(request, "settings.change")
        form = await pages.read_form(request)
        actor, deployment_id = person.actor("settings.change"), form.raw("id")
        match form.text("do"):
            case "delete":
                deleted = await models.delete(deployment_id, actor)
                left = any(one.model_name == deleted.model_name for one in models.catalog.deployments)
                left = left or models.catalog.current().resolve(deleted.model_name) is not None
                return pages.go(f"{_address(deleted.model_name)}&done=deleted" if left else "/ui/models?done=deleted")
            case "block" | "unblock" as what:
                changed = await models.block(deployment_id, actor, blocked=what == "block")
                return pages.go(f"{_address(changed.model_name)}&done={what}ed")
            case _:
                raise NotFound("There is no such thing to do with a deployment.")


async def _reader(request: AnyRequest, pages: Pages) -> Person:
    """Who reads of all models: the list tells addresses, and what nobody but its owner may use."""
    person = await pages.require_page(request, "model.read")
    if person.tenant("model.read") != EVERYTHING:
        raise Forbidden("this page is for who looks after the gateway; which models a key may use is said where the "
                        "key is")  # fmt: skip
    return person


async def _show_one(  # noqa: PLR0913  what was done is shown in its place
    request: AnyRequest,
    pages: Pages,
    person: Person,
    desk: ModelDesk,
    name: str,
    *,
    checked: dict[str, Checked] | None = None,
    refused: tuple[CallerError, dict[str, str]] | None = None,
) -> Response[bytes]:
    spending = person.tenant("spend.reports")
    view = await desk.overview.find(name, spending)
    if view is None:
        raise NotFound(f'There is no model "{name}".')
    troubled = desk.machine.troubled()
    budgets = await _budgets(desk.board, view) if spending is not None and spending.everything else {}
    places = [
        Shown(
            place,
            trouble_of(troubled, place.deployment_id),
            await _prices_of(desk.prices, place),
            budgets.get(place.deployment_id, ()),
        )
        for place in view.places
    ]
    if checked and not any(one.place.deployment_id in checked for one in places):
        raise NotFound(f'This deployment is no longer one of "{name}": it was deleted meanwhile, or has another name.')
    error, typed = refused or (None, {})
    values: dict[str, Any] = {"view": view, "places": places, "checked": checked or {}, "error": error, "typed": typed}
    values |= {"audience": None if view.model is None else await desk.audience.of(view.model)}
    values |= {"teams": await _shares(desk.spend, view, spending), "fallbacks": _fallbacks(desk.machine, view)}
    values |= {"may_change": person.may("settings.change"), "sees_spend": spending is not None, "hosts": HOSTS}
    values |= {"price_fields": PRICES, "periods": PERIODS, "at": now(), "done": request.query_params.get("done")}
    return pages.show_form(request, "model.html", person, error, **values)


async def _budgets(board: BudgetBoard, view: ModelView) -> dict[str, Sequence[BoardLine]]:
    """Where the budgets of each deployment stand, and of its provider."""
    if view.model is None:
        return {}
    of_places = {place.deployment_id: budgets_of(place, view.model) for place in view.model.deployments}
    found = await board.of_serving([one for some in of_places.values() for one in some])
    lines = {line.budget.budget_id: line for line in found}
    return {name: [lines[one.budget.budget_id] for one in some] for name, some in of_places.items()}


async def _shares(spend: Spend, view: ModelView, spending: Tenant | None) -> Any:  # noqa: ANN401  Share or None
    if spending is None:
        return None
    if not view.asked_as:
        return []
    today = now().date()
    ask = Ask(
        today.replace(day=1), today, group_by=("team",), only={"model_asked": tuple(view.asked_as)}, measures=BRIEF
    )
    return shares_of(await spend.report(ask, spending))


async def _prices_of(price_admin: PriceAdmin, place: Place) -> Sequence[StoredPrice]:
    """Those that admins have set, and imported ones, newest first."""
    if place.deployment is None:
        return ()
    model = next(iter(names_of(place.provider, place.deployment.base_model or place.upstream_model)))
    found, _ = await price_admin.list({"provider": place.provider, "model": model}, 1, _MOST_PRICES)
    return found


def _fallbacks(machine: Machine, view: ModelView) -> dict[str, Sequence[str]]:
    """What serves when this model fails, by when that is."""
    names = (view.name,) if view.model is None else view.model.names
    rules = machine.routing
    found = {
        "When it fails, or is put aside": rules.fallbacks_of(names, None),
        "When the prompt is too long for it": rules.fallbacks_of(names, "context_window"),
        "When its provider refuses the content": rules.fallbacks_of(names, "content_policy"),
    }
    return {when: models for when, models in found.items() if models}


async def _check(check: ConnectionCheck, form: Form, person: Person) -> Checked:
    name = form.text("ask_for") or form.raw("name")
    found = check.resolve(name, form.raw("id"))
    if found is None:
        return Checked(0, f'"{name}" is no name that this deployment serves; give one that it takes')
    return await check.check(*found, person.user_id)


async def _show_form(  # noqa: PLR0913  what was typed is shown again
    request: AnyRequest,
    pages: Pages,
    credentials: Credentials,
    person: Person,
    typed: dict[str, str],
    stored: StoredDeployment | None = None,
    error: CallerError | None = None,
) -> Response[bytes]:
    values: dict[str, Any] = {"typed": typed, "stored": stored, "error": error, "hosts": HOSTS, "price_fields": PRICES}
    values |= {"periods": PERIODS, "credentials": [view.stored.name for view in await credentials.list()]}
    return pages.show_form(request, "model_form.html", person, error, **values)


def _fits(found: tuple[ModelView, Sequence[Shown]], search: str, chosen: Callable[[str], str]) -> bool:
    view, places = found
    words = (view.name, *(word for one in places for word in (one.place.upstream_model, one.place.host)))
    if search and not any(search in word.lower() for word in words):
        return False
    if (provider := chosen("provider")) and all(one.place.provider != provider for one in places):
        return False
    match chosen("state"):
        case "trouble":
            return any(one.trouble is not None for one in places)
        case "unused":
            return not view.amounts.requests
        case "not served":
            return any(one.place.deployment is None for one in places)
        case _:
            return True


def _stored(models: Models, deployment_id: str) -> StoredDeployment:
    found = next((one for one in models.catalog.deployments if one.deployment_id == deployment_id), None)
    if found is None:
        raise NotFound("There is no such deployment, or it stands in the configuration file: change it there.")
    return found


def _typed(form: Form) -> dict[str, str]:
    return {name: form.text(name) for name in TYPED} | {"further": without_secrets(form.raw("further"))}


def _address(name: str) -> str:
    return f"/ui/models/one?name={quote(name, safe='')}"
