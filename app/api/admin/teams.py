"""The team routes, with LiteLLM's paths, fields and answers."""

from dataclasses import replace
from typing import Any

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency

from app.admin.memberships import TeamMembers
from app.admin.teams import MOST_KEYS_SHOWN, Teams, TeamView
from app.api.admin.answers import answer
from app.api.admin.fields import MOST_BODY_BYTES, Body, check_names, read_body
from app.api.admin.key_answers import render_row
from app.api.admin.queries import Query, read_choice, read_number, read_query
from app.api.admin.team_answers import render_member, render_team
from app.api.admin.team_fields import (
    HINT,
    read_member_add,
    read_member_delete,
    read_member_update,
    read_new_team,
    read_team_update,
)
from app.api.admin.tenancy_answers import paged, render_membership, total_pages
from app.api.admin.term_fields import PAGE, read_page, require_text, require_texts
from app.api.security import Access
from app.base.errors import Unprocessable
from app.storage.postgres.teams import SORT_COLUMNS, TeamFilter

AnyRequest = Request[Any, Any, Any]
_DEFAULT_PAGE = 100
_FILTERS = ("organization_id", "user_id", "team_id", "team_alias", "search", "search_team_id_match")
_LIST_PARAMETERS = (*_FILTERS, "sort_by", "sort_order", *PAGE)


class TeamRoutes(Controller):
    """Admins alone change teams and read them."""

    request_max_body_size = MOST_BODY_BYTES

    @post("/team/new", status_code=200)
    async def create(
        self, request: AnyRequest, access: NamedDependency[Access], teams: NamedDependency[Teams]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        terms = read_new_team(await read_body(request))
        return answer(render_team(await teams.create(terms, actor)))

    @post("/team/update", status_code=200)
    async def update(
        self, request: AnyRequest, access: NamedDependency[Access], teams: NamedDependency[Teams]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        team_id, terms = read_team_update(await read_body(request))
        view = await teams.update(team_id, terms, actor)
        return answer({"team_id": team_id, "data": render_team(view)})

    @post("/team/block", status_code=200)
    async def block(
        self, request: AnyRequest, access: NamedDependency[Access], teams: NamedDependency[Teams]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        return answer(render_team(await teams.block(_read_team_id(await read_body(request)), actor, blocked=True)))

    @post("/team/unblock", status_code=200)
    async def unblock(
        self, request: AnyRequest, access: NamedDependency[Access], teams: NamedDependency[Teams]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        return answer(render_team(await teams.block(_read_team_id(await read_body(request)), actor, blocked=False)))

    @post(["/team/model/add", "/team/model/delete"], status_code=200)
    async def change_models(
        self, request: AnyRequest, access: NamedDependency[Access], teams: NamedDependency[Teams]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        body = await read_body(request)
        check_names(body, {"team_id", "models"}, ())
        team_id, models = require_text(body, "team_id", HINT), require_texts(body, "models", "see GET /model/info")
        adds = request.scope["path"].endswith("/add")
        return answer(render_team(await teams.change_models(team_id, models, actor, adds=adds)))

    @post("/team/delete", status_code=200)
    async def delete(
        self, request: AnyRequest, access: NamedDependency[Access], teams: NamedDependency[Teams]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        body = await read_body(request)
        check_names(body, {"team_ids"}, ())
        deleted = await teams.delete(require_texts(body, "team_ids", HINT), actor)
        return answer({"deleted_teams": [team.team_id for team in deleted]})

    @get("/team/info")
    async def info(
        self, request: AnyRequest, access: NamedDependency[Access], teams: NamedDependency[Teams]
    ) -> Response[bytes]:
        await access.require_admin(request)
        query = read_query(request, ("team_id", "key_limit"))
        team_id = query.get("team_id")
        if team_id is None:
            raise Unprocessable('"team_id" is missing; see GET /team/list', param="team_id")
        most_keys = read_number(query, "key_limit", MOST_KEYS_SHOWN, MOST_KEYS_SHOWN)
        view, keys, members = await teams.get(team_id, most_keys)
        return answer(
            {
                "team_id": view.team.team_id,
                "team_info": render_team(view),
                "keys": [render_row(key) for key in keys],
                "team_memberships": [render_membership(member) for member in members],
            }
        )

    @get("/team/list")
    async def list_teams(
        self, request: AnyRequest, access: NamedDependency[Access], teams: NamedDependency[Teams]
    ) -> Response[bytes]:
        await access.require_admin(request)
        found, total, number, size = await _list(teams, read_query(request, _LIST_PARAMETERS), _DEFAULT_PAGE)
        return paged([render_team(view) for view in found], total, number, size)

    @get("/team/available")
    async def available(self, request: AnyRequest, access: NamedDependency[Access]) -> Response[bytes]:
        """Teams that one may join by oneself: there are none, people are taken into teams."""
        await access.require_admin(request)
        return answer([])

    @get("/v2/team/list")
    async def list_pages(
        self, request: AnyRequest, access: NamedDependency[Access], teams: NamedDependency[Teams]
    ) -> Response[bytes]:
        await access.require_admin(request)
        found, total, number, size = await _list(teams, read_query(request, _LIST_PARAMETERS), 10)
        return answer(
            {
                "teams": [render_team(view) for view in found],
                "total": total,
                "page": number,
                "page_size": size,
                "total_pages": total_pages(total, size),
            }
        )


class TeamMemberRoutes(Controller):
    """Admins alone change who belongs to a team."""

    request_max_body_size = MOST_BODY_BYTES

    @post("/team/member_add", status_code=200)
    async def add(
        self,
        request: AnyRequest,
        access: NamedDependency[Access],
        teams: NamedDependency[Teams],
        team_members: NamedDependency[TeamMembers],
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        team_id, members, terms = read_member_add(await read_body(request))
        added = await team_members.add(team_id, members, terms, actor)
        view, _, _ = await teams.get(team_id, 1)
        updated = {
            "updated_users": [render_member(member.membership) for member in added],
            "updated_team_memberships": [render_membership(member) for member in added],
        }
        return answer({**render_team(view), **updated})

    @post("/team/member_update", status_code=200)
    async def update(
        self, request: AnyRequest, access: NamedDependency[Access], team_members: NamedDependency[TeamMembers]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        team_id, member, terms = read_member_update(await read_body(request))
        row = render_membership(await team_members.update(team_id, member, terms, actor))
        budget = row["litellm_budget_table"] or {}
        own = {"max_budget_in_team": budget.get("max_budget"), "budget_duration": budget.get("budget_duration")}
        return answer({**row, **own})

    @post("/team/member_delete", status_code=200)
    async def delete(
        self,
        request: AnyRequest,
        access: NamedDependency[Access],
        teams: NamedDependency[Teams],
        team_members: NamedDependency[TeamMembers],
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        team_id, member = read_member_delete(await read_body(request))
        await team_members.delete(team_id, member, actor)
        view, _, _ = await teams.get(team_id, 1)
        return answer(render_team(view))


async def _list(teams: Teams, query: Query, default_size: int) -> tuple[list[TeamView], int, int, int]:
    number, size = read_page(query, default_size)
    read_choice(query, "search_team_id_match", ("exact",))
    wanted = TeamFilter(
        organization_id=query.get("organization_id"),
        user_id=query.get("user_id"),
        team_id=query.get("team_id"),
        team_alias=query.get("team_alias"),
        search=query.get("search"),
    )
    sort_by = read_choice(query, "sort_by", SORT_COLUMNS.keys())
    descending = read_choice(query, "sort_order", ("asc", "desc")) == "desc"
    if sort_by is not None:
        wanted = replace(wanted, sort_by=sort_by, descending=descending)
    found, total = await teams.list(wanted, number, size)
    return found, total, number, size


def _read_team_id(body: Body) -> str:
    check_names(body, {"team_id"}, ())
    return require_text(body, "team_id", HINT)
