"""The pages of budgets: all that somebody reaches, the nearest to its limit first, and those that are shared."""

from typing import Any
from urllib.parse import quote, urlencode

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency

from app.admin.budget_board import (
    BOARD_KINDS,
    BOARD_STATES,
    BoardKind,
    BoardLine,
    BoardState,
    BudgetBoard,
    kinds_within,
    most_of,
)
from app.admin.budgets import SharedBudgets
from app.admin.people import Person
from app.admin.standings import window_of
from app.api.ui.access import Pages
from app.api.ui.budget_form import EXCEEDED, PERIODS, SHARED, read_shared, typed_shared
from app.api.ui.lists import last_page, page_of, read_id, read_listing
from app.api.ui.segments import segment
from app.base.clock import now
from app.base.errors import CallerError
from app.domain.roles import EVERYTHING
from app.storage.postgres.budgets import StoredBudget

AnyRequest = Request[Any, Any, Any]
_PAGE = 30
KIND_WORDS: dict[BoardKind, str] = {
    "platform": "Platform", "organization": "Organizations", "team": "Teams", "project": "Projects",
    "member": "Members of teams", "user": "People", "key": "Keys", "customer": "Customers", "tag": "Tags",
    "group": "Access groups", "provider": "Providers", "deployment": "Deployments",
}  # fmt: skip
STATE_WORDS: dict[BoardState, str] = {
    "reached": "Reached", "near": "Nearly reached", "ahead": "Will be reached at this pace", "unused": "Nothing spent",
}  # fmt: skip

_PAGES_OF: dict[BoardKind, str] = {
    "organization": "/ui/organizations/", "team": "/ui/teams/", "project": "/ui/projects/", "member": "/ui/teams/",
    "user": "/ui/people/", "key": "/ui/keys/", "customer": "/ui/customers/",
}  # fmt: skip


class BudgetPages(Controller):
    """The board has what somebody's keys may be read of. What is shared is for who sees all of the tenancy, and only a
    ``proxy_admin`` changes it, as by ``/budget/*``."""

    include_in_schema = False

    @get("/ui/budgets")
    async def board(
        self, request: AnyRequest, pages: NamedDependency[Pages], budget_board: NamedDependency[BudgetBoard]
    ) -> Response[bytes]:
        person = await pages.require_page(request, "key.read")
        tenant = person.actor("key.read").tenant
        listing = read_listing(request, filters={"level": BOARD_KINDS, "state": BOARD_STATES})
        kind = next((one for one in BOARD_KINDS if one == listing.chosen("level")), None)
        state = next((one for one in BOARD_STATES if one == listing.chosen("state")), None)
        found = await budget_board.page(tenant, kind, state, listing.search, listing.number, _PAGE)
        lines = [(line, _address(line, person)) for line in found.lines]
        values: dict[str, Any] = {"board": found, "lines": lines, "last": last_page(found.total, _PAGE)}
        values |= {"listing": listing, "kinds": {one: KIND_WORDS[one] for one in kinds_within(tenant)}}
        values |= {"states": STATE_WORDS, "periods": PERIODS, "most": most_of(kind)}
        values |= {"may_change": person.may("settings.change"), "sees_all": person.may("tenancy.read")}
        return pages.show(request, "budgets.html", person, **values)

    @get("/ui/budgets/shared")
    async def shared(
        self, request: AnyRequest, pages: NamedDependency[Pages], shared_budgets: NamedDependency[SharedBudgets]
    ) -> Response[bytes]:
        person = await pages.require_page(request, "tenancy.read")
        listing = read_listing(request)
        found, total = await shared_budgets.list(listing.number, _PAGE)
        at = now()
        ends = {budget.budget_id: window_of(budget, at).end for budget in found}
        values: dict[str, Any] = {"found": found, "ends": ends, **page_of(listing, total, _PAGE)}
        values |= {"may_change": person.may("settings.change"), "periods": PERIODS}
        values |= {"done": request.query_params.get("done")}
        return pages.show(request, "budgets_shared.html", person, **values)

    @get("/ui/budgets/shared/edit")
    async def edit_page(
        self, request: AnyRequest, pages: NamedDependency[Pages], shared_budgets: NamedDependency[SharedBudgets]
    ) -> Response[bytes]:
        """Without ``id`` it is a new one."""
        person = await pages.require_page(request, "settings.change")
        budget_id = read_id(request, "id")
        if not budget_id:
            typed = dict.fromkeys(SHARED, "") | {"budget_duration": "month"}
            return await _show_form(request, pages, shared_budgets, person, typed)
        [stored] = await shared_budgets.get([budget_id])
        return await _show_form(request, pages, shared_budgets, person, typed_shared(stored), stored)

    @post("/ui/budgets/shared/edit", status_code=200)
    async def save(
        self, request: AnyRequest, pages: NamedDependency[Pages], shared_budgets: NamedDependency[SharedBudgets]
    ) -> Response[bytes]:
        person = await pages.require_page(request, "settings.change")
        form = await pages.read_form(request)
        actor, budget_id = person.actor("settings.change"), form.raw("id")
        stored = (await shared_budgets.get([budget_id]))[0] if budget_id else None
        try:
            if stored is None:
                await shared_budgets.create(form.text("budget_id") or None, read_shared(form), actor)
            else:
                await shared_budgets.update(stored.budget_id, read_shared(form), actor)
        except CallerError as error:
            typed = {name: form.text(name) for name in SHARED}
            return await _show_form(request, pages, shared_budgets, person, typed, stored, error)
        return pages.go(f"/ui/budgets/shared?done={'changed' if stored else 'made'}")

    @post("/ui/budgets/shared/delete", status_code=200)
    async def delete(
        self, request: AnyRequest, pages: NamedDependency[Pages], shared_budgets: NamedDependency[SharedBudgets]
    ) -> Response[bytes]:
        person = await pages.require_page(request, "settings.change")
        form = await pages.read_form(request)
        [stored] = await shared_budgets.get([form.raw("id")])
        try:
            await shared_budgets.delete(stored.budget_id, person.actor("settings.change"))
        except CallerError as error:
            return await _show_form(request, pages, shared_budgets, person, typed_shared(stored), stored, error)
        return pages.go("/ui/budgets/shared?done=deleted")


async def _show_form(  # noqa: PLR0913  what was typed is shown again
    request: AnyRequest,
    pages: Pages,
    shared_budgets: SharedBudgets,
    person: Person,
    typed: dict[str, str],
    stored: StoredBudget | None = None,
    error: CallerError | None = None,
) -> Response[bytes]:
    owners = {} if stored is None else await shared_budgets.owners(stored.budget_id)
    values: dict[str, Any] = {"typed": typed, "stored": stored, "owners": owners, "error": error}
    values |= {"periods": PERIODS, "exceeded": EXCEEDED}
    return pages.show_form(request, "budget_form.html", person, error, **values)


def _address(line: BoardLine, person: Person) -> str | None:
    """The page of whose budget it is, where there is one that this person may open."""
    if line.kind == "tag":
        return f"/ui/budgets/tags/edit?name={quote(line.of.ids[0], safe='')}"
    if line.kind in ("provider", "deployment"):
        if person.tenant("model.read") != EVERYTHING:
            return None
        query = {"provider": line.of.ids[1]} if line.kind == "provider" else {"name": line.of.ids[2]}
        return f"/ui/models{'' if line.kind == 'provider' else '/one'}?{urlencode(query)}"
    if line.kind not in _PAGES_OF:
        return None
    if line.kind == "member":
        of_teams = person.tenant("team.read")
        if of_teams is None or not (of_teams.everything or line.of.ids[0] in of_teams.team_ids):
            return None
    return _PAGES_OF[line.kind] + segment(line.of.ids[0])
