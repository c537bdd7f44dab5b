"""LiteLLM's activity: requests, tokens and spend per day, in all, by model, and broken down for one kind of owner."""

from collections.abc import Collection, Mapping, Sequence
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
_MOST_DAYS_A_PAGE = 1_000
_BREAKDOWNS: Mapping[Dimension, str] = {"model": "models", "model_asked": "model_groups", "provider": "providers"}
_UNUSED_BREAKDOWNS = ("mcp_servers", "endpoints", "guardrails")
# Who is asked about, by path: its dimension, and the parameter that names it.
_ENTITIES: Mapping[str, tuple[Dimension, str]] = {
    "user": ("user", "user_id"),
    "team": ("team", "team_ids"),
    "organization": ("organization", "organization_ids"),
    "customer": ("customer", "end_user_ids"),
    "end_user": ("customer", "end_user_ids"),
    "tag": ("tag", "tags"),
    "agent": ("agent", "agent_ids"),
}
# Of LiteLLM's own making, and nothing here.
_NO_COUNTS = ("compression_saved_tokens",)
_NO_AMOUNTS = (
    "flat_cost", "ptu_hours", "compression_savings_spend", "prompt_caching_savings_spend",
    "gateway_injected_caching_savings_spend", "autorouter_savings_spend",
)  # fmt: skip


class ActivityRoutes(Controller):
    @get("/global/activity")
    async def whole(
        self, request: AnyRequest, access: NamedDependency[Access], spend: NamedDependency[Spend]
    ) -> Response[bytes]:
        tenant = (await access.require_caller(request)).tenant
        days = read_required_days(read_query(request, _DAYS))
        found = await spend.report(Ask(days.first, days.last, days.timezone, "day"), tenant)
        return answer(_activity(found, found.cells))

    @get("/global/activity/model")
    async def by_model(
        self, request: AnyRequest, access: NamedDependency[Access], spend: NamedDependency[Spend]
    ) -> Response[bytes]:
        tenant = (await access.require_caller(request)).tenant
        days = read_required_days(read_query(request, _DAYS))
        found = await spend.report(Ask(days.first, days.last, days.timezone, "day", ("model",)), tenant)
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
        newest = days.last - timedelta(days=min((page - 1) * size, count))  # a page beyond the last is empty
        oldest = max(days.first, newest - timedelta(days=size - 1))
        group_by: tuple[Dimension, ...] = tuple(dict.fromkeys((dimension, "key", "team", "user", *_BREAKDOWNS)))
        totals = await spend.report(
            Ask(days.first, days.last, days.timezone, None, (dimension,), only, but_not), tenant
        )
        results: list[dict[str, Any]] = []
        if newest >= days.first:
            found = await spend.report(Ask(oldest, newest, days.timezone, "day", group_by, only, but_not), tenant)
            living = await spend.living_keys({found.of(cell, "key") for cell in found.cells})
            results = _results(found, living)
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


def _results(found: Found, living: Collection[str]) -> list[dict[str, Any]]:
    by_day: dict[int, list[Cell]] = {}
    for cell in found.cells:
        by_day.setdefault(cell.period, []).append(cell)
    return [
        {
            "date": found.periods[period].label,
            "metrics": render_metrics(_sum(cells)),
            "breakdown": {
                **{name: {} for name in _UNUSED_BREAKDOWNS},
                **{name: _breakdown(found, cells, dimension, living) for dimension, name in _BREAKDOWNS.items()},
                "api_keys": _keys(found, cells, living),
                "entities": _breakdown(found, cells, found.group_by[0], living),
            },
        }
        for period, cells in sorted(by_day.items(), reverse=True)
    ]


def _breakdown(found: Found, cells: Sequence[Cell], dimension: Dimension, living: Collection[str]) -> dict[str, Any]:
    answered = {}
    for name, of_group in _groups(found, cells, dimension).items():
        alias = found.names.get((dimension, name))
        answered[name or "Unassigned"] = {
            "metrics": render_metrics(_sum(of_group)),
            "metadata": {} if alias is None else {"alias": alias},
            "api_key_breakdown": _keys(found, of_group, living),
        }
    return answered


def _keys(found: Found, cells: Sequence[Cell], living: Collection[str]) -> dict[str, Any]:
    return {
        key: {
            "metrics": render_metrics(_sum(of_key)),
            "metadata": {
                "key_alias": found.names.get(("key", key)),
                "team_id": found.of(of_key[-1], "team") or None,
                "user_id": found.of(of_key[-1], "user") or None,
                "user_email": None,
                "key_exists": key in living,
            },
        }
        for key, of_key in _groups(found, cells, "key").items()
    }


def _groups(found: Found, cells: Sequence[Cell], dimension: Dimension) -> dict[str, list[Cell]]:
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(found.of(cell, dimension), []).append(cell)
    return groups


def _sum(cells: Sequence[Cell]) -> Amounts:
    total = Amounts()
    for cell in cells:
        total = total.plus(cell.amounts)
    return total


def render_metrics(amounts: Amounts) -> dict[str, Any]:
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
        **dict.fromkeys(_NO_COUNTS, 0),
        **dict.fromkeys(_NO_AMOUNTS, number(0)),
    }


def _metadata(totals: Found, page: int, pages: int) -> dict[str, Any]:
    metrics = render_metrics(_sum(totals.cells))
    return {
        "total_spend": metrics.pop("spend"),
        **{name if name.startswith("total_") else f"total_{name}": value for name, value in metrics.items()},
        "page": page,
        "total_pages": pages,
        "has_more": page < pages,
    }
