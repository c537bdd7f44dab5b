"""The pages of the log: the latest calls, and one receipt in full with why it cost what it cost."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy import Row

from app.admin.naming import Naming
from app.admin.spend import BRIEF, Spend
from app.admin.spend_explorer import SpendExplorer, total_of
from app.api.finance.logs import read_cursor, write_cursor
from app.api.ui.access import Pages
from app.api.ui.lists import read_text
from app.api.ui.navigation import owner_pages
from app.api.ui.receipt_words import lines_of, reasons_of
from app.api.ui.requests_view import RESULTS, SPANS, RequestsView, read_requests_view
from app.api.ui.spend_filters import DIMENSIONS, NAMELESS, NAMES, Filters, choices_of, read_choice
from app.base.errors import CallerError, NotFound
from app.storage.postgres.receipts import LogPage, ReceiptFilter
from app.storage.postgres.report_names import NAMED
from app.storage.postgres.reports import COLUMN_NAMES, Dimension

AnyRequest = Request[Any, Any, Any]
_PAGE = 50


class RequestPages(Controller):
    """On the service of ``/spend/logs``, with the same action."""

    include_in_schema = False

    @get("/ui/requests")
    async def log(
        self,
        request: AnyRequest,
        pages: NamedDependency[Pages],
        spend: NamedDependency[Spend],
        naming: NamedDependency[Naming],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "spend.logs")
        tenant = person.reach("spend.logs")
        picked = NAMES.get(read_text(request, "pick"))
        values: dict[str, Any] = {"dimensions": DIMENSIONS, "nameless": NAMELESS, "results": RESULTS, "picked": picked}
        values |= {
            "spans": {name: words for name, (words, _) in SPANS.items()},
            "rows": [],
            "names": {},
            "choices": (),
            "whole": None,
        }
        if wanted_id := read_text(request, "find"):
            return pages.go(f"/ui/requests/{quote(wanted_id, safe='')}")
        try:
            view = read_requests_view(request)
            if chosen := read_choice(request):
                return pages.go(view.with_filter(*chosen))
            values["choices"] = await choices_of(SpendExplorer(spend), view.question(), picked, tenant)
        except CallerError as error:
            values |= {"view": RequestsView(), "error": error, "typed": dict(request.query_params)}
            return pages.show(request, "requests.html", person, status=error.status, **values)
        cursor = read_text(request, "cursor")
        page = LogPage(most=_PAGE + 1, after=read_cursor(cursor) if cursor else None)
        found = await spend.log_rows(tenant, view.receipts(), page)
        follows = write_cursor(found[_PAGE - 1]) if len(found) > _PAGE else None
        values |= {"rows": found[:_PAGE], "view": view, "follows": follows, "is_first": not cursor, "typed": {}}
        values |= {"names": await _names_of(naming, view.only, found), "error": None}
        if view.is_a_report:
            asked = replace(view.question().ask(), measures=BRIEF)
            values["whole"] = total_of(await spend.report(asked, tenant))
        return pages.show(request, "requests.html", person, **values)

    @get("/ui/requests/{request_id:str}")
    async def receipt(
        self,
        request: AnyRequest,
        request_id: FromPath[str],
        pages: NamedDependency[Pages],
        spend: NamedDependency[Spend],
        naming: NamedDependency[Naming],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "spend.logs")
        wanted = ReceiptFilter(request_id=request_id.replace("\0", ""))
        found = await spend.log_rows(person.reach("spend.logs"), wanted, LogPage(newest_first=False))
        if not found:
            raise NotFound("There is no such request, or it is not yours to see.")
        users = await naming.names("user", [row.user_id for row in found])
        receipts = [(row, lines_of(row), reasons_of(row)) for row in found]
        whole = sum(row.cost_nanousd for row in found)
        attempts = len({row.attempt for row in found})
        values: dict[str, Any] = {"receipts": receipts, "users": users, "whole": whole, "attempts": attempts}
        values |= {"pages_of": owner_pages(person, found[0].team_id)}
        return pages.show(request, "receipt.html", person, **values)


async def _names_of(naming: Naming, only: Filters, found: Sequence[Row[Any]]) -> Mapping[tuple[Dimension, str], str]:
    """What those are called by whom the log is narrowed: as far as they are in it."""
    names: dict[tuple[Dimension, str], str] = {}
    for dimension in only:
        if dimension in NAMED:
            ids = {getattr(row, COLUMN_NAMES[dimension]) for row in found[:1]}
            named = await naming.names(dimension, ids)
            names |= {(dimension, one): name for one, name in named.items()}
    return names
