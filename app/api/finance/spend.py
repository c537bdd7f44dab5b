"""The spend routes, with LiteLLM's paths, parameters and answers."""

from typing import Any

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency

from app.admin.key_reading import KeyReading
from app.admin.spend import Spend
from app.api.admin.answers import answer, number
from app.api.admin.queries import read_choice, read_query, read_query_flag
from app.api.finance.answers import render_days, render_groups, render_keys, render_log
from app.api.finance.dates import read_days, read_required_days
from app.api.security import Access
from app.storage.postgres.receipts import GroupBy, ReceiptFilter

AnyRequest = Request[Any, Any, Any]
_DAYS = ("start_date", "end_date", "timezone")
_GROUPS: dict[str, GroupBy] = {"team": "team", "customer": "customer", "api_key": "api_key"}


class SpendRoutes(Controller):
    """A virtual key reads its own rows of the log; everything else is the master key's."""

    @get("/spend/logs")
    async def logs(
        self,
        request: AnyRequest,
        access: NamedDependency[Access],
        spend: NamedDependency[Spend],
        key_reading: NamedDependency[KeyReading],
    ) -> Response[bytes]:
        caller = await access.require_caller(request)
        query = read_query(request, ("api_key", "user_id", "request_id", "summarize", *_DAYS))
        days = read_days(query)
        summarize = read_query_flag(query, "summarize", default=True)
        key_id: str | None = None
        if caller.principal is not None:
            # Whatever it asks about, a virtual key is answered about itself.
            key_id = caller.principal.key.key_id
        elif "api_key" in query:
            key_id = await key_reading.find_id(query["api_key"])
        wanted = ReceiptFilter(
            since=days.since,
            until=days.until,
            key_id=key_id,
            user_id=query.get("user_id"),
            request_id=query.get("request_id"),
        )
        if summarize and days.first is not None and days.last is not None:
            return answer(render_days(await spend.sums(wanted, "api_key", days.timezone), days))
        return answer([render_log(row) for row in await spend.logs(wanted)])

    @get("/global/spend/report")
    async def report(
        self,
        request: AnyRequest,
        access: NamedDependency[Access],
        spend: NamedDependency[Spend],
        key_reading: NamedDependency[KeyReading],
    ) -> Response[bytes]:
        await access.require_admin(request)
        filters = ("api_key", "internal_user_id", "team_id", "customer_id")
        query = read_query(request, ("group_by", *filters, *_DAYS))
        days = read_required_days(query)
        group_by = _GROUPS[read_choice(query, "group_by", _GROUPS) or "team"]
        wanted = ReceiptFilter(
            since=days.since,
            until=days.until,
            key_id=await key_reading.find_id(query["api_key"]) if "api_key" in query else None,
            user_id=query.get("internal_user_id"),
            team_id=query.get("team_id"),
            customer_id=query.get("customer_id"),
        )
        if group_by == "api_key" or "api_key" in query or "internal_user_id" in query:
            return answer(render_keys(await spend.sums(wanted, "api_key", days.timezone)))
        return answer(render_groups(await spend.sums(wanted, group_by, days.timezone), group_by))

    @get("/global/spend")
    async def total(
        self, request: AnyRequest, access: NamedDependency[Access], spend: NamedDependency[Spend]
    ) -> Response[bytes]:
        await access.require_admin(request)
        return answer({"spend": number(await spend.total()), "max_budget": None})
