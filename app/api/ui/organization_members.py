"""What the page of an organization does with its members: takes them in, gives them another role, takes them out."""

from typing import Any

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.admin.memberships import Member
from app.admin.organization_members import OrganizationMembers
from app.admin.organizations import Organizations
from app.api.admin.organizations import read_member_of_organization, read_new_members_of_organization
from app.api.ui.access import Pages
from app.api.ui.desk import Desk
from app.api.ui.forms import as_body, refused
from app.api.ui.organizations import MEMBER_ROLE_WORDS, show_organization
from app.api.ui.segments import read_segment, segment
from app.api.ui.team_members import read_new_member
from app.base.errors import CallerError, NotFound

AnyRequest = Request[Any, Any, Any]


class OrganizationMemberPages(Controller):
    """On the services of ``/organization/member_*``, with the same action."""

    include_in_schema = False

    @post("/ui/organizations/{organization:str}/members", status_code=200)
    async def add(
        self,
        request: AnyRequest,
        organization: FromPath[str],
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
        organization_members: NamedDependency[OrganizationMembers],
        organizations: NamedDependency[Organizations],
    ) -> Response[bytes]:
        person, organization_id = await pages.require_page(request, "organization.members"), read_segment(organization)
        form = await pages.read_form(request)
        try:
            named = read_new_member(form, person)
            body = as_body(organization_id=organization_id, member=named)
            actor = await desk.actor(person, "POST /organization/member_add", body)
            read = read_new_members_of_organization(body)
            await desk.check_named(named)
            await organization_members.add(*read, actor)
        except CallerError as error:
            again = refused(form, ["who", "role"], [], error)
            return await show_organization(request, pages, (desk, organizations), person, (organization_id, again))
        return pages.go(f"/ui/organizations/{segment(organization_id)}?done=added#members")

    @get("/ui/organizations/{organization:str}/members/{user:str}")
    async def member_page(
        self,
        request: AnyRequest,
        organization: FromPath[str],
        user: FromPath[str],
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
        organizations: NamedDependency[Organizations],
    ) -> Response[bytes]:
        person, organization_id = await pages.require_page(request, "organization.members"), read_segment(organization)
        await desk.actor_on(person, "GET /organization/info", organization_id=organization_id)
        [view] = await organizations.get([organization_id])
        member = next((one for one in view.members if one.user_id == read_segment(user)), None)
        if member is None:
            raise NotFound("There is no such member.")
        values: dict[str, Any] = {"organization": view.organization, "member": member, "roles": MEMBER_ROLE_WORDS}
        return pages.show(request, "organization_member.html", person, **values)

    @post("/ui/organizations/{organization:str}/members/{user:str}", status_code=200)
    async def change(
        self,
        request: AnyRequest,
        organization: FromPath[str],
        user: FromPath[str],
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
        organization_members: NamedDependency[OrganizationMembers],
    ) -> Response[bytes]:
        person, organization_id = await pages.require_page(request, "organization.members"), read_segment(organization)
        form = await pages.read_form(request)
        body = as_body(organization_id=organization_id, user_id=read_segment(user), role=form.text("role"))
        actor = await desk.actor(person, "POST /organization/member_update", body)
        await organization_members.update(*read_member_of_organization(body), actor)
        return pages.go(f"/ui/organizations/{segment(organization_id)}?done=member-changed#members")

    @post("/ui/organizations/{organization:str}/members/{user:str}/remove", status_code=200)
    async def remove(
        self,
        request: AnyRequest,
        organization: FromPath[str],
        user: FromPath[str],
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
        organization_members: NamedDependency[OrganizationMembers],
    ) -> Response[bytes]:
        person, organization_id = await pages.require_page(request, "organization.members"), read_segment(organization)
        await pages.read_form(request)
        user_id = read_segment(user)
        named = {"organization_id": organization_id, "user_id": user_id}
        actor = await desk.actor_on(person, "POST /organization/member_delete", **named)
        await organization_members.delete(organization_id, Member(user_id=user_id), actor)
        return pages.go(f"/ui/organizations/{segment(organization_id)}?done=removed#members")
