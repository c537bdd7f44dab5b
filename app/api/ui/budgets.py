"""The pages of budgets: all that are set anywhere, the nearest to its limit first, and those that are shared."""

from typing import Any, get_args

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency

from app.admin.budget_board import BOARD_KINDS, BOARD_STATES, MOST_OF_KIND, BoardKind, BoardState, BudgetBoard
from app.admin.budgets import SharedBudgets
from app.admin.people import Person
from app.admin.standings import window_of
from app.api.ui.access import Pages
from app.api.ui.budget_form import EXCEEDED, PERIODS, SHARED, read_shared, typed_shared
from app.api.ui.lists import last_page, read_listing, read_text
from app.base.clock import now
from app.base.errors import CallerError
from app.storage.postgres.budgets import StoredBudget

AnyRequest = Request[Any, Any, Any]
_PAGE = 30
KIND_WORDS: dict[BoardKind, str] = {
    "platform": "Platform", "organization": "Organizations", "team": "Teams", "project": "Projects",
    "member": "Members of teams", "user": "People", "key": "Keys", "customer": "Customers", "tag": "Tags",
    "group": "Access groups",
}  # fmt: skip
STATE_WORDS: dict[BoardState, str] = {
    "reached": "Reached", "near": "Nearly reached", "ahead": "Will be reached at this pace", "unused": "Nothing spent",
}  # fmt: skip


class BudgetPages(Controller):
    """For who sees all of the tenancy; only a ``proxy_admin`` changes shared budgets, as by ``/budget/*``."""

    include_in_schema = False

    @get("/ui/budgets")
    async def board(
        self, request: AnyRequest, pages: NamedDependency[Pages], budget_board: NamedDependency[BudgetBoard]
    ) -> Response[bytes]:
        person = await pages.require_page(request, "tenancy.read")
        listing = read_listing(request, filters={"level": BOARD_KINDS, "state": BOARD_STATES})
        kind = next((one for one in get_args(BoardKind) if one == listing.chosen("level")), None)
        state = next((one for one in get_args(BoardState) if one == listing.chosen("state")), None)
        found = await budget_board.page(kind, state, listing.search, listing.number, _PAGE)
        values: dict[str, Any] = {"board": found, "listing": listing, "last": last_page(found.total, _PAGE)}
        values |= {"kinds": KIND_WORDS, "states": STATE_WORDS, "periods": PERIODS, "most": MOST_OF_KIND}
        values |= {"may_change": _may_change(person)}
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
        values: dict[str, Any] = {"found": found, "ends": ends, "total": total, "last": last_page(total, _PAGE)}
        values |= {"listing": listing, "may_change": _may_change(person), "periods": PERIODS}
        values |= {"done": request.query_params.get("done")}
        return pages.show(request, "budgets_shared.html", person, **values)

    @get("/ui/budgets/shared/edit")
    async def edit_page(
        self, request: AnyRequest, pages: NamedDependency[Pages], shared_budgets: NamedDependency[SharedBudgets]
    ) -> Response[bytes]:
        """Without ``id`` it is a new one."""
        person = await pages.require_page(request, "settings.change")
        budget_id = read_text(request, "id")
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
        actor, budget_id = person.actor("settings.change"), form.text("id")
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
        [stored] = await shared_budgets.get([form.text("id")])
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
    return pages.show(request, "budget_form.html", person, status=error.status if error else 200, **values)


def _may_change(person: Person) -> bool:
    return person.tenant("settings.change") is not None
