"""The pages of a team's members: added, given another role, budget or limit, and taken out."""

from typing import Any

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.admin.memberships import Member, TeamMembers
from app.admin.people import Person
from app.api.admin.team_fields import TEAM_ROLES, read_member_add, read_member_update
from app.api.ui.access import Form, Pages
from app.api.ui.desk import Desk
from app.api.ui.forms import Filled, as_body, filled, read_fields, refused
from app.api.ui.segments import read_segment, segment
from app.api.ui.team_form import MEMBER_READERS, PERIODS, shown_member
from app.api.ui.teams import may_name_by_address, show_team
from app.base.errors import CallerError, Unprocessable

AnyRequest = Request[Any, Any, Any]


class TeamMemberPages(Controller):
    """On the services of ``/team/member_*``, with the same actions."""

    include_in_schema = False

    @post("/ui/teams/{team:str}/members", status_code=200)
    async def add(
        self,
        request: AnyRequest,
        team: FromPath[str],
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
        team_members: NamedDependency[TeamMembers],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "team.members")
        form = await pages.read_form(request)
        team_id = read_segment(team)
        try:
            named = read_new_member(form, person)
            body = as_body(team_id=team_id, member=named)
            _, members, terms = read_member_add(body)
            actor = await desk.actor(person, "POST /team/member_add", body)
            await desk.check_named(named)
            await team_members.add(team_id, members, terms, actor)
        except CallerError as error:
            again = refused(form, ["who", "role"], [], error)
            return await show_team(request, pages, desk, person, (team_id, again))
        return pages.go(f"/ui/teams/{segment(team_id)}?done=added#members")

    @get("/ui/teams/{team:str}/members/{user:str}")
    async def member_page(
        self,
        request: AnyRequest,
        team: FromPath[str],
        user: FromPath[str],
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "team.members")
        return await _show(request, pages, desk, person, (read_segment(team), read_segment(user)), None)

    @post("/ui/teams/{team:str}/members/{user:str}", status_code=200)
    async def change(
        self,
        request: AnyRequest,
        team: FromPath[str],
        user: FromPath[str],
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
        team_members: NamedDependency[TeamMembers],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "team.members")
        form = await pages.read_form(request)
        team_id, user_id = read_segment(team), read_segment(user)
        try:
            body = read_fields(form, MEMBER_READERS, changes=True) | as_body(team_id=team_id, user_id=user_id)
            _, member, terms = read_member_update(body)
            actor = await desk.actor(person, "POST /team/member_update", body)
            await team_members.update(team_id, member, terms, actor)
        except CallerError as error:
            again = refused(form, MEMBER_READERS, [], error)
            return await _show(request, pages, desk, person, (team_id, user_id), again)
        return pages.go(f"/ui/teams/{segment(team_id)}?done=member-changed#members")

    @post("/ui/teams/{team:str}/members/{user:str}/remove", status_code=200)
    async def remove(
        self,
        request: AnyRequest,
        team: FromPath[str],
        user: FromPath[str],
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
        team_members: NamedDependency[TeamMembers],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "team.members")
        await pages.read_form(request)
        team_id, user_id = read_segment(team), read_segment(user)
        actor = await desk.actor_on(person, "POST /team/member_delete", team_id=team_id, user_id=user_id)
        await team_members.delete(team_id, Member(user_id=user_id), actor)
        return pages.go(f"/ui/teams/{segment(team_id)}?done=removed#members")


def read_new_member(form: Form, person: Person) -> dict[str, str]:
    """Whoever is named by id, or by address where this person may do so, with a role. Raises Unprocessable."""
    who = form.text("who")
    if not who:
        raise Unprocessable("nobody is named; give an e-mail address or a user id", param="who")
    return {"user_email" if "@" in who and may_name_by_address(person) else "user_id": who, "role": form.text("role")}


async def _show(
    request: AnyRequest,
    pages: Pages,
    desk: Desk,
    person: Person,
    ids: tuple[str, str],
    refused_form: Filled | None,
) -> Response[bytes]:
    team, view = await desk.teams.find_member(person.reach("team.members"), *ids)
    form = refused_form or filled(shown_member(view))
    values: dict[str, Any] = {"team": team, "view": view, "f": form, "roles": TEAM_ROLES, "periods": PERIODS}
    return pages.show_form(request, "team_member.html", person, form.error, **values)
