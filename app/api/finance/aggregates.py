"""Our own routes to the sums behind the reports: are they what the receipts say, and write them anew."""

from datetime import date, timedelta
from typing import Any

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency

from app.admin.aggregates import Aggregates
from app.api.admin import fields
from app.api.admin.answers import answer, number
from app.api.admin.fields import MOST_BODY_BYTES, read_body
from app.api.admin.queries import read_query
from app.api.finance.dates import read_required_days
from app.api.security import Access
from app.base.errors import Unprocessable
from app.storage.postgres.aggregates import Comparison

AnyRequest = Request[Any, Any, Any]
MOST_DAYS = 31
_DATES = ("start_date", "end_date")


class AggregateRoutes(Controller):
    """Days are of UTC, at most a month of them in one request."""

    request_max_body_size = MOST_BODY_BYTES

    @get("/spend/aggregates")
    async def extent(
        self, request: AnyRequest, access: NamedDependency[Access], aggregates: NamedDependency[Aggregates]
    ) -> Response[bytes]:
        await access.require_admin(request)
        read_query(request, ("timezone",))
        first, last = await aggregates.extent() or (None, None)
        return answer({"first_day": first, "last_day": last})

    @get("/spend/aggregates/check")
    async def check(
        self, request: AnyRequest, access: NamedDependency[Access], aggregates: NamedDependency[Aggregates]
    ) -> Response[bytes]:
        await access.require_admin(request)
        first, last = read_span(read_query(request, _DATES))
        return answer({"days": [_render(day) for day in await aggregates.compare(first, last)]})

    @post("/spend/aggregates/rebuild", status_code=200)
    async def rebuild(
        self, request: AnyRequest, access: NamedDependency[Access], aggregates: NamedDependency[Aggregates]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        body = await read_body(request)
        fields.check_names(body, _DATES, ())
        first, last = read_span({name: fields.read_text(name, raw) for name, raw in body.items()})
        return answer({"days": [_render(day) for day in await aggregates.rebuild(first, last, actor)]})


def read_span(query: dict[str, str] | Any) -> tuple[date, date]:  # noqa: ANN401  any mapping of texts
    days = read_required_days(query)
    assert days.first is not None
    assert days.last is not None
    if days.last - days.first >= timedelta(days=MOST_DAYS):
        raise Unprocessable(f'"end_date" is more than {MOST_DAYS} days after "start_date"', param="end_date")
    return days.first, days.last


def _render(day: Comparison) -> dict[str, Any]:
    return {
        "day": day.day,
        "agrees": day.agrees or day.receipts_are_gone,
        "receipts": day.receipts,
        "spend_of_receipts": number(day.booked_nanousd),
        "spend_of_reports": number(day.reported_nanousd),
    }
