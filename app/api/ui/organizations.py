"""The pages of organizations: the list, one with its teams and members, a new one, and what changes one."""

from collections.abc import Mapping, Sequence
from typing import Any

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.admin.organizations import Organizations, OrganizationView
from app.admin.people import Person
from app.api.admin.organizations import read_new_organization, read_organization_update
from app.api.ui.access import Pages
from app.api.ui.desk import Desk
from app.api.ui.forms import (
    BUDGET_READERS,
    LIMIT_READERS,
    Filled,
    Reader,
    as_body,
    filled,
    json_object,
    plain,
    pretty,
    read_fields,
    read_list,
    refused,
    shown_budget,
    shown_limits,
    text,
)
from app.api.ui.lists import Listing, last_page, page_of, read_listing
from app.api.ui.segments import last_word, read_segment, segment
from app.api.ui.team_form import PERIODS
from app.base.errors import CallerError
from app.domain.roles import Tenant
from app.storage.postgres.organizations import OrganizationFilter

AnyRequest = Request[Any, Any, Any]
_PAGE = 25
_MEMBERS_A_PAGE = 50
MEMBER_ROLE_WORDS: Mapping[str, str] = {
    "internal_user": "Member", "internal_user_viewer": "Reader", "org_admin": "Admin of the organization"
}  # fmt: skip
_READERS: Mapping[str, Reader] = {
    "organization_alias": text, **BUDGET_READERS, **LIMIT_READERS, "cost_center": text, "metadata": json_object,
    "allowed_model_region": text,
}  # fmt: skip


class OrganizationPages(Controller):
    """On the services of ``/organization/*``, with the same actions; an admin of organizations finds those alone."""

    include_in_schema = False

    @get("/ui/organizations")
    async def list_organizations(
        self,
        request: AnyRequest,
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
        organizations: NamedDependency[Organizations],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "organization.read")
        listing = read_listing(request)
        found, total = await _reached(organizations, person, listing)
        ids = [view.organization.organization_id for view in found]
        values: dict[str, Any] = {"views": found, **page_of(listing, total, _PAGE)}
        values |= {"month": await desk.of_month(person, "organization", [str(one) for one in ids])}
        values |= {"may_make": person.may("tenancy.change"), "done": request.query_params.get("done")}
        return pages.show(request, "organizations.html", person, **values)

    @get("/ui/organizations/new")
    async def new_page(
        self, request: AnyRequest, pages: NamedDependency[Pages], desk: NamedDependency[Desk]
    ) -> Response[bytes]:
        person = await pages.require_page(request, "tenancy.change")
        return await _show_form(request, pages, desk, person, (None, filled({"budget_duration": "month"})))

    @post("/ui/organizations/new", status_code=200)
    async def create(
        self,
        request: AnyRequest,
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
        organizations: NamedDependency[Organizations],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "tenancy.change")
        form = await pages.read_form(request)
        try:
            body = read_fields(form, _READERS, changes=False) | read_list(form, "models", changes=False)
            if "max_budget" not in body:
                body.pop("budget_duration", None)
            actor = await desk.actor(person, "POST /organization/new", body)
            view = await organizations.create(read_new_organization(body), actor)
        except CallerError as error:
            again = refused(form, _READERS, ["models"], error)
            return await _show_form(request, pages, desk, person, (None, again))
        return pages.go(f"/ui/organizations/{segment(view.organization.organization_id)}?done=made")

    @get("/ui/organizations/{organization:str}")
    async def organization_page(
        self,
        request: AnyRequest,
        organization: FromPath[str],
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
        organizations: NamedDependency[Organizations],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "organization.read")
        shown = (read_segment(organization), filled({}))
        return await show_organization(request, pages, (desk, organizations), person, shown)

    @get("/ui/organizations/{organization:str}/edit")
    async def edit_page(
        self,
        request: AnyRequest,
        organization: FromPath[str],
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
        organizations: NamedDependency[Organizations],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "tenancy.change")
        [view] = await organizations.get([read_segment(organization)])
        form = filled(_shown(view), {"models": view.organization.models})
        return await _show_form(request, pages, desk, person, (view, form))

    @post("/ui/organizations/{organization:str}/edit", status_code=200)
    async def change(
        self,
        request: AnyRequest,
        organization: FromPath[str],
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
        organizations: NamedDependency[Organizations],
    ) -> Response[bytes]:
        person, organization_id = await pages.require_page(request, "tenancy.change"), read_segment(organization)
        form = await pages.read_form(request)
        try:
            body = read_fields(form, _READERS, changes=True) | read_list(form, "models", changes=True)
            await _update(organizations, desk, person, body | as_body(organization_id=organization_id))
        except CallerError as error:
            [view] = await organizations.get([organization_id])
            return await _show_form(request, pages, desk, person, (view, refused(form, _READERS, ["models"], error)))
        return pages.go(f"/ui/organizations/{segment(organization_id)}?done=changed")

    @post(
        ["/ui/organizations/{organization:str}/block", "/ui/organizations/{organization:str}/unblock"], status_code=200
    )
    async def block(
        self,
        request: AnyRequest,
        organization: FromPath[str],
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
        organizations: NamedDependency[Organizations],
    ) -> Response[bytes]:
        person, organization_id = await pages.require_page(request, "tenancy.change"), read_segment(organization)
        await pages.read_form(request)
        verb = last_word(request)
        body = as_body(organization_id=organization_id, blocked=verb == "block")
        await _update(organizations, desk, person, body)
        return pages.go(f"/ui/organizations/{segment(organization_id)}?done={verb}ed")

    @post("/ui/organizations/{organization:str}/delete", status_code=200)
    async def delete(
        self,
        request: AnyRequest,
        organization: FromPath[str],
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
        organizations: NamedDependency[Organizations],
    ) -> Response[bytes]:
        person, organization_id = await pages.require_page(request, "tenancy.change"), read_segment(organization)
        await pages.read_form(request)
        actor = await desk.actor_on(person, "POST /organization/delete", organization_ids=[organization_id])
        await organizations.delete([organization_id], actor)
        return pages.go("/ui/organizations?done=deleted")


async def show_organization(
    request: AnyRequest,
    pages: Pages,
    reading: tuple[Desk, Organizations],
    person: Person,
    shown: tuple[str, Filled],
) -> Response[bytes]:
    """The organization's id, and the form of a new member."""
    desk, organizations = reading
    organization_id, adding = shown
    await desk.actor_on(person, "GET /organization/info", organization_id=organization_id)
    [view] = await organizations.get([organization_id])
    listing = read_listing(request)
    members = view.members[(listing.number - 1) * _MEMBERS_A_PAGE :][:_MEMBERS_A_PAGE]
    values: dict[str, Any] = {"view": view, "adding": adding, "roles": MEMBER_ROLE_WORDS, "members": members}
    values |= {"listing": listing, "last": last_page(len(view.members), _MEMBERS_A_PAGE)}
    teams, models = await desk.largest_by_each(person, ("team", "model"), "organization", organization_id)
    values |= {"teams": teams, "models": models}
    values |= {"may_change": person.may("tenancy.change")}
    values |= {"may_take_in": _holds(person.tenant("organization.members"), organization_id)}
    values |= {"may_make_teams": _holds(person.tenant("team.change"), organization_id)}
    values |= {"by_address": person.may("tenancy.change"), "done": request.query_params.get("done")}
    values |= {"settings": await desk.claude_code_settings(person, organization_id=organization_id)}
    values |= {"may_read_prices": person.may("settings.read")}
    values |= {"may_set": person.may("settings.change"), "groups": desk.groups()}
    return pages.show_form(request, "organization.html", person, adding.error, **values)


async def _reached(
    organizations: Organizations, person: Person, listing: Listing
) -> tuple[Sequence[OrganizationView], int]:
    """One page of those that this person reads, and how many there are."""
    tenant = person.reach("organization.read")
    if tenant.everything:
        return await organizations.list(OrganizationFilter(search=listing.search or None), listing.number, _PAGE)
    found = await organizations.get(sorted(tenant.organization_ids))
    part = listing.search.lower()
    found = [view for view in found if part in (view.organization.organization_alias or "").lower()]
    return found[(listing.number - 1) * _PAGE :][:_PAGE], len(found)


def _holds(tenant: Tenant | None, organization_id: str) -> bool:
    return tenant is not None and (tenant.everything or organization_id in tenant.organization_ids)


async def _update(organizations: Organizations, desk: Desk, person: Person, body: dict[str, bytes]) -> None:
    organization_id, terms = read_organization_update(body)
    await organizations.update(organization_id, terms, await desk.actor(person, "POST /organization/update", body))


def _shown(view: OrganizationView) -> dict[str, str]:
    organization = view.organization
    return {
        "organization_alias": plain(organization.organization_alias),
        **shown_budget(view.standing.budget),
        **shown_limits(organization),
        "allowed_model_region": plain(organization.allowed_model_region),
        "cost_center": plain(organization.cost_center),
        "metadata": pretty(organization.metadata),
    }


async def _show_form(
    request: AnyRequest, pages: Pages, desk: Desk, person: Person, shown: tuple[OrganizationView | None, Filled]
) -> Response[bytes]:
    view, form = shown
    values: dict[str, Any] = {"view": view, "f": form, "periods": PERIODS} | desk.model_choices(person)
    values |= {
        "shared": await desk.shared_budgets(person),
        "centers": await desk.cost_centers(person, "tenancy.change"),
    }
    return pages.show_form(request, "organization_form.html", person, form.error, **values)
