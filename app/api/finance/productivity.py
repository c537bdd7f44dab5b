"""``/spend/productivity``: cost, commits, pull requests and lines of coding sessions, by owner and period."""

from collections.abc import Mapping
from typing import Any

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency

from app.admin.key_reading import KeyReading
from app.admin.productivity import OWNERS, Line, Productivity, Question, named_as
from app.api.admin.answers import answer, number, optional_number
from app.api.admin.queries import Query, read_choice, read_query
from app.api.finance.activity_answers import ACTIVITY_FIELDS, render_activity
from app.api.finance.dates import read_required_days
from app.api.finance.files import render_csv
from app.api.security import Access
from app.base.errors import Unprocessable
from app.domain.report_periods import Interval
from app.storage.postgres.reports import Dimension

AnyRequest = Request[Any, Any, Any]
_DIMENSIONS: Mapping[str, Dimension] = {dimension: dimension for dimension in OWNERS}
_FILTERS: Mapping[str, Dimension] = {column: dimension for dimension, column in OWNERS.items()}
_INTERVALS: Mapping[str, Interval] = {"day": "day", "week": "week", "month": "month"}
_AMOUNTS = ("cost", "sessions", *ACTIVITY_FIELDS, "cost_per_commit", "cost_per_pull_request")


class ProductivityRoutes(Controller):
    @get("/spend/productivity")
    async def report(
        self,
        request: AnyRequest,
        access: NamedDependency[Access],
        productivity: NamedDependency[Productivity],
        key_reading: NamedDependency[KeyReading],
    ) -> Response[bytes]:
        """Days are of UTC."""
        tenant = (await access.require_caller(request)).tenant
        query = read_query(request, ("group_by", "interval", "format", "start_date", "end_date", *_FILTERS))
        style = read_choice(query, "format", ("json", "csv"))
        if "key_id" in query:
            query = {**query, "key_id": await key_reading.find_id(query["key_id"], tenant)}
        question = _read(query)
        lines, names = await productivity.report(question, tenant)
        rows = [_row(question, line, names) for line in lines]
        if style == "csv":
            return render_csv(_head(question), rows, None, "productivity.csv")
        return answer({"group_by": question.group_by, "data": rows})


def _read(query: Query) -> Question:
    days = read_required_days(query)
    assert days.first is not None
    assert days.last is not None
    interval = read_choice(query, "interval", _INTERVALS)
    names = [name.strip() for name in query.get("group_by", "").split(",") if name.strip()]
    if "day" in names:
        if interval not in (None, "day"):
            raise Unprocessable(f'"group_by" has "day", but "interval" is "{interval}"', param="group_by")
        interval = "day"
        names.remove("day")
    for name in names:
        if name not in _DIMENSIONS or names.count(name) > 1:
            allowed = ", ".join((*_DIMENSIONS, "day"))
            raise Unprocessable(f'"group_by" has "{name}"; it may have {allowed}, each once', param="group_by")
    return Question(
        days.first,
        days.last,
        tuple(_DIMENSIONS[name] for name in names),
        None if interval is None else _INTERVALS[interval],
        {dimension: query[name].split(",") for name, dimension in _FILTERS.items() if name in query},
    )


def _row(question: Question, line: Line, names: Mapping[tuple[Dimension, str], str]) -> dict[str, Any]:
    row: dict[str, Any] = {"period": line.period}
    for dimension, value in zip(question.group_by, line.group, strict=True):
        row[OWNERS[dimension]] = value or None
        row[f"{named_as(dimension)}_alias"] = names.get((dimension, value))
    return {
        **row,
        "cost": number(line.cost_nanousd),
        "sessions": line.done.sessions,
        **render_activity(line.done),
        "cost_per_commit": optional_number(line.cost_per(line.done.commits)),
        "cost_per_pull_request": optional_number(line.cost_per(line.done.pull_requests)),
    }


def _head(question: Question) -> list[str]:
    names = [name for dimension in question.group_by for name in (OWNERS[dimension], f"{named_as(dimension)}_alias")]
    return ["period", *names, *_AMOUNTS]
