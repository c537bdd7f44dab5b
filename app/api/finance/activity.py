"""LiteLLM's activity: requests, tokens and spend per day, in all, by model, and broken down for one kind of owner."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency

from app.admin.key_reading import KeyReading
from app.admin.spend import Ask, Found, Spend
from app.api.admin.answers import answer, number
from app.api.admin.queries import Query, read_number, read_query
from app.api.finance.dates import read_required_days
from app.api.security import Access
from app.base.errors import Unprocessable
from app.storage.postgres.reports import Amounts, Cell, Dimension

AnyRequest = Request[Any, Any, Any]
_DAYS = ("start_date", "end_date", "timezone")
_MOST_DAYS_A_PAGE = 100
_BREAKDOWNS: Mapping[Dimension, str] = {"model": "models", "model_asked": "model_groups", "provider": "providers"}
_UNUSED_BREAKDOWNS = ("mcp_servers", "endpoints", "guardrails")
# Who is asked about, by path: its dimension, and the parameter that names it.
_ENTITIES: Mapping[str, tuple[Dimension, str]] = {
    "user": ("user", "user_id"),
    "team": ("team", "team_ids"),
    "organization": ("organization", "organization_ids"),
    "customer": ("customer", "end_user_ids"),
    "tag": ("tag", "tags"),
}


class ActivityRoutes(Controller):
    @get("/global/activity")
    async def whole(
        self, request: AnyRequest, access: NamedDependency[Access], spend: NamedDependency[Spend]
    ) -> Response[bytes]:
        await access.require_admin(request)
        days = read_required_days(read_query(request, _DAYS))
        found = await spend.report(Ask(days.first, days.last, days.timezone, "day"))
        return answer(_activity(found, found.cells))

    @get("/global/activity/model")
    async def by_model(
        self, request: AnyRequest, access: NamedDependency[Access], spend: NamedDependency[Spend]
    ) -> Response[bytes]:
        await access.require_admin(request)
        days = read_required_days(read_query(request, _DAYS))
        found = await spend.report(Ask(days.first, days.last, days.timezone, "day", ("model",)))
        by_model: dict[str, list[Cell]] = {}
        for cell in found.cells:
            by_model.setdefault(cell.group[0], []).append(cell)
        return answer([{"model": model, **_activity(found, cells)} for model, cells in by_model.items()])

    @get(
        [f"/{entity}/daily/activity" for entity in _ENTITIES]
        + [f"/{entity}/daily/activity/aggregated" for entity in _ENTITIES]
    )
    async def daily(
        self,
        request: AnyRequest,
        access: NamedDependency[Access],
        spend: NamedDependency[Spend],
        key_reading: NamedDependency[KeyReading],
    ) -> Response[bytes]:
        """A page is of whole days, newest first; ``aggregated`` has them all on one. Of the caller's tenant."""
        tenant = (await access.require_caller(request)).tenant
        _, entity, *_, last = request.url.path.split("/")
        dimension, parameter = _ENTITIES[entity]
        known = (parameter, f"exclude_{parameter}", "model", "api_key", "page", "page_size", "api_key_limit", *_DAYS)
        query = read_query(request, known)
        days = read_required_days(_with_zone(query))
        assert days.first is not None
        assert days.last is not None
        only: dict[Dimension, Sequence[str]] = {}
        if parameter in query:
            only[dimension] = [one.strip() for one in query[parameter].split(",")]
        if "model" in query:
            only["model"] = (query["model"],)
        if "api_key" in query:
            only["key"] = (await key_reading.find_id(query["api_key"], tenant),)
        but_not: dict[Dimension, Sequence[str]] = {"tag": [""]} if dimension == "tag" else {}
        if f"exclude_{parameter}" in query:
            but_not[dimension] = query[f"exclude_{parameter}"].split(",")
        count = (days.last - days.first).days + 1
        size = count if last == "aggregated" else read_number(query, "page_size", 50, _MOST_DAYS_A_PAGE)
        page = read_number(query, "page", 1, 1_000_000)
        newest = days.last - timedelta(days=(page - 1) * size)
        oldest = max(days.first, newest - timedelta(days=size - 1))
        group_by = (dimension, "key", *_BREAKDOWNS)
        totals = await spend.report(
            Ask(days.first, days.last, days.timezone, None, (dimension,), only, but_not), tenant
        )
        results: list[dict[str, Any]] = []
        if newest >= days.first:
            found = await spend.report(Ask(oldest, newest, days.timezone, "day", group_by, only, but_not), tenant)
            results = _results(found)
        pages = -(-count // size)
        return answer({"results": results, "metadata": _metadata(totals, page, pages)})


def _with_zone(query: Query) -> Query:
    """LiteLLM's time zone is what a browser calls the offset: the minutes from local time to UTC."""
    text = query.get("timezone", "")
    if not text.lstrip("-").isdigit():
        return query
    if int(text) % 60 or abs(int(text)) > 12 * 60:
        raise Unprocessable(
            f'"timezone" is "{text}" minutes; give an IANA name such as "Asia/Kolkata"', param="timezone"
        )
    return {**query, "timezone": f"Etc/GMT{int(text) // 60:+d}"}


def _activity(found: Found, cells: Sequence[Cell]) -> dict[str, Any]:
    return {
        "daily_data": [
            {
                "date": found.label(cell),
                "api_requests": cell.amounts.requests,
                "total_tokens": cell.amounts.total_tokens,
            }
            for cell in cells
        ],
        "sum_api_requests": sum(cell.amounts.requests for cell in cells),
        "sum_total_tokens": sum(cell.amounts.total_tokens for cell in cells),
    }


def _results(found: Found) -> list[dict[str, Any]]:
    by_day: dict[int, list[Cell]] = {}
    for cell in found.cells:
        by_day.setdefault(cell.period, []).append(cell)
    return [
        {
            "date": found.periods[period].label,
            "metrics": _metrics(_sum(cells)),
            "breakdown": {
                **{name: {} for name in _UNUSED_BREAKDOWNS},
                **{name: _breakdown(found, cells, dimension) for dimension, name in _BREAKDOWNS.items()},
                "api_keys": _breakdown(found, cells, "key", keys=False),
                "entities": _breakdown(found, cells, found.group_by[0]),
            },
        }
        for period, cells in sorted(by_day.items(), reverse=True)
    ]


def _breakdown(found: Found, cells: Sequence[Cell], dimension: Dimension, *, keys: bool = True) -> dict[str, Any]:
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(found.of(cell, dimension), []).append(cell)
    answered = {}
    for name, of_group in groups.items():
        alias = found.names.get((dimension, name))
        row: dict[str, Any] = {
            "metrics": _metrics(_sum(of_group)),
            "metadata": {} if alias is None else {"alias": alias},
        }
        if keys:
            row["api_key_breakdown"] = _breakdown(found, of_group, "key", keys=False)
        elif dimension == "key":
            row["metadata"] = {"key_alias": alias, "team_id": None, "key_exists": alias is not None}
        answered[name or "Unassigned"] = row
    return answered


def _sum(cells: Sequence[Cell]) -> Amounts:
    total = Amounts()
    for cell in cells:
        total = total.plus(cell.amounts)
    return total


def _metrics(amounts: Amounts) -> dict[str, Any]:
    return {
        "spend": number(amounts.cost_nanousd),
        "prompt_tokens": amounts.prompt_tokens,
        "completion_tokens": amounts.completion_tokens,
        "cache_read_input_tokens": amounts.cache_read_tokens,
        "cache_creation_input_tokens": amounts.cache_write_tokens,
        "total_tokens": amounts.total_tokens,
        "successful_requests": amounts.requests - amounts.failures,
        "failed_requests": amounts.failures,
        "api_requests": amounts.requests,
        "total_response_time_ms": amounts.duration_ms,
        "timed_requests": amounts.requests,
    }


def _metadata(totals: Found, page: int, pages: int) -> dict[str, Any]:
    metrics = _metrics(_sum(totals.cells))
    return {
        "total_spend": metrics.pop("spend"),
        **{name if name.startswith("total_") else f"total_{name}": value for name, value in metrics.items()},
        "page": page,
        "total_pages": pages,
        "has_more": page < pages,
    }
