"""The pages of customers, the people whom callers name in their calls: the list, one, and what changes one."""

from collections.abc import Mapping
from typing import Any

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.admin.customers import Customers, CustomerView
from app.admin.people import Person
from app.api.admin.customers import read_customer
from app.api.ui.access import Pages
from app.api.ui.desk import Desk
from app.api.ui.forms import (
    BUDGET_READERS,
    LIMIT_READERS,
    Filled,
    Reader,
    as_body,
    filled,
    plain,
    read_fields,
    refused,
    shown_budget,
    shown_limits,
    text,
)
from app.api.ui.lists import page_of, read_listing, read_text
from app.api.ui.segments import last_word, read_segment, segment
from app.api.ui.team_form import PERIODS
from app.base.clock import now
from app.base.errors import CallerError, NotFound

AnyRequest = Request[Any, Any, Any]
_PAGE = 50
_MOST_LARGEST = 8
_READERS: Mapping[str, Reader] = {"alias": text, "allowed_model_region": text, **BUDGET_READERS, **LIMIT_READERS}


class CustomerPages(Controller):
    """On the services of ``/customer/*``, with the same actions. One that calls name has a page before it has terms."""

    include_in_schema = False

    @get("/ui/customers")
    async def list_customers(
        self,
        request: AnyRequest,
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
        customers: NamedDependency[Customers],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "tenancy.read")
        listing = read_listing(request)
        found, total = await customers.list(listing.search or None, listing.number, _PAGE)
        values: dict[str, Any] = {"views": found, **page_of(listing, total, _PAGE)}
        ids = [view.customer.customer_id for view in found]
        values |= {"month": await desk.of_month(person, "customer", ids), "may_make": person.may("tenancy.change")}
        month_start = now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        tenant = person.reach("spend.reports")
        spent = [] if listing.is_narrow else await customers.largest(tenant, month_start, _MOST_LARGEST)
        values |= {"names": await desk.naming.names("customer", [customer_id for customer_id, _ in spent])}
        values |= {"largest": spent, "done": request.query_params.get("done")}
        return pages.show(request, "customers.html", person, **values)

    @get("/ui/customers/new")
    async def find_one(self, request: AnyRequest, pages: NamedDependency[Pages]) -> Response[bytes]:
        """The form of an id that somebody typed."""
        await pages.require_page(request, "tenancy.change")
        customer_id = read_text(request, "customer")
        return pages.go(f"/ui/customers/{segment(customer_id)}/edit" if customer_id else "/ui/customers")

    @get("/ui/customers/{customer:str}")
    async def customer_page(
        self,
        request: AnyRequest,
        customer: FromPath[str],
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
        customers: NamedDependency[Customers],
    ) -> Response[bytes]:
        person, customer_id = await pages.require_page(request, "tenancy.read"), read_segment(customer)
        view = await customers.get(customer_id)
        values: dict[str, Any] = {"view": view, "may_change": person.may("tenancy.change")}
        models, keys = await desk.largest_by_each(person, ("model", "key"), "customer", customer_id)
        values |= {"models": models, "keys": keys}
        values |= {"done": request.query_params.get("done"), "is_kept": await customers.is_kept(customer_id)}
        return pages.show(request, "customer.html", person, **values)

    @get("/ui/customers/{customer:str}/edit")
    async def edit_page(
        self,
        request: AnyRequest,
        customer: FromPath[str],
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
        customers: NamedDependency[Customers],
    ) -> Response[bytes]:
        person, customer_id = await pages.require_page(request, "tenancy.change"), read_segment(customer)
        view = await _find(customers, customer_id)
        form = filled({"budget_duration": "month"} if view is None else _shown(view))
        return await _show_form(request, pages, desk, person, (customer_id, view, form))

    @post("/ui/customers/{customer:str}/edit", status_code=200)
    async def change(
        self,
        request: AnyRequest,
        customer: FromPath[str],
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
        customers: NamedDependency[Customers],
    ) -> Response[bytes]:
        person, customer_id = await pages.require_page(request, "tenancy.change"), read_segment(customer)
        form = await pages.read_form(request)
        is_kept = await customers.is_kept(customer_id)
        try:
            body = read_fields(form, _READERS, changes=is_kept) | as_body(user_id=customer_id)
            if not is_kept and "max_budget" not in body:
                body.pop("budget_duration", None)
            actor = await desk.actor(person, f"POST /customer/{'update' if is_kept else 'new'}", body)
            change = customers.update if is_kept else customers.create
            await change(*read_customer(body, set()), actor)
        except CallerError as error:
            view = await _find(customers, customer_id)
            return await _show_form(
                request, pages, desk, person, (customer_id, view, refused(form, _READERS, [], error))
            )
        return pages.go(f"/ui/customers/{segment(customer_id)}?done=changed")

    @post(["/ui/customers/{customer:str}/block", "/ui/customers/{customer:str}/unblock"], status_code=200)
    async def block(
        self,
        request: AnyRequest,
        customer: FromPath[str],
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
        customers: NamedDependency[Customers],
    ) -> Response[bytes]:
        person, customer_id = await pages.require_page(request, "tenancy.change"), read_segment(customer)
        await pages.read_form(request)
        verb = last_word(request)
        actor = await desk.actor_on(person, f"POST /customer/{verb}", user_ids=[customer_id])
        await customers.block([customer_id], actor, blocked=verb == "block")
        return pages.go(f"/ui/customers/{segment(customer_id)}?done={verb}ed")

    @post("/ui/customers/{customer:str}/delete", status_code=200)
    async def delete(
        self,
        request: AnyRequest,
        customer: FromPath[str],
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
        customers: NamedDependency[Customers],
    ) -> Response[bytes]:
        person, customer_id = await pages.require_page(request, "tenancy.change"), read_segment(customer)
        await pages.read_form(request)
        actor = await desk.actor_on(person, "POST /customer/delete", user_ids=[customer_id])
        await customers.delete([customer_id], actor)
        return pages.go("/ui/customers?done=deleted")


async def _find(customers: Customers, customer_id: str) -> CustomerView | None:
    try:
        return await customers.get(customer_id)
    except NotFound:
        return None


def _shown(view: CustomerView) -> dict[str, str]:
    customer = view.customer
    return {
        "alias": plain(customer.customer_alias),
        **shown_budget(view.standing.budget),
        **shown_limits(customer),
        "allowed_model_region": plain(customer.allowed_model_region),
    }


async def _show_form(
    request: AnyRequest, pages: Pages, desk: Desk, person: Person, shown: tuple[str, CustomerView | None, Filled]
) -> Response[bytes]:
    customer_id, view, form = shown
    values: dict[str, Any] = {"customer_id": customer_id, "view": view, "f": form, "periods": PERIODS}
    values |= {"shared": await desk.shared_budgets(person)} | desk.model_choices(person)
    return pages.show_form(request, "customer_form.html", person, form.error, **values)
