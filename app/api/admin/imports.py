"""The route of take-overs from other gateways."""

from typing import Any

from litestar import Controller, Request, Response, post
from litestar.di import NamedDependency

from app.admin.litellm.rows import read_tables
from app.admin.litellm.take_over import LiteLLMTakeOver
from app.api.admin import fields
from app.api.admin.answers import answer, number
from app.api.admin.fields import check_names, is_null, read_body
from app.api.security import Access
from app.base.errors import Unprocessable

AnyRequest = Request[Any, Any, Any]
MOST_IMPORT_BYTES = 256_000_000


class ImportRoutes(Controller):
    """Admins alone take over."""

    request_max_body_size = MOST_IMPORT_BYTES

    @post("/import/litellm", status_code=200)
    async def litellm(
        self, request: AnyRequest, access: NamedDependency[Access], litellm_take_over: NamedDependency[LiteLLMTakeOver]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        body = await read_body(request)
        check_names(body, {"tables", "dry_run"}, ())
        if is_null(body.get("tables", b"null")):
            raise Unprocessable('"tables" is missing: the rows of LiteLLM, by table', param="tables")
        dry_run = body.get("dry_run", b"null")
        only_plan = not is_null(dry_run) and fields.read_flag("dry_run", dry_run)
        done = await litellm_take_over.run(read_tables(body["tables"]), actor, dry_run=only_plan)
        return answer(
            {
                "dry_run": only_plan,
                "made": done.made,
                "there": done.there,
                "receipts": done.receipts,
                "spend": number(done.spend_nanousd),
                "left": [{"what": left.what, "count": left.count, "names": left.names} for left in done.left],
            }
        )
