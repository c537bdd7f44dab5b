"""Our own routes to whole months of receipts: out to a file, and what becomes of them after their time."""

from typing import Any, Literal

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.response import Stream

from app.admin.retention import Due, Exports, ReceiptRetention
from app.api.admin import fields
from app.api.admin.answers import answer, number
from app.api.admin.fields import read_body
from app.api.admin.queries import read_choice, read_query
from app.api.finance.closing import read_month
from app.api.security import Access
from app.base.ids import new_id

AnyRequest = Request[Any, Any, Any]
_STYLES: dict[str, Literal["jsonl", "csv"]] = {"jsonl": "jsonl", "csv": "csv"}


class RetentionRoutes(Controller):
    @get("/spend/export")
    async def export(
        self, request: AnyRequest, access: NamedDependency[Access], exports: NamedDependency[Exports]
    ) -> Stream:
        """A gzip file. Whether it came whole is seen from its digest in the list of exports."""
        actor = await access.require_admin(request)
        query = read_query(request, ("month", "format"))
        style = _STYLES[read_choice(query, "format", _STYLES) or "jsonl"]
        month = read_month(query.get("month"))
        exports.check(month)
        filename = f"receipts-{month:%Y-%m}.{style}.gz"
        headers = {"request-id": new_id("req"), "content-disposition": f'attachment; filename="{filename}"'}
        return Stream(exports.stream(month, style, actor), media_type="application/gzip", headers=headers)

    @get("/spend/exports")
    async def exports(
        self, request: AnyRequest, access: NamedDependency[Access], exports: NamedDependency[Exports]
    ) -> Response[bytes]:
        await access.require_admin(request)
        read_query(request, ("timezone",))
        listed = [
            {
                "month": f"{one.month:%Y-%m}",
                "format": one.style,
                "receipts": one.receipts,
                "spend": number(one.cost_nanousd),
                "digest": one.digest,
                "exported_by": one.exported_by,
                "exported_at": one.exported_at,
            }
            for one in await exports.exports()
        ]
        return answer({"exports": listed})

    @get("/spend/retention")
    async def due(
        self, request: AnyRequest, access: NamedDependency[Access], receipt_retention: NamedDependency[ReceiptRetention]
    ) -> Response[bytes]:
        await access.require_admin(request)
        read_query(request, ("timezone",))
        due = await receipt_retention.due()
        return answer({**_policy(receipt_retention), "due": [_render(one) for one in due]})

    @post("/spend/retention", status_code=200)
    async def run(
        self, request: AnyRequest, access: NamedDependency[Access], receipt_retention: NamedDependency[ReceiptRetention]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        fields.check_names(await read_body(request), (), ("dry_run",))
        dropped = await receipt_retention.run(actor)
        return answer({**_policy(receipt_retention), "dropped": [_render(one) for one in dropped]})


def _policy(receipt_retention: ReceiptRetention) -> dict[str, Any]:
    policy = receipt_retention.policy
    return {
        "receipts_retention": None if policy.keep is None else str(policy.keep),
        "retention_export": "required" if policy.needs_export else "off",
    }


def _render(due: Due) -> dict[str, Any]:
    return {
        "month": f"{due.month:%Y-%m}",
        "receipts": due.receipts,
        "spend": number(due.cost_nanousd),
        "obstacle": due.obstacle,
    }
