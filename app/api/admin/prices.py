"""The routes of prices: our own of dated prices, and LiteLLM's of discounts and margins."""

from datetime import datetime
from typing import Any

from litestar import Controller, Request, Response, get, patch, post
from litestar.di import NamedDependency

from app.admin.price_view import Priced, PriceView
from app.admin.prices import PriceAdmin, TermValue
from app.api.admin.answers import answer
from app.api.admin.fields import MOST_BODY_BYTES, check_names, read_body
from app.api.admin.price_answers import (
    render_discounts,
    render_margins,
    render_price,
    render_rates,
    render_services,
    render_terms,
)
from app.api.admin.price_fields import (
    HINT,
    check_provider,
    read_discounts,
    read_instant,
    read_margins,
    read_price,
    read_withdrawal,
)
from app.api.admin.queries import Query, read_choice, read_query
from app.api.admin.tenancy_answers import paged
from app.api.admin.term_fields import PAGE, read_page, require_text
from app.api.security import Access
from app.base.clock import now
from app.base.errors import Unprocessable
from app.domain.price_list import TermKind

AnyRequest = Request[Any, Any, Any]
_DEFAULT_PAGE = 100
_KINDS = ("own", "imported")


class PriceRoutes(Controller):
    """Who sees everything reads prices; admins alone set them."""

    request_max_body_size = MOST_BODY_BYTES

    @get("/price/list")
    async def list_prices(
        self, request: AnyRequest, access: NamedDependency[Access], price_admin: NamedDependency[PriceAdmin]
    ) -> Response[bytes]:
        await access.require_admin(request)
        query = read_query(request, (*PAGE, "provider", "model", "organization_id", "kind"))
        read_choice(query, "kind", _KINDS)
        number, size = read_page(query, _DEFAULT_PAGE)
        wanted = {name: query[name] for name in ("provider", "organization_id", "kind") if name in query}
        wanted |= {"model": query["model"].lower()} if "model" in query else {}
        found, total = await price_admin.list(wanted, number, size)
        return paged([render_price(price) for price in found], total, number, size)

    @get("/price/info")
    async def info(
        self, request: AnyRequest, access: NamedDependency[Access], price_view: NamedDependency[PriceView]
    ) -> Response[bytes]:
        await access.require_admin(request)
        query = read_query(request, ("model", "provider", "organization_id", "at"))
        if "model" not in query:
            raise Unprocessable('"model" is missing: give the name that clients ask for, or the provider\'s own with '
                                '"provider"', param="model")  # fmt: skip
        provider = check_provider("provider", query["provider"]) if "provider" in query else None
        at = _instant(query)
        found = price_view.of(query["model"], provider, query.get("organization_id"), at)
        return answer({"model": query["model"], "at": at, "prices": [_render(one) for one in found]})

    @post("/price/new", status_code=200)
    async def create(
        self, request: AnyRequest, access: NamedDependency[Access], price_admin: NamedDependency[PriceAdmin]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        return answer(render_price(await price_admin.create(read_price(await read_body(request)), actor)))

    @post("/price/withdraw", status_code=200)
    async def withdraw(
        self, request: AnyRequest, access: NamedDependency[Access], price_admin: NamedDependency[PriceAdmin]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        return answer(render_price(await price_admin.withdraw(read_withdrawal(await read_body(request)), actor)))

    @post("/price/delete", status_code=200)
    async def delete(
        self, request: AnyRequest, access: NamedDependency[Access], price_admin: NamedDependency[PriceAdmin]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        body = await read_body(request)
        check_names(body, {"price_id"}, ())
        return answer(render_price(await price_admin.delete(require_text(body, "price_id", HINT), actor)))


class PriceTermRoutes(Controller):
    """Discounts and margins, for all or with ``organization_id`` for one; what a change does not name is taken back."""

    request_max_body_size = MOST_BODY_BYTES

    @get("/config/cost_discount_config")
    async def discounts(
        self, request: AnyRequest, access: NamedDependency[Access], price_admin: NamedDependency[PriceAdmin]
    ) -> Response[bytes]:
        await access.require_admin(request)
        return answer({"values": render_discounts(_in_force(price_admin, request, "discount"))})

    @patch("/config/cost_discount_config", status_code=200)
    async def set_discounts(
        self, request: AnyRequest, access: NamedDependency[Access], price_admin: NamedDependency[PriceAdmin]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        values = read_discounts(await read_body(request))
        await price_admin.set_terms("discount", _organization(request), values, actor)
        return answer({"status": "success", "message": "discounts are set", "values": render_discounts(values)})

    @get("/config/cost_margin_config")
    async def margins(
        self, request: AnyRequest, access: NamedDependency[Access], price_admin: NamedDependency[PriceAdmin]
    ) -> Response[bytes]:
        await access.require_admin(request)
        return answer({"values": render_margins(_in_force(price_admin, request, "margin"))})

    @patch("/config/cost_margin_config", status_code=200)
    async def set_margins(
        self, request: AnyRequest, access: NamedDependency[Access], price_admin: NamedDependency[PriceAdmin]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        values = read_margins(await read_body(request))
        await price_admin.set_terms("margin", _organization(request), values, actor)
        return answer({"status": "success", "message": "margins are set", "values": render_margins(values)})


def _instant(query: Query) -> datetime:
    return read_instant("at", query["at"]) if "at" in query else now()


def _organization(request: AnyRequest) -> str | None:
    return read_query(request, ("organization_id",)).get("organization_id")


def _in_force(price_admin: PriceAdmin, request: AnyRequest, kind: TermKind) -> dict[str, TermValue]:
    """What admins have set; for all providers also what the file says."""
    organization_id = _organization(request)
    found = price_admin.terms(kind, organization_id, now())
    return found if organization_id is not None else {**price_admin.file_terms(kind), **found}


def _render(priced: Priced) -> dict[str, Any]:
    place, sheet = priced.deployment, priced.listed
    return {
        "provider": place.provider,
        "model": place.upstream_model,
        "deployment_id": place.deployment_id or None,
        "price_source": sheet.source,
        "price_version": priced.charged.version,
        **render_rates(sheet),
        "service_tiers": render_services(sheet),
        "terms": render_terms(priced.charged.terms),
        "charged": render_rates(priced.charged),
    }
