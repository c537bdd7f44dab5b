"""LiteLLM's reports of one kind of owner, and its small lists of all spend."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency

from app.admin.key_reading import KeyReading
from app.admin.spend import Ask, GroupBy, Spend
from app.api.admin.answers import answer, number
from app.api.admin.queries import Query, read_query
from app.api.finance.activity import render_metrics
from app.api.finance.answers import render_groups, render_keys
from app.api.finance.dates import read_days, read_required_days
from app.api.security import Access
from app.base.clock import now
from app.storage.postgres.reports import Dimension

AnyRequest = Request[Any, Any, Any]
_DAYS = ("start_date", "end_date", "timezone")
_SHOWN_DAYS = 30
# By path: the dimension, the parameter that names one, and how LiteLLM groups.
_OWNERS: Mapping[str, tuple[Dimension, str, GroupBy]] = {
    "key": ("key", "api_key", "api_key"),
    "user": ("user", "internal_user_id", "api_key"),
    "team": ("team", "team_id", "team"),
    "organization": ("organization", "organization_id", "organization"),
}
_METRICS = (
    "spend", "prompt_tokens", "completion_tokens", "total_tokens", "api_requests", "successful_requests",
    "failed_requests",
)  # fmt: skip


class OwnerRoutes(Controller):
    @get([f"/{owner}/spend/report" for owner in _OWNERS])
    async def report(
        self,
        request: AnyRequest,
        access: NamedDependency[Access],
        spend: NamedDependency[Spend],
        key_reading: NamedDependency[KeyReading],
    ) -> Response[bytes]:
        """As ``/global/spend/report``, for the owners of one kind."""
        tenant = (await access.require_caller(request)).tenant
        dimension, parameter, group_by = _OWNERS[request.url.path.split("/")[1]]
        query = read_query(request, (parameter, *_DAYS))
        days = read_required_days(query)
        only: dict[Dimension, tuple[str, ...]] = {}
        if parameter in query:
            named = query[parameter]
            only[dimension] = (await key_reading.find_id(named, tenant) if dimension == "key" else named,)
        sums = await spend.sums(Ask(days.first, days.last, days.timezone, only=only), group_by, tenant)
        return answer(render_keys(sums) if group_by == "api_key" else render_groups(sums, group_by))

    @get("/team/spend/by_user")
    async def team_by_user(
        self, request: AnyRequest, access: NamedDependency[Access], spend: NamedDependency[Spend]
    ) -> Response[bytes]:
        tenant = (await access.require_caller(request)).tenant
        query = read_query(request, ("team_ids", *_DAYS))
        days = read_required_days(query)
        only: dict[Dimension, list[str]] = {}
        if "team_ids" in query:
            only["team"] = [one.strip() for one in query["team_ids"].split(",")]
        ask = Ask(days.first, days.last, days.timezone, None, ("team", "user"), only, {"team": [""]})
        found = await spend.report(ask, tenant)
        results = []
        for cell in found.cells:
            team, user = cell.group
            metrics = render_metrics(cell.amounts)
            results.append(
                {
                    "team_id": team,
                    "team_alias": found.names.get(("team", team)),
                    "user_id": user,
                    "user_email": None,
                    "user_alias": found.names.get(("user", user)),
                    **{name: metrics[name] for name in _METRICS},
                }
            )
        return answer({"start_date": days.first, "end_date": days.last, "results": results})

    @get("/global/spend/logs")
    async def daily_spend(
        self,
        request: AnyRequest,
        access: NamedDependency[Access],
        spend: NamedDependency[Spend],
        key_reading: NamedDependency[KeyReading],
    ) -> Response[bytes]:
        """Of the last 30 days where no dates are given."""
        tenant = (await access.require_caller(request)).tenant
        query = read_query(request, ("api_key", *_DAYS))
        ask = _recent(query)
        if "api_key" in query:
            ask = Ask(ask.first, ask.last, ask.timezone, "day", only={"key": (await _key(key_reading, query, tenant),)})
        found = await spend.report(ask, tenant)
        return answer([{"date": found.label(cell), "spend": number(cell.amounts.cost_nanousd)} for cell in found.cells])

    @get("/global/spend/all_tag_names")
    async def tag_names(
        self, request: AnyRequest, access: NamedDependency[Access], spend: NamedDependency[Spend]
    ) -> Response[bytes]:
        tenant = (await access.require_caller(request)).tenant
        days = read_days(read_query(request, _DAYS))
        ask = Ask(days.first, days.last, days.timezone, None, ("tag",), but_not={"tag": [""]})
        found = await spend.report(ask, tenant)
        return answer({"tag_names": [cell.group[0] for cell in found.cells]})


async def _key(key_reading: KeyReading, query: Query, tenant: Any) -> str:  # noqa: ANN401  Tenant
    return await key_reading.find_id(query["api_key"], tenant)


def _recent(query: Query) -> Ask:
    days = read_days(query)
    first = days.first
    if first is None and days.last is None:
        first = now().date() - timedelta(days=_SHOWN_DAYS - 1)
    return Ask(first, days.last, days.timezone, "day")
