"""The organization routes, with LiteLLM's paths, fields and answers."""

from typing import Any

from litestar import Controller, HttpMethod, Request, Response, get, post, route
from litestar.di import NamedDependency
from msgspec import UNSET

from app.admin.memberships import Member
from app.admin.organization_members import OrganizationMembers
from app.admin.organizations import Organizations, OrganizationTerms
from app.api.admin import fields
from app.api.admin.answers import answer
from app.api.admin.budget_fields import BUDGET, LIMITS
from app.api.admin.fields import MOST_BODY_BYTES, Body, Readers, check_names, is_null, read_body, read_terms
from app.api.admin.organization_answers import render_organization, render_organization_member
from app.api.admin.queries import read_query
from app.api.admin.tenancy_answers import paged
from app.api.admin.term_fields import (
    PAGE,
    read_budget,
    read_member,
    read_members,
    read_page,
    require_text,
    require_texts,
)
from app.api.security import Access
from app.base.errors import Unprocessable
from app.storage.postgres.organizations import OrganizationFilter

AnyRequest = Request[Any, Any, Any]
HINT = "see GET /organization/list"
MEMBER_ROLES = ("internal_user", "internal_user_viewer", "org_admin")
_DEFAULT_PAGE = 25
_CHANGE = (HttpMethod.PATCH, HttpMethod.POST)
_REMOVE = (HttpMethod.DELETE, HttpMethod.POST)

_COLUMNS: Readers = {
    "organization_alias": ("organization_alias", fields.read_text, None),
    "models": ("models", fields.read_texts, ()),
    "allowed_model_region": ("allowed_model_region", fields.read_region, None),
    "blocked": ("blocked", fields.read_flag, UNSET),
    "metadata": ("metadata", fields.read_metadata, {}),
    "cost_center": ("cost_center", fields.read_cost_center, ""),
    **LIMITS,
}
_NOT_ENFORCED = frozenset(
    {
        "allowed_models", "object_permission",

    }
)  # fmt: skip


class OrganizationRoutes(Controller):
    """Admins alone change organizations and read them."""

    request_max_body_size = MOST_BODY_BYTES

    @post("/organization/new", status_code=200)
    async def create(
        self, request: AnyRequest, access: NamedDependency[Access], organizations: NamedDependency[Organizations]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        terms = read_new_organization(await read_body(request))
        return answer(render_organization(await organizations.create(terms, actor)))

    @route("/organization/update", http_method=_CHANGE, status_code=200)
    async def update(
        self, request: AnyRequest, access: NamedDependency[Access], organizations: NamedDependency[Organizations]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        organization_id, terms = read_organization_update(await read_body(request))
        return answer(render_organization(await organizations.update(organization_id, terms, actor)))

    @route("/organization/delete", http_method=_REMOVE, status_code=200)
    async def delete(
        self, request: AnyRequest, access: NamedDependency[Access], organizations: NamedDependency[Organizations]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        body = await read_body(request)
        check_names(body, {"organization_ids"}, ())
        deleted = await organizations.delete(require_texts(body, "organization_ids", HINT), actor)
        return answer([render_organization(view) for view in deleted])

    @get("/organization/info")
    async def info(
        self, request: AnyRequest, access: NamedDependency[Access], organizations: NamedDependency[Organizations]
    ) -> Response[bytes]:
        await access.require_admin(request)
        organization_id = read_query(request, ("organization_id",)).get("organization_id")
        if organization_id is None:
            raise Unprocessable(f'"organization_id" is missing; {HINT}', param="organization_id")
        return answer(render_organization((await organizations.get([organization_id]))[0]))

    @post("/organization/info", status_code=200)
    async def info_of_several(
        self, request: AnyRequest, access: NamedDependency[Access], organizations: NamedDependency[Organizations]
    ) -> Response[bytes]:
        await access.require_admin(request)
        body = await read_body(request)
        check_names(body, {"organizations"}, ())
        found = await organizations.get(require_texts(body, "organizations", HINT))
        return answer([render_organization(view) for view in found])

    @get("/organization/list")
    async def list_organizations(
        self, request: AnyRequest, access: NamedDependency[Access], organizations: NamedDependency[Organizations]
    ) -> Response[bytes]:
        await access.require_admin(request)
        query = read_query(request, ("org_id", "org_alias", *PAGE))
        number, size = read_page(query, _DEFAULT_PAGE)
        wanted = OrganizationFilter(query.get("org_id"), query.get("org_alias"))
        found, total = await organizations.list(wanted, number, size)
        return paged([render_organization(view) for view in found], total, number, size)


class OrganizationMemberRoutes(Controller):
    """Admins alone change who belongs to an organization."""

    request_max_body_size = MOST_BODY_BYTES

    @post("/organization/member_add", status_code=200)
    async def add(
        self,
        request: AnyRequest,
        access: NamedDependency[Access],
        organization_members: NamedDependency[OrganizationMembers],
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        organization_id, members = read_new_members_of_organization(await read_body(request))
        added = [
            render_organization_member(member)
            for member in await organization_members.add(organization_id, members, actor)
        ]
        return answer(
            {"organization_id": organization_id, "updated_users": added, "updated_organization_memberships": added}
        )

    @route("/organization/member_update", http_method=_CHANGE, status_code=200)
    async def update(
        self,
        request: AnyRequest,
        access: NamedDependency[Access],
        organization_members: NamedDependency[OrganizationMembers],
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        organization_id, member = read_member_of_organization(await read_body(request))
        changed = await organization_members.update(organization_id, member, actor)
        return answer(render_organization_member(changed))

    @route("/organization/member_delete", http_method=_REMOVE, status_code=200)
    async def delete(
        self,
        request: AnyRequest,
        access: NamedDependency[Access],
        organization_members: NamedDependency[OrganizationMembers],
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        body = await read_body(request)
        check_names(body, {"organization_id", "user_id", "user_email"}, ())
        member = read_member(body, MEMBER_ROLES)
        gone = await organization_members.delete(require_text(body, "organization_id", HINT), member, actor)
        return answer(render_organization_member(gone))


def read_new_organization(body: Body) -> OrganizationTerms:
    """Raises Unprocessable."""
    terms = _read_terms(body)
    if terms.columns.get("organization_alias") is None:
        raise Unprocessable('"organization_alias" is missing: what people call it', param="organization_alias")
    organization_id = body.get("organization_id", b"null")
    if is_null(organization_id):
        return terms
    columns = {**terms.columns, "organization_id": fields.read_text("organization_id", organization_id)}
    return OrganizationTerms(columns, terms.budget)


def read_organization_update(body: Body) -> tuple[str, OrganizationTerms]:
    """The organization meant, and the terms that change. Raises Unprocessable."""
    terms = _read_terms(body)
    return require_text(body, "organization_id", HINT), terms


def read_new_members_of_organization(body: Body) -> tuple[str, tuple[Member, ...]]:
    """Raises Unprocessable."""
    check_names(body, {"organization_id", "member"}, {"max_budget_in_organization"})
    organization_id = require_text(body, "organization_id", HINT)
    return organization_id, read_members("member", body.get("member", b"null"), MEMBER_ROLES)


def read_member_of_organization(body: Body) -> tuple[str, Member]:
    """The organization, and the member as it is to be. Raises Unprocessable."""
    check_names(body, {"organization_id", "user_id", "user_email", "role"}, {"max_budget_in_organization"})
    member = read_member(body, MEMBER_ROLES)
    return require_text(body, "organization_id", HINT), member


def _read_terms(body: Body) -> OrganizationTerms:
    check_names(body, {*_COLUMNS, *BUDGET, "organization_id"}, _NOT_ENFORCED)
    columns = read_terms(body, _COLUMNS)
    if "models" in columns:
        columns["models"] = list(columns["models"])
    return OrganizationTerms(columns, read_budget(body))
