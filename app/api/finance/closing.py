"""Our own routes to closed months: close them, list them, and see whether one is still what it was."""

import re
from datetime import date
from typing import Any

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.admin.closing import Closed, Closing
from app.api.admin import fields
from app.api.admin.answers import answer, number
from app.api.admin.fields import MOST_BODY_BYTES, read_body
from app.api.admin.queries import read_query
from app.api.security import Access
from app.base.errors import Unprocessable

AnyRequest = Request[Any, Any, Any]
_MONTH = re.compile(r"2[0-9]{3}-(0[1-9]|1[0-2])", re.ASCII)


class ClosingRoutes(Controller):
    request_max_body_size = MOST_BODY_BYTES

    @post("/spend/close", status_code=200)
    async def close(
        self, request: AnyRequest, access: NamedDependency[Access], closing: NamedDependency[Closing]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        body = await read_body(request)
        fields.check_names(body, ("month",), ())
        month = read_month(fields.read_text("month", body["month"]) if "month" in body else None)
        return answer({"closed": [_render(one) for one in await closing.close(month, actor)]})

    @get("/spend/closes")
    async def closes(
        self, request: AnyRequest, access: NamedDependency[Access], closing: NamedDependency[Closing]
    ) -> Response[bytes]:
        await access.require_admin(request)
        read_query(request, ("timezone",))
        return answer({"closes": [_render(one) for one in await closing.closes()]})

    @get("/spend/closes/{month:str}")
    async def verify(
        self,
        request: AnyRequest,
        access: NamedDependency[Access],
        closing: NamedDependency[Closing],
        month: FromPath[str],
    ) -> Response[bytes]:
        await access.require_admin(request)
        closed, digest_now = await closing.verify(read_month(month))
        return answer({**_render(closed), "digest_now": digest_now, "is_unchanged": closed.digest == digest_now})


def read_month(text: str | None) -> date:
    """Raises Unprocessable for what is no month."""
    if text is None or not _MONTH.fullmatch(text):
        said = "is missing" if text is None else f'is "{text}"'
        raise Unprocessable(f'"month" {said}; write a month as YYYY-MM', param="month")
    return date.fromisoformat(f"{text}-01")


def _render(closed: Closed) -> dict[str, Any]:
    return {
        "month": f"{closed.month:%Y-%m}",
        "requests": closed.requests,
        "spend": number(closed.cost_nanousd),
        "adjustments": number(closed.adjustments_nanousd),
        "digest": closed.digest,
        "digest_version": closed.digest_version,
        "closed_by": closed.closed_by,
        "closed_at": closed.closed_at,
    }
