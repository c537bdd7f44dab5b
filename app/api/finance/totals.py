"""LiteLLM's lists of who spent most: by key, user, team, model, provider and tag."""

from datetime import date, timedelta
from typing import Any

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency

from app.admin.spend import Ask, Found, Spend
from app.api.admin.answers import answer, number
from app.api.admin.queries import Query, read_number, read_query
from app.api.finance.dates import read_days
from app.api.security import Access
from app.base.clock import now
from app.domain.roles import Tenant
from app.storage.postgres.reports import Amounts, Dimension

AnyRequest = Request[Any, Any, Any]
_DAYS = ("start_date", "end_date", "timezone")
_MOST, _USUAL = 1_000, 100
_SHOWN_DAYS = 30
NO_TEAM = "Unassigned Team"


class TotalRoutes(Controller):
    """``/global/spend/…`` is of the last 30 days where no dates are given, ``/spend/…`` of all time."""

    @get("/spend/keys")
    async def spend_by_key(
        self, request: AnyRequest, access: NamedDependency[Access], spend: NamedDependency[Spend]
    ) -> Response[bytes]:
        tenant = (await access.require_caller(request)).tenant
        query = read_query(request, ("limit", *_DAYS))
        found = await _report(spend, tenant, query, ("key",), {})
        rows = [
            {"token": key, "key_alias": found.names.get(("key", key)), "spend": number(of.cost_nanousd)}
            for key, of in _totals(found)
        ]
        return answer(rows[: read_number(query, "limit", _USUAL, _MOST)])

    @get("/spend/users")
    async def spend_by_user(
        self, request: AnyRequest, access: NamedDependency[Access], spend: NamedDependency[Spend]
    ) -> Response[bytes]:
        tenant = (await access.require_caller(request)).tenant
        query = read_query(request, ("user_id", *_DAYS))
        only: dict[Dimension, tuple[str, ...]] = {"user": (query["user_id"],)} if "user_id" in query else {}
        found = await _report(spend, tenant, query, ("user",), only)
        return answer(
            [
                {"user_id": user, "user_alias": found.names.get(("user", user)), "spend": number(of.cost_nanousd)}
                for user, of in _totals(found)
                if user
            ]
        )

    @get("/spend/tags")
    async def spend_by_tag(
        self, request: AnyRequest, access: NamedDependency[Access], spend: NamedDependency[Spend]
    ) -> Response[bytes]:
        tenant = (await access.require_caller(request)).tenant
        found = await _report(spend, tenant, read_query(request, _DAYS), ("tag",), {})
        return answer(
            [
                {"individual_request_tag": tag, "log_count": of.requests, "total_spend": number(of.cost_nanousd)}
                for tag, of in _totals(found)
                if tag
            ]
        )

    @get("/global/spend/tags")
    async def global_tags(
        self, request: AnyRequest, access: NamedDependency[Access], spend: NamedDependency[Spend]
    ) -> Response[bytes]:
        tenant = (await access.require_caller(request)).tenant
        query = read_query(request, ("tags", *_DAYS))
        wanted = [tag.strip() for tag in query.get("tags", "").split(",") if tag.strip()]
        only: dict[Dimension, tuple[str, ...]] = {}
        if wanted and "all-tags" not in wanted:
            only = {"tag": tuple(wanted)}
        found = await _report(spend, tenant, query, ("tag",), only, recent=True)
        tags = [
            {"name": tag, "spend": number(of.cost_nanousd), "log_count": of.requests}
            for tag, of in _totals(found)
            if tag
        ]
        return answer({"spend_per_tag": tags})

    @get("/global/spend/keys")
    async def global_keys(
        self, request: AnyRequest, access: NamedDependency[Access], spend: NamedDependency[Spend]
    ) -> Response[bytes]:
        tenant = (await access.require_caller(request)).tenant
        query = read_query(request, ("limit", *_DAYS))
        found = await _report(spend, tenant, query, ("key",), {}, recent=True)
        rows = [
            {
                "api_key": key,
                "key_alias": found.names.get(("key", key)),
                "key_name": found.names.get(("key", key)),
                "total_spend": number(of.cost_nanousd),
            }
            for key, of in _totals(found)
        ]
        return answer(rows[: read_number(query, "limit", _USUAL, _MOST)])

    @get("/global/spend/models")
    async def global_models(
        self, request: AnyRequest, access: NamedDependency[Access], spend: NamedDependency[Spend]
    ) -> Response[bytes]:
        tenant = (await access.require_caller(request)).tenant
        query = read_query(request, ("limit", *_DAYS))
        found = await _report(spend, tenant, query, ("model",), {}, recent=True)
        rows = [{"model": model, "total_spend": number(of.cost_nanousd)} for model, of in _totals(found)]
        return answer(rows[: read_number(query, "limit", _USUAL, _MOST)])

    @get("/global/spend/provider")
    async def global_providers(
        self, request: AnyRequest, access: NamedDependency[Access], spend: NamedDependency[Spend]
    ) -> Response[bytes]:
        tenant = (await access.require_caller(request)).tenant
        found = await _report(spend, tenant, read_query(request, _DAYS), ("provider",), {}, recent=True)
        return answer([{"provider": provider, "spend": number(of.cost_nanousd)} for provider, of in _totals(found)])

    @get("/global/spend/teams")
    async def global_teams(
        self, request: AnyRequest, access: NamedDependency[Access], spend: NamedDependency[Spend]
    ) -> Response[bytes]:
        tenant = (await access.require_caller(request)).tenant
        query = read_query(request, _DAYS)
        days = await spend.report(_ask(query, ("team",), {}, recent=True, daily=True), tenant)
        by_day: dict[str, dict[str, Any]] = {}
        for cell in days.cells:
            row = by_day.setdefault(days.label(cell), {"date": days.label(cell)})
            row[_team(days, cell.group[0])] = number(cell.amounts.cost_nanousd)
        totals = _totals(days)
        return answer(
            {
                "daily_spend": list(by_day.values()),
                "teams": [_team(days, team) for team, _ in totals],
                "total_spend_per_team": [
                    {"team_id": _team(days, team), "total_spend": number(of.cost_nanousd)} for team, of in totals
                ],
            }
        )


def _team(found: Found, team: str) -> str:
    return found.names.get(("team", team)) or team or NO_TEAM


async def _report(
    spend: Spend,
    tenant: Tenant,
    query: Query,
    group_by: tuple[Dimension, ...],
    only: dict[Dimension, tuple[str, ...]],
    *,
    recent: bool = False,
) -> Found:
    return await spend.report(_ask(query, group_by, only, recent=recent, daily=False), tenant)


def _ask(
    query: Query, group_by: tuple[Dimension, ...], only: dict[Dimension, tuple[str, ...]], *, recent: bool, daily: bool
) -> Ask:
    days = read_days(query)
    first: date | None = days.first
    if first is None and days.last is None and recent:
        first = now().date() - timedelta(days=_SHOWN_DAYS - 1)
    return Ask(first, days.last, days.timezone, "day" if daily else None, group_by, only)


def _totals(found: Found) -> list[tuple[str, Amounts]]:
    """By the first dimension over all periods, most spend first."""
    totals: dict[str, Amounts] = {}
    for cell in found.cells:
        totals[cell.group[0]] = totals.get(cell.group[0], Amounts()).plus(cell.amounts)
    return sorted(totals.items(), key=lambda pair: (-pair[1].cost_nanousd, pair[0]))
