"""The pages of one person: what belongs to it and what it spent, and what changes, blocks and deletes it."""

from collections.abc import Mapping
from typing import Any

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.admin.people import Person
from app.admin.users import Users, UserView
from app.api.admin.user_fields import read_user_update
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
from app.api.ui.role_words import ROLE_WORDS, role_name
from app.api.ui.segments import last_word, read_segment, segment
from app.api.ui.team_form import PERIODS
from app.base.errors import CallerError

AnyRequest = Request[Any, Any, Any]
_MOST_KEYS = 10
_READERS: Mapping[str, Reader] = {
    "user_alias": text, "user_email": text, "user_role": text, **BUDGET_READERS, **LIMIT_READERS,
    "cost_center": text, "metadata": json_object,
}  # fmt: skip


class UserPages(Controller):
    """On the services of ``/user/*``, with the same actions: everybody reads of oneself."""

    include_in_schema = False

    @get("/ui/people/{user:str}")
    async def user_page(
        self,
        request: AnyRequest,
        user: FromPath[str],
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
        users: NamedDependency[Users],
    ) -> Response[bytes]:
        person, user_id = await pages.require_page(request, "user.read"), read_segment(user)
        await desk.actor_on(person, "GET /user/info", user_id=user_id)
        view, keys, teams = await users.get(user_id, _MOST_KEYS)
        organizations = [one.organization_id for one in view.organizations]
        values: dict[str, Any] = {"view": view, "keys": keys, "teams": teams, "done": request.query_params.get("done")}
        values |= {"models": await desk.largest(person, "model", "user", user_id)}
        values |= {"names": await desk.naming.names("organization", [*organizations, view.user.organization_id])}
        values |= {"team_names": await desk.naming.names("team", [key.key.team_id for key in keys])}
        values |= {"state": (await pages.people.states([user_id])).get(user_id), "is_self": user_id == person.user_id}
        values |= {"may_change": person.may("tenancy.change"), "role_words": ROLE_WORDS}
        values |= {"may_list": person.may("tenancy.read"), "groups": desk.groups()}
        return pages.show(request, "user.html", person, **values)

    @get("/ui/people/{user:str}/edit")
    async def edit_page(
        self,
        request: AnyRequest,
        user: FromPath[str],
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
        users: NamedDependency[Users],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "tenancy.change")
        view, _, _ = await users.get(read_segment(user), 1)
        return await _show_form(
            request, pages, desk, person, (view, filled(_shown(view), {"models": view.user.models}))
        )

    @post("/ui/people/{user:str}/edit", status_code=200)
    async def change(
        self,
        request: AnyRequest,
        user: FromPath[str],
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
        users: NamedDependency[Users],
    ) -> Response[bytes]:
        person, user_id = await pages.require_page(request, "tenancy.change"), read_segment(user)
        form = await pages.read_form(request)
        try:
            body = read_fields(form, _READERS, changes=True) | read_list(form, "models", changes=True)
            await _update(users, desk, person, body | as_body(user_id=user_id))
        except CallerError as error:
            view, _, _ = await users.get(user_id, 1)
            return await _show_form(request, pages, desk, person, (view, refused(form, _READERS, ["models"], error)))
        return pages.go(f"/ui/people/{segment(user_id)}?done=changed")

    @post(["/ui/people/{user:str}/block", "/ui/people/{user:str}/unblock"], status_code=200)
    async def block(
        self,
        request: AnyRequest,
        user: FromPath[str],
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
        users: NamedDependency[Users],
    ) -> Response[bytes]:
        person, user_id = await pages.require_page(request, "tenancy.change"), read_segment(user)
        await pages.read_form(request)
        verb = last_word(request)
        await _update(users, desk, person, as_body(user_id=user_id, blocked=verb == "block"))
        return pages.go(f"/ui/people/{segment(user_id)}?done={verb}ed")

    @post("/ui/people/{user:str}/delete", status_code=200)
    async def delete(
        self,
        request: AnyRequest,
        user: FromPath[str],
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
        users: NamedDependency[Users],
    ) -> Response[bytes]:
        person, user_id = await pages.require_page(request, "tenancy.change"), read_segment(user)
        await pages.read_form(request)
        await users.delete([user_id], await desk.actor_on(person, "POST /user/delete", user_ids=[user_id]))
        return pages.go("/ui/people?done=deleted")


async def _update(users: Users, desk: Desk, person: Person, body: dict[str, bytes]) -> None:
    who, terms = read_user_update(body)
    await users.update(who, terms, await desk.actor(person, "POST /user/update", body))


def _shown(view: UserView) -> dict[str, str]:
    user = view.user
    return {
        "user_alias": plain(user.user_alias),
        "user_email": plain(user.user_email),
        "user_role": plain(user.user_role),
        **shown_budget(view.standing.budget),
        **shown_limits(user),
        "cost_center": plain(user.cost_center),
        "metadata": pretty(user.metadata),
    }


async def _show_form(
    request: AnyRequest, pages: Pages, desk: Desk, person: Person, shown: tuple[UserView, Filled]
) -> Response[bytes]:
    view, form = shown
    roles = [("", f"None: as {role_name(None)}"), *ROLE_WORDS.items()]
    values: dict[str, Any] = {"view": view, "f": form, "roles": roles, "periods": PERIODS}
    values |= desk.model_choices(person)
    values |= {
        "shared": await desk.shared_budgets(person),
        "centers": await desk.cost_centers(person, "tenancy.change"),
    }
    return pages.show_form(request, "user_form.html", person, form.error, **values)
