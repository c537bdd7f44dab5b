"""Our own route to price receipts anew: adjustments dated now, never an edit."""

from typing import Any

from litestar import Controller, Request, Response, post
from litestar.di import NamedDependency

from app.admin.repricing import Repriced, Repricing
from app.api.admin import fields
from app.api.admin.answers import answer, number
from app.api.admin.fields import MOST_BODY_BYTES, read_body
from app.api.finance.aggregates import read_span
from app.api.security import Access

AnyRequest = Request[Any, Any, Any]
_DATES = ("start_date", "end_date")


class RepriceRoutes(Controller):
    """Days are of UTC, at most a month of them in one request."""

    request_max_body_size = MOST_BODY_BYTES

    @post("/spend/reprice", status_code=200)
    async def reprice(
        self, request: AnyRequest, access: NamedDependency[Access], repricing: NamedDependency[Repricing]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        body = await read_body(request)
        fields.check_names(body, (*_DATES, "model", "dry_run"), ())
        first, last = read_span({name: fields.read_text(name, body[name]) for name in _DATES if name in body})
        model = fields.read_text("model", body["model"]) if "model" in body else None
        dry = fields.read_flag("dry_run", body["dry_run"]) if "dry_run" in body else False
        found = await repricing.run(first, last, model, actor, dry=dry)
        return answer({"dry_run": dry, "days": [_render(day) for day in found]})


def _render(day: Repriced) -> dict[str, Any]:
    return {
        "day": day.day,
        "receipts": day.receipts,
        "adjusted": day.adjusted,
        "skipped": day.skipped,
        "spend_before": number(day.before_nanousd),
        "spend_after": number(day.after_nanousd),
        "difference": number(day.after_nanousd - day.before_nanousd),
        "by_model": {model: number(amount) for model, amount in day.by_model.items()},
    }
