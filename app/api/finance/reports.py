"""Our own report: any grouping, any interval, any time zone, as JSON or CSV, in pages that follow on one another."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency

from app.admin.key_reading import KeyReading
from app.admin.spend import Ask, Found, Spend
from app.api.admin.answers import answer, number
from app.api.admin.queries import Query, read_choice, read_number, read_query
from app.api.finance import focus
from app.api.finance.dates import read_required_days
from app.api.finance.files import render_csv
from app.api.security import Access
from app.base.errors import Unprocessable
from app.domain.report_periods import Interval
from app.storage.postgres.report_names import NAMED
from app.storage.postgres.reports import COLUMN_NAMES, Cell, Dimension

AnyRequest = Request[Any, Any, Any]
_DAYS = ("start_date", "end_date", "timezone")
_INTERVALS: Mapping[str, Interval] = {"hour": "hour", "day": "day", "week": "week", "month": "month"}
_DIMENSIONS: Mapping[str, Dimension] = {name: name for name in COLUMN_NAMES}
_FILTERS: Mapping[str, Dimension] = {COLUMN_NAMES[name]: name for name in COLUMN_NAMES}
_COUNTS = (
    "requests", "failures", "input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens",
    "output_tokens", "reasoning_tokens", "audio_input_tokens", "audio_output_tokens", "images", "web_searches",
)  # fmt: skip
_COSTS = {
    "input_cost": "input_cost_nanousd",
    "cache_read_cost": "cache_read_cost_nanousd",
    "cache_write_cost": "cache_write_cost_nanousd",
    "output_cost": "output_cost_nanousd",
    "other_cost": "other_cost_nanousd",
    "cost": "cost_nanousd",
    "notional_cost": "notional_nanousd",
}
_DAY = "day"  # in group_by the same as interval=day
_MOST, _USUAL = 10_000, 1_000


class ReportRoutes(Controller):
    @get("/spend/report")
    async def report(
        self,
        request: AnyRequest,
        access: NamedDependency[Access],
        spend: NamedDependency[Spend],
        key_reading: NamedDependency[KeyReading],
    ) -> Response[bytes]:
        tenant = (await access.require_caller(request)).tenant
        query = read_query(request, ("group_by", "interval", "format", "limit", "cursor", *_FILTERS, *_DAYS))
        style = read_choice(query, "format", ("json", "csv", "focus"))
        if "key_id" in query:
            query = {**query, "key_id": await key_reading.find_id(query["key_id"], tenant)}
        ask = _read_focus(query) if style == "focus" else _read(query)
        found = await spend.report(ask, tenant)
        cursor = _write_cursor(found) if len(found.cells) == ask.most else None
        if style == "focus":
            return render_csv(focus.COLUMNS, focus.rows(found, ask.timezone), cursor, "focus.csv")
        rows = [report_row(found, cell) for cell in found.cells]
        if style == "csv":
            return render_csv(report_head(found.group_by), rows, cursor, "spend.csv")
        return answer({"group_by": ask.group_by, "timezone": ask.timezone, "data": rows, "next_cursor": cursor})


def _read(query: Query) -> Ask:
    days = read_required_days(query)
    interval = read_choice(query, "interval", _INTERVALS)
    group_by = []
    for name in [name.strip() for name in query.get("group_by", "").split(",") if name.strip()]:
        if name == _DAY:
            if interval not in (None, _DAY):
                raise Unprocessable(f'"group_by" has "day", but "interval" is "{interval}"', param="group_by")
            interval = _DAY
            continue
        if name not in _DIMENSIONS:
            allowed = ", ".join((*_DIMENSIONS, _DAY))
            raise Unprocessable(f'"group_by" has "{name}"; it may have {allowed}', param="group_by")
        group_by.append(_DIMENSIONS[name])
    if len(set(group_by)) != len(group_by):
        raise Unprocessable(f'"group_by" has a name twice: "{query["group_by"]}"', param="group_by")
    if "tag" in query and "," in query["tag"] and "tag" not in group_by:
        raise Unprocessable(
            '"tag" has several tags, and a call may bear more than one of them; group_by tag too', param="tag"
        )
    only = {dimension: query[name].split(",") for name, dimension in _FILTERS.items() if name in query}
    return Ask(
        days.first,
        days.last,
        days.timezone,
        None if interval is None else _INTERVALS[interval],
        tuple(group_by),
        only,
        after=_read_cursor(query, len(group_by)),
        most=read_number(query, "limit", _USUAL, _MOST),
    )


def _read_focus(query: Query) -> Ask:
    """Lines of FOCUS are of a day, and say who and what in columns of their own."""
    for name in ("group_by", "interval"):
        if query.get(name, "day") != "day":
            raise Unprocessable(f'"{name}" is "{query[name]}", but format focus has columns of its own', param=name)
    if "tag" in query:
        raise Unprocessable('"tag" is no column of format focus; filter by project', param="tag")
    return _read({**query, "group_by": ",".join(focus.GROUP_BY), "interval": "day"})


def _read_cursor(query: Query, groups: int) -> tuple[str, tuple[str, ...]] | None:
    text = query.get("cursor")
    if text is None:
        return None
    try:
        label, group = msgspec.json.decode(base64.urlsafe_b64decode(text), type=tuple[str, tuple[str, ...]])
    except (msgspec.DecodeError, binascii.Error, ValueError) as error:
        raise Unprocessable('"cursor" is not the next_cursor of an answer', param="cursor") from error
    if len(group) != groups or "\0" in "".join(group):
        raise Unprocessable('"cursor" is of a report with another group_by', param="cursor")
    return label, group


def _write_cursor(found: Found) -> str:
    last = found.cells[-1]
    return base64.urlsafe_b64encode(msgspec.json.encode((found.label(last), last.group))).decode()


def report_row(found: Found, cell: Cell) -> dict[str, Any]:
    row: dict[str, Any] = {"period": found.label(cell)}
    for dimension, value in zip(found.group_by, cell.group, strict=True):
        row[COLUMN_NAMES[dimension]] = value or None
        if dimension in NAMED:
            row[f"{dimension}_alias"] = found.names.get((dimension, value))
    row |= {name: getattr(cell.amounts, name) for name in _COUNTS}
    return row | {name: number(getattr(cell.amounts, column)) for name, column in _COSTS.items()}


def report_head(group_by: Sequence[Dimension]) -> Sequence[str]:
    head = ["period"]
    for dimension in group_by:
        head += [COLUMN_NAMES[dimension], *([f"{dimension}_alias"] if dimension in NAMED else [])]
    return [*head, *_COUNTS, *_COSTS]
