"""The spend routes, with LiteLLM's paths, parameters and answers."""

from collections.abc import Mapping, Sequence
from typing import Any

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency

from app.admin.key_reading import KeyReading
from app.admin.spend import Ask, GroupBy, Spend
from app.api.admin.answers import answer, number
from app.api.admin.queries import read_choice, read_query, read_query_flag
from app.api.finance.answers import render_days, render_groups, render_keys, render_log
from app.api.finance.dates import read_days, read_required_days
from app.api.security import Access
from app.base.errors import NotFound
from app.storage.postgres.receipts import ReceiptFilter
from app.storage.postgres.reports import COLUMN_NAMES, Dimension

AnyRequest = Request[Any, Any, Any]
_DAYS = ("start_date", "end_date", "timezone")
_GROUPS: dict[str, GroupBy] = {"team": "team", "customer": "customer", "api_key": "api_key"}


def filters(**values: str | None) -> dict[Dimension, Sequence[str]]:
    """By dimension, of the values that are given."""
    names: Mapping[str, Dimension] = {name: name for name in COLUMN_NAMES}
    return {names[name]: (value,) for name, value in values.items() if value is not None}


class SpendRoutes(Controller):
    """Everyone reads what the roles reach."""

    @get("/spend/logs")
    async def logs(
        self,
        request: AnyRequest,
        access: NamedDependency[Access],
        spend: NamedDependency[Spend],
        key_reading: NamedDependency[KeyReading],
    ) -> Response[bytes]:
        caller = await access.require_caller(request)
        query = read_query(request, ("api_key", "user_id", "request_id", "cost_center", "summarize", *_DAYS))
        days = read_days(query)
        summarize = read_query_flag(query, "summarize", default=True)
        key_id = await key_reading.find_id(query["api_key"], caller.tenant) if "api_key" in query else None
        user_id, request_id, center = query.get("user_id"), query.get("request_id"), query.get("cost_center")
        if user_id is not None and not caller.tenant.may_hold_rows_of(user_id):
            raise NotFound(f'no such user: "{user_id}"', param="user_id")
        if summarize and request_id is None and days.first is not None and days.last is not None:
            only = filters(key=key_id, user=user_id, cost_center=center)
            ask = Ask(days.first, days.last, days.timezone, only=only)
            return answer(render_days(await spend.sums(ask, "api_key", caller.tenant), days))
        wanted = ReceiptFilter(
            days.since, days.until, key_id=key_id, user_id=user_id, request_id=request_id, cost_center=center
        )
        return answer([render_log(row) for row in await spend.logs(caller.tenant, wanted)])

    @get("/global/spend/report")
    async def report(
        self,
        request: AnyRequest,
        access: NamedDependency[Access],
        spend: NamedDependency[Spend],
        key_reading: NamedDependency[KeyReading],
    ) -> Response[bytes]:
        tenant = (await access.require_caller(request)).tenant
        query = read_query(request, ("group_by", "api_key", "internal_user_id", "team_id", "customer_id", *_DAYS))
        days = read_required_days(query)
        group_by = _GROUPS[read_choice(query, "group_by", _GROUPS) or "team"]
        only = filters(
            key=await key_reading.find_id(query["api_key"], tenant) if "api_key" in query else None,
            user=query.get("internal_user_id"),
            team=query.get("team_id"),
            customer=query.get("customer_id"),
        )
        ask = Ask(days.first, days.last, days.timezone, only=only)
        if group_by == "api_key" or "api_key" in query or "internal_user_id" in query:
            return answer(render_keys(await spend.sums(ask, "api_key", tenant)))
        return answer(render_groups(await spend.sums(ask, group_by, tenant), group_by))

    @get("/global/spend")
    async def total(
        self, request: AnyRequest, access: NamedDependency[Access], spend: NamedDependency[Spend]
    ) -> Response[bytes]:
        tenant = (await access.require_caller(request)).tenant
        return answer({"spend": number(await spend.total(tenant)), "max_budget": None})
