"""The page of an organization's own prices: which hold, a form that sets one and tells before what it does, an end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.admin.actor import Actor
from app.admin.organizations import Organizations
from app.admin.people import Person
from app.admin.price_preview import Preview, PricePreview
from app.admin.prices import PriceAdmin, PriceTerms
from app.api.admin.price_fields import read_instant
from app.api.ui.access import Form, Pages
from app.api.ui.forms import Filled, filled, refused
from app.api.ui.model_form import PRICES, read_dated_price
from app.api.ui.segments import read_segment, segment
from app.api.ui.spend import change_of
from app.base.clock import now
from app.base.errors import CallerError, NotFound, Unprocessable
from app.domain.catalog import Catalog, Deployment
from app.storage.postgres.prices import StoredPrice

AnyRequest = Request[Any, Any, Any]
PriceState = Literal["in force", "to come", "replaced", "ended"]
_MOST = 200
_TYPED = ("model", *PRICES, "effective_from", "call", "price_id", "ends")
_PATH = "/ui/organizations/{organization:str}/prices"


@dataclass(frozen=True, slots=True)
class OwnPrice:
    """``state`` ended: from then on the price for all holds."""

    stored: StoredPrice
    state: PriceState

    @property
    def model(self) -> str:
        return _name_of(self.stored.dated.provider, self.stored.dated.model)

    @property
    def words(self) -> str:
        return f"{self.model}, {self.state} from {self.stored.dated.effective_from:%Y-%m-%d %H:%M} UTC"


@dataclass(frozen=True, slots=True)
class PriceDesk:
    """What this page asks."""

    organizations: Organizations
    prices: PriceAdmin
    preview: PricePreview


class OrganizationPricePages(Controller):
    """On the services of ``/price/*``, with the same actions."""

    include_in_schema = False

    @get(_PATH)
    async def page(
        self,
        request: AnyRequest,
        organization: FromPath[str],
        pages: NamedDependency[Pages],
        price_desk: NamedDependency[PriceDesk],
        page_catalog: NamedDependency[Catalog],
    ) -> Response[bytes]:
        person, organization_id = await pages.require_page(request, "settings.read"), read_segment(organization)
        return await _show(request, pages, price_desk, (person, organization_id, page_catalog), filled({}))

    @post(_PATH, status_code=200)
    async def change(
        self,
        request: AnyRequest,
        organization: FromPath[str],
        pages: NamedDependency[Pages],
        price_desk: NamedDependency[PriceDesk],
        page_catalog: NamedDependency[Catalog],
    ) -> Response[bytes]:
        """Preview or set a price, end the one that holds, or take back one that is to come."""
        person, organization_id = await pages.require_page(request, "settings.change"), read_segment(organization)
        form, actor = await pages.read_form(request), person.actor("settings.change")
        where, preview, done = (person, organization_id, page_catalog), None, "set"
        try:
            match form.text("do"):
                case "preview":
                    terms, place = _read(form, organization_id, page_catalog)
                    tenant = person.reach("spend.logs")
                    preview = await price_desk.preview.of(terms, place, form.text("call") or None, tenant)
                case "set":
                    await price_desk.prices.create(_read(form, organization_id, page_catalog)[0], actor)
                case "end":
                    done = await _end(form, price_desk, organization_id, actor)
                case _:
                    raise NotFound("There is no such thing to do with a price.")
        except CallerError as error:
            return await _show(request, pages, price_desk, where, refused(form, _TYPED, [], error))
        if preview is not None:
            typed = {name: form.text(name) for name in _TYPED}
            return await _show(request, pages, price_desk, where, filled(typed), preview)
        return pages.go(f"/ui/organizations/{segment(organization_id)}/prices?done={done}")


async def _show(
    request: AnyRequest,
    pages: Pages,
    desk: PriceDesk,
    where: tuple[Person, str, Catalog],
    form: Filled,
    preview: Preview | None = None,
) -> Response[bytes]:
    person, organization_id, catalog = where
    [view] = await desk.organizations.get([organization_id])
    prices = await _prices_of(desk, organization_id)
    ending = [(one.stored.dated.price_id, one.words) for one in prices if one.state in ("in force", "to come")]
    values: dict[str, Any] = {"organization": view.organization, "f": form, "preview": preview, "price_fields": PRICES}
    models = [("", "Choose a model"), *((one, one) for one in _places(catalog))]
    values |= {"prices": prices, "models": models, "ending": ending, "at": now()}
    values |= {"may_change": person.may("settings.change")}
    values |= {"change": preview and change_of(preview.after.total, preview.before.total)}
    values |= {"done": request.query_params.get("done")}
    return pages.show_form(request, "organization_prices.html", person, form.error, **values)


def _read(form: Form, organization_id: str, catalog: Catalog) -> tuple[PriceTerms, Deployment]:
    """Raises Unprocessable."""
    name = form.text("model")
    place = _places(catalog).get(name)
    if place is None:
        raise Unprocessable(
            f'the model "{name[:60]}" is not served here; choose one of the list' if name else "choose a model",
            param="model",
        )
    return read_dated_price(form, place.provider, _model_of(place), organization_id), place


async def _end(form: Form, desk: PriceDesk, organization_id: str, actor: Actor) -> str:
    """What was done. Raises Unprocessable."""
    prices = {one.stored.dated.price_id: one for one in await _prices_of(desk, organization_id)}
    found = prices.get(form.text("price_id"))
    if found is None or found.state not in ("in force", "to come"):
        raise Unprocessable("choose a price that holds, or is to come", param="price_id")
    dated = found.stored.dated
    if found.state == "to come":
        await desk.prices.delete(dated.price_id, actor)
        return "taken-back"
    ends = read_instant("ends", form.text("ends")) if form.text("ends") else None
    await desk.prices.withdraw(PriceTerms(dated.provider, dated.model, organization_id, ends), actor)
    return "end"


async def _prices_of(desk: PriceDesk, organization_id: str) -> list[OwnPrice]:
    found, _ = await desk.prices.list({"organization_id": organization_id, "kind": "own"}, 1, _MOST)
    return _with_states(found, now())


def _places(catalog: Catalog) -> Mapping[str, Deployment]:
    """Every model that can have a price, by what the form calls it: of several deployments of one the first."""
    found: dict[str, Deployment] = {}
    for model in catalog.models:
        for place in model.deployments:
            if "*" not in place.upstream_model:
                found.setdefault(_name_of(place.provider, _model_of(place)), place)
    return dict(sorted(found.items()))


def _model_of(place: Deployment) -> str:
    return place.base_model or place.upstream_model


def _name_of(provider: str, model: str) -> str:
    return f"{provider}/{model.removeprefix(f'{provider}/')}"


def _with_states(found: Sequence[StoredPrice], at: datetime) -> list[OwnPrice]:
    """``found`` is newest first: of each model the first that has begun holds."""
    begun: set[tuple[str, str]] = set()
    prices = []
    for stored in found:
        dated = stored.dated
        state: PriceState = "ended" if dated.sheet is None else "in force"
        if dated.effective_from > at:
            state = "to come"
        elif (dated.provider, dated.model) in begun:
            state = "replaced"
        else:
            begun.add((dated.provider, dated.model))
        prices.append(OwnPrice(stored, state))
    return prices
