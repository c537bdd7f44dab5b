"""The pages of teams: the list, one team with all that belongs to it, a new one, and what changes one."""

import asyncio
from typing import Any

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.admin.naming import Naming
from app.admin.people import Person
from app.admin.team_reading import MEMBERS_A_PAGE, TeamDetail
from app.admin.teams import Teams
from app.api.admin.team_fields import TEAM_ROLES, read_new_team, read_team_update
from app.api.ui.access import Pages
from app.api.ui.desk import Desk
from app.api.ui.forms import Filled, as_body, filled, refused
from app.api.ui.lists import last_page, page_of, read_listing, read_text
from app.api.ui.segments import last_word, read_segment, segment
from app.api.ui.team_form import NEW_TEAM, PERIODS, TEAM_READERS, read_team, shown_team
from app.base.errors import CallerError
from app.domain.roles import Tenant
from app.storage.postgres.teams import StoredTeam, TeamFilter

AnyRequest = Request[Any, Any, Any]
_PAGE = 25
_SORTS = ("team_alias", "spend", "created_at")
_STATES = ("active", "blocked")


class TeamPages(Controller):
    """On the services of ``/team/*``, with the same actions."""

    include_in_schema = False

    @get("/ui/teams")
    async def list_teams(
        self,
        request: AnyRequest,
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "team.read")
        tenant = person.reach("team.read")
        listing = read_listing(
            request, sorts=_SORTS, usual_sort="created_at", filters={"status": _STATES, "organization": None}
        )
        state = listing.chosen("status")
        wanted = TeamFilter(
            organization_id=listing.chosen("organization") or None,
            search=listing.search or None,
            blocked=None if not state else state == "blocked",
            sort_by=listing.sort,
            descending=listing.descending,
        )
        found, total = await desk.teams.list(tenant, wanted, listing.number, _PAGE)
        organizations = await desk.naming.organizations_for(person.reach("organization.read"))
        values: dict[str, Any] = {"lines": found, **page_of(listing, total, _PAGE)}
        values |= {"month": await desk.of_month(person, "team", [line.team.team_id for line in found])}
        values |= {"organizations": organizations, "names": await _names(desk.naming, [line.team for line in found])}
        values |= {"states": _STATES, "done": request.query_params.get("done"), "may_make": _may_make(person)}
        return pages.show(request, "teams.html", person, **values)

    @get("/ui/teams/new")
    async def new_page(
        self,
        request: AnyRequest,
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "team.change")
        form = filled({**NEW_TEAM, "organization_id": read_text(request, "organization_id")})
        return await _show_form(request, pages, desk, (person, None, form))

    @post("/ui/teams/new", status_code=200)
    async def create(
        self,
        request: AnyRequest,
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
        teams: NamedDependency[Teams],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "team.change")
        form = await pages.read_form(request)
        try:
            body = read_team(form, changes=False)
            view = await teams.create(read_new_team(body), await desk.actor(person, "POST /team/new", body))
        except CallerError as error:
            again = refused(form, TEAM_READERS, ["models"], error)
            return await _show_form(request, pages, desk, (person, None, again))
        return pages.go(f"/ui/teams/{segment(view.team_id)}?done=made")

    @get("/ui/teams/{team:str}")
    async def team_page(
        self,
        request: AnyRequest,
        team: FromPath[str],
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "team.read")
        return await show_team(request, pages, desk, person, (read_segment(team), filled({})))

    @get("/ui/teams/{team:str}/edit")
    async def edit_page(
        self,
        request: AnyRequest,
        team: FromPath[str],
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "team.change")
        found = await desk.teams.find(person.reach("team.change"), read_segment(team))
        form = filled(shown_team(*found), {"models": found[0].models})
        return await _show_form(request, pages, desk, (person, found[0], form))

    @post("/ui/teams/{team:str}/edit", status_code=200)
    async def change(
        self,
        request: AnyRequest,
        team: FromPath[str],
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
        teams: NamedDependency[Teams],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "team.change")
        form = await pages.read_form(request)
        team_id = read_segment(team)
        present, _, _ = await desk.teams.find(person.reach("team.change"), team_id)
        try:
            body = read_team(form, changes=True) | as_body(team_id=team_id)
            _, terms = read_team_update(body)
            await teams.update(team_id, terms, await desk.actor(person, "POST /team/update", body))
        except CallerError as error:
            again = refused(form, TEAM_READERS, ["models"], error)
            return await _show_form(request, pages, desk, (person, present, again))
        return pages.go(f"/ui/teams/{segment(team_id)}?done=changed")

    @post(["/ui/teams/{team:str}/block", "/ui/teams/{team:str}/unblock"], status_code=200)
    async def block(
        self,
        request: AnyRequest,
        team: FromPath[str],
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
        teams: NamedDependency[Teams],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "team.change")
        await pages.read_form(request)
        team_id, verb = read_segment(team), last_word(request)
        actor = await desk.actor_on(person, f"POST /team/{verb}", team_id=team_id)
        await teams.block(team_id, actor, blocked=verb == "block")
        return pages.go(f"/ui/teams/{segment(team_id)}?done={verb}ed")

    @post("/ui/teams/{team:str}/delete", status_code=200)
    async def delete(
        self,
        request: AnyRequest,
        team: FromPath[str],
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
        teams: NamedDependency[Teams],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "team.change")
        await pages.read_form(request)
        team_id = read_segment(team)
        await teams.delete([team_id], await desk.actor_on(person, "POST /team/delete", team_id=team_id))
        return pages.go("/ui/teams?done=deleted")


async def show_team(
    request: AnyRequest, pages: Pages, desk: Desk, person: Person, shown: tuple[str, Filled]
) -> Response[bytes]:
    """The team's id, and the form of a new member."""
    team_id, adding = shown
    listing = read_listing(request)
    found, (models, people) = await asyncio.gather(
        desk.teams.get(person.reach("team.read"), team_id, listing.number),
        desk.largest_by_each(person, ("model", "user"), "team", team_id),
    )
    values: dict[str, Any] = {"found": found, "listing": listing, "adding": adding, "roles": TEAM_ROLES}
    values |= {"models": models, "people": people, "may": powers_on(person, found.team)}
    values |= {"names": await _detail_names(desk.naming, found), "done": request.query_params.get("done")}
    values |= {"last": last_page(found.belongings.members, MEMBERS_A_PAGE), "by_address": may_name_by_address(person)}
    values |= {"settings": await desk.claude_code_settings(person, team_id=team_id), "known": []}
    values |= {"groups": desk.groups()}
    organization_id = found.team.organization_id
    if values["may"]["organization"] and values["may"]["members"] and organization_id is not None:
        values["known"] = await desk.teams.people_of(organization_id, team_id)
    return pages.show_form(request, "team.html", person, adding.error, **values)


def powers_on(person: Person, team: StoredTeam) -> dict[str, bool]:
    """What this person may do with this team, so that nothing is offered that would be refused."""
    actions = {"change": "team.change", "members": "team.members", "keys": "key.change", "projects": "project.change"}
    actions |= {"people": "tenancy.read", "organization": "organization.read", "settings": "settings.change"}
    return {name: _holds(person.tenant(action), team) for name, action in actions.items()}


def may_name_by_address(person: Person) -> bool:
    """Others name people by their id, so that nobody learns whose address is known here."""
    tenant = person.tenant("team.members")
    return tenant is not None and tenant.everything


def _holds(tenant: Tenant | None, team: StoredTeam) -> bool:
    if tenant is None:
        return False
    return tenant.everything or team.team_id in tenant.team_ids or team.organization_id in tenant.organization_ids


def _may_make(person: Person) -> bool:
    tenant = person.tenant("team.change")
    return tenant is not None and (tenant.everything or bool(tenant.organization_ids))


async def _show_form(
    request: AnyRequest,
    pages: Pages,
    desk: Desk,
    shown: tuple[Person, StoredTeam | None, Filled],
) -> Response[bytes]:
    person, team, form = shown
    tenant = person.reach("team.change")
    organizations = await desk.naming.organizations_for(tenant)
    choices = [("", "None"), *organizations] if tenant.everything else organizations
    values: dict[str, Any] = {"team": team, "f": form, "organizations": choices, "periods": PERIODS}
    values |= desk.model_choices(person)
    values |= {"shared": await desk.shared_budgets(person), "centers": await desk.cost_centers(person, "team.change")}
    return pages.show_form(request, "team_form.html", person, form.error, **values)


async def _names(naming: Naming, found: list[StoredTeam]) -> dict[str, str]:
    return dict(await naming.names("organization", [team.organization_id for team in found]))


async def _detail_names(naming: Naming, found: TeamDetail) -> dict[str, str]:
    users = await naming.names("user", [view.key.user_id for view in found.keys])
    return {**users, **await _names(naming, [found.team])}
