"""The page of people: who there is, who can sign in, and invitations."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.admin.people import Person, check_email
from app.admin.users import Users, UserTerms
from app.api.ui.access import SIGN_IN, Form, Pages
from app.api.ui.lists import page_of, read_listing
from app.api.ui.role_words import ROLE_WORDS
from app.api.ui.segments import read_segment
from app.api.ui.sign_in import INVITATION
from app.base.errors import CallerError, Unprocessable
from app.domain.roles import DEFAULT_ROLE, USER_ROLES
from app.storage.postgres.users import StoredUser, UserFilter

AnyRequest = Request[Any, Any, Any]
_PAGE = 50
_STATES = ("active", "blocked")


@dataclass(frozen=True, slots=True)
class Invited:
    """The link opens an account: it is shown once, in the answer to the form that made it.

    ``until`` is None where it leads to ``single_sign_on``; ``unsent`` says why a mail did not go out.
    """

    email: str
    link: str
    until: datetime | None
    by_mail: bool
    unsent: str | None
    single_sign_on: str | None = None


class PeoplePages(Controller):
    """On the services of ``/user/*``, with the same actions."""

    include_in_schema = False

    @get("/ui/people")
    async def people(
        self, request: AnyRequest, pages: NamedDependency[Pages], users: NamedDependency[Users]
    ) -> Response[bytes]:
        person = await pages.require_page(request, "tenancy.read")
        return await _show_people(request, pages, users, person)

    @post("/ui/people", status_code=200)
    async def invite_new(
        self, request: AnyRequest, pages: NamedDependency[Pages], users: NamedDependency[Users]
    ) -> Response[bytes]:
        person = await pages.require_page(request, "tenancy.change")
        form = await pages.read_form(request)
        try:
            actor = person.actor("tenancy.change")
            made, _ = await users.create(_read_user(form), actor, None)
            invited = await _invite(request, pages, made.user, person)
        except CallerError as error:
            typed = {"email": form.text("email"), "role": form.text("role")}
            return await _show_people(request, pages, users, person, (error, typed))
        return pages.show(request, "invited.html", person, invited=invited)

    @post("/ui/people/{user:str}/invite", status_code=200)
    async def invite_again(
        self, request: AnyRequest, user: FromPath[str], pages: NamedDependency[Pages], users: NamedDependency[Users]
    ) -> Response[bytes]:
        person = await pages.require_page(request, "tenancy.change")
        await pages.read_form(request)
        user_id = read_segment(user)
        view, _, _ = await users.get(user_id)
        invited = await _invite(request, pages, view.user, person)
        return pages.show(request, "invited.html", person, invited=invited)

    @post("/ui/people/{user:str}/unlink", status_code=200)
    async def unlink(self, request: AnyRequest, user: FromPath[str], pages: NamedDependency[Pages]) -> Response[bytes]:
        person = await pages.require_page(request, "tenancy.change")
        await pages.read_form(request)
        await pages.people.unlink(read_segment(user), person.actor("tenancy.change"))
        return pages.go("/ui/people")


async def _show_people(
    request: AnyRequest,
    pages: Pages,
    users: Users,
    person: Person,
    refused: tuple[CallerError, dict[str, str]] | None = None,
) -> Response[bytes]:
    error, typed = refused or (None, {"email": "", "role": "internal_user"})
    listing = read_listing(request, filters={"role": USER_ROLES, "status": _STATES})
    role, state = listing.chosen("role"), listing.chosen("status")
    wanted = UserFilter(
        role=role or None,
        or_without_role=role == DEFAULT_ROLE,
        search=listing.search or None,
        blocked=None if not state else state == "blocked",
    )
    found, total = await users.list(wanted, listing.number, _PAGE)
    values: dict[str, Any] = {"views": found, **page_of(listing, total, _PAGE)}
    values |= {"states": await pages.people.states([view.user.user_id for view in found])}
    values |= {"error": error, "typed": typed, "roles": ROLE_WORDS, "role_names": USER_ROLES, "statuses": _STATES}
    values |= {"done": request.query_params.get("done")}
    values |= {"may_invite": person.may("tenancy.change")}
    return pages.show_form(request, "people.html", person, error, **values)


async def _invite(request: AnyRequest, pages: Pages, user: StoredUser, person: Person) -> Invited:
    """With a mail where one can be sent. Raises Unprocessable for somebody without an address."""
    actor, email, unsent = person.actor("tenancy.change"), user.user_email or "", None
    single_sign_on = pages.single_sign_on
    if single_sign_on is not None and not pages.people.takes_passwords:
        link = pages.address(request, SIGN_IN)
        if pages.post is not None:
            unsent = await pages.post.send_welcome(email, link, single_sign_on.name, person.name)
        return Invited(email, link, None, pages.post is not None, unsent, single_sign_on.name)
    token, until = await pages.people.invite(user.user_id, actor)
    link = pages.address(request, f"{INVITATION}/{token}")
    if pages.post is not None:
        unsent = await pages.post.send_invitation(email, link, until, person.name)
    return Invited(email, link, until, pages.post is not None, unsent)


def _read_user(form: Form) -> UserTerms:
    """Raises Unprocessable."""
    email, role = form.text("email"), form.text("role")
    check_email(email)
    if role not in USER_ROLES:
        raise Unprocessable(f'"role" is "{role[:50]}"; give one of {", ".join(USER_ROLES)}', param="role")
    return UserTerms(columns={"user_email": email, "user_role": role})
