"""The user routes, with LiteLLM's paths, fields and answers."""

from typing import Any

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency

from app.admin.users import Users
from app.api.admin.answers import answer
from app.api.admin.fields import MOST_BODY_BYTES, check_names, read_body
from app.api.admin.key_answers import render_issued, render_row
from app.api.admin.queries import Query, read_choice, read_query
from app.api.admin.team_answers import render_team
from app.api.admin.tenancy_answers import total_pages
from app.api.admin.term_fields import PAGE, read_page, require_texts
from app.api.admin.user_answers import render_user
from app.api.admin.user_fields import HINT, USER_ROLES, read_new_user, read_user_update
from app.api.security import Access
from app.base.errors import Unprocessable
from app.storage.postgres.users import UserFilter

AnyRequest = Request[Any, Any, Any]
_DEFAULT_PAGE = 25
_FILTERS = ("role", "user_ids", "user_email", "team", "search")


class UserRoutes(Controller):
    """Admins alone change users and read them."""

    request_max_body_size = MOST_BODY_BYTES

    @post("/user/new", status_code=200)
    async def create(
        self, request: AnyRequest, access: NamedDependency[Access], users: NamedDependency[Users]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        terms, key_terms = read_new_user(await read_body(request))
        view, issued = await users.create(terms, actor, key_terms)
        of_key = {"key": "", "token": None} if issued is None else render_issued(issued)
        return answer({**of_key, **render_user(view)})

    @post("/user/update", status_code=200)
    async def update(
        self, request: AnyRequest, access: NamedDependency[Access], users: NamedDependency[Users]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        who, terms = read_user_update(await read_body(request))
        view = await users.update(who, terms, actor)
        return answer({"user_id": view.user.user_id, "data": render_user(view)})

    @post("/user/delete", status_code=200)
    async def delete(
        self, request: AnyRequest, access: NamedDependency[Access], users: NamedDependency[Users]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        body = await read_body(request)
        check_names(body, {"user_ids"}, ())
        return answer(await users.delete(require_texts(body, "user_ids", HINT), actor))

    @get("/user/info")
    async def info(
        self, request: AnyRequest, access: NamedDependency[Access], users: NamedDependency[Users]
    ) -> Response[bytes]:
        await access.require_admin(request)
        view, keys, teams = await users.get(_read_user_id(request))
        return answer(
            {
                "user_id": view.user.user_id,
                "user_info": render_user(view),
                "keys": [render_row(key) for key in keys],
                "teams": [render_team(team) for team in teams],
            }
        )

    @get("/v2/user/info")
    async def info_alone(
        self, request: AnyRequest, access: NamedDependency[Access], users: NamedDependency[Users]
    ) -> Response[bytes]:
        await access.require_admin(request)
        view, _, _ = await users.get(_read_user_id(request))
        return answer(render_user(view))

    @get("/user/list")
    async def list_users(
        self, request: AnyRequest, access: NamedDependency[Access], users: NamedDependency[Users]
    ) -> Response[bytes]:
        await access.require_admin(request)
        query = read_query(request, (*_FILTERS, *PAGE))
        number, size = read_page(query, _DEFAULT_PAGE)
        found, total = await users.list(_read_filter(query), number, size)
        return answer(
            {
                "users": [{**render_user(view), "key_count": view.key_count} for view in found],
                "total": total,
                "page": number,
                "page_size": size,
                "total_pages": total_pages(total, size),
            }
        )


def _read_user_id(request: AnyRequest) -> str:
    user_id = read_query(request, ("user_id",)).get("user_id")
    if user_id is None:
        raise Unprocessable('"user_id" is missing; see GET /user/list', param="user_id")
    return user_id


def _read_filter(query: Query) -> UserFilter:
    """``user_ids`` are separated by commas."""
    return UserFilter(
        user_ids=tuple(query["user_ids"].split(",")) if "user_ids" in query else None,
        role=read_choice(query, "role", USER_ROLES),
        email_part=query.get("user_email"),
        team_id=query.get("team"),
        search=query.get("search"),
    )
