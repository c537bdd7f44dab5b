"""The routes of customers, also called end users, with LiteLLM's paths, fields and answers."""

from typing import Any

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from msgspec import UNSET

from app.admin.customers import Customers, CustomerTerms, CustomerView
from app.api.admin import fields
from app.api.admin.answers import answer
from app.api.admin.budget_answers import render_limits
from app.api.admin.budget_fields import BUDGET, LIMITS
from app.api.admin.fields import MOST_BODY_BYTES, Body, Readers, check_names, read_body, read_terms
from app.api.admin.queries import read_query
from app.api.admin.tenancy_answers import paged, render_optional_budget, render_standing
from app.api.admin.term_fields import PAGE, read_budget, read_page, refuse_spend, require_text, require_texts
from app.api.security import Access
from app.base.errors import Unprocessable

AnyRequest = Request[Any, Any, Any]
HINT = "see GET /customer/list"
_DEFAULT_PAGE = 50
_COLUMNS: Readers = {
    "alias": ("customer_alias", fields.read_text, None),
    "metadata": ("metadata", fields.read_metadata, {}),
    "blocked": ("blocked", fields.read_flag, UNSET),
    "models": ("models", fields.read_text_list, []),
    "allowed_model_region": ("allowed_model_region", fields.read_region, None),
    "default_model": ("default_model", fields.read_text, None),
    **LIMITS,
}
_NOT_ENFORCED = frozenset({"budget_reset_at", "object_permission"})


class CustomerRoutes(Controller):
    """Admins alone change customers and read them."""

    path = "/customer"
    request_max_body_size = MOST_BODY_BYTES

    @post("/new", status_code=200)
    async def create(
        self, request: AnyRequest, access: NamedDependency[Access], customers: NamedDependency[Customers]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        customer_id, terms = read_customer(await read_body(request), {"spend"})
        return answer(_render(await customers.create(customer_id, terms, actor)))

    @post("/update", status_code=200)
    async def update(
        self, request: AnyRequest, access: NamedDependency[Access], customers: NamedDependency[Customers]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        customer_id, terms = read_customer(await read_body(request), set())
        return answer(_render(await customers.update(customer_id, terms, actor)))

    @post(["/block", "/unblock"], status_code=200)
    async def block(
        self, request: AnyRequest, access: NamedDependency[Access], customers: NamedDependency[Customers]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        blocked = request.scope["path"].endswith("/block")
        found = await customers.block(_read_ids(await read_body(request)), actor, blocked=blocked)
        return answer({"blocked_users" if blocked else "unblocked_users": [_render(view) for view in found]})

    @post("/delete", status_code=200)
    async def delete(
        self, request: AnyRequest, access: NamedDependency[Access], customers: NamedDependency[Customers]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        count = await customers.delete(_read_ids(await read_body(request)), actor)
        return answer({"deleted_customers": count, "message": f"{count} customers deleted"})

    @get("/info")
    async def info(
        self, request: AnyRequest, access: NamedDependency[Access], customers: NamedDependency[Customers]
    ) -> Response[bytes]:
        await access.require_admin(request)
        customer_id = read_query(request, ("end_user_id",)).get("end_user_id")
        if customer_id is None:
            raise Unprocessable(f'"end_user_id" is missing; {HINT}', param="end_user_id")
        return answer(_render(await customers.get(customer_id)))

    @get("/list")
    async def list_customers(
        self, request: AnyRequest, access: NamedDependency[Access], customers: NamedDependency[Customers]
    ) -> Response[bytes]:
        await access.require_admin(request)
        query = read_query(request, ("search", *PAGE))
        number, size = read_page(query, _DEFAULT_PAGE)
        found, total = await customers.list(query.get("search"), number, size)
        return paged([_render(view) for view in found], total, number, size)


class EndUserRoutes(CustomerRoutes):
    """The same under their older name."""

    path = "/end_user"


def read_customer(body: Body, further: set[str]) -> tuple[str, CustomerTerms]:
    """The customer meant, and the terms; ``further`` are fields of this request alone. Raises Unprocessable."""
    check_names(body, {*_COLUMNS, *BUDGET, "user_id", *further}, _NOT_ENFORCED)
    refuse_spend(body)
    terms = CustomerTerms(read_terms(body, _COLUMNS), read_budget(body))
    return require_text(body, "user_id", HINT), terms


def _read_ids(body: Body) -> tuple[str, ...]:
    check_names(body, {"user_ids"}, ())
    return require_texts(body, "user_ids", HINT)


def _render(view: CustomerView) -> dict[str, Any]:
    customer, standing = view.customer, view.standing
    return {
        **render_standing(standing),
        "user_id": customer.customer_id,
        "alias": customer.customer_alias,
        "blocked": customer.blocked,
        "metadata": customer.metadata,
        "allowed_model_region": customer.allowed_model_region,
        "default_model": customer.default_model,
        "models": customer.models,
        **render_limits(customer),
        "litellm_budget_table": render_optional_budget(standing.budget, standing.resets_at),
        "object_permission_id": None,
        "object_permission": None,
        "created_at": customer.created_at,
        "updated_at": customer.updated_at,
    }
