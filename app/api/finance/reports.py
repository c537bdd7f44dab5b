"""Our own report: any grouping, any interval, any time zone, as JSON or CSV, in pages that follow on one another."""

import base64
import binascii
import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency

from app.admin.key_reading import KeyReading
from app.admin.spend import Ask, Found, Spend
from app.api.admin.answers import answer, number
from app.api.admin.queries import Query, read_choice, read_number, read_query
from app.api.finance.dates import read_required_days
from app.api.security import Access
from app.base.errors import Unprocessable
from app.base.ids import new_id
from app.domain.report_periods import Interval
from app.storage.postgres.reports import COLUMN_NAMES, Cell, Dimension

AnyRequest = Request[Any, Any, Any]
_DAYS = ("start_date", "end_date", "timezone")
_INTERVALS: Mapping[str, Interval] = {"hour": "hour", "day": "day", "week": "week", "month": "month"}
_DIMENSIONS: Mapping[str, Dimension] = {name: name for name in COLUMN_NAMES}
_FILTERS: Mapping[str, Dimension] = {COLUMN_NAMES[name]: name for name in COLUMN_NAMES}
_NAMED: frozenset[Dimension] = frozenset({"organization", "team", "user", "key", "customer"})
_COUNTS = (
    "requests", "failures", "input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens",
    "output_tokens", "reasoning_tokens", "audio_input_tokens", "audio_output_tokens", "images", "web_searches",
)  # fmt: skip
_COSTS = ("input_cost", "cache_read_cost", "cache_write_cost", "output_cost", "other_cost", "cost")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
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
        await access.require_admin(request)
        query = read_query(request, ("group_by", "interval", "format", "limit", "cursor", *_FILTERS, *_DAYS))
        as_csv = read_choice(query, "format", ("json", "csv")) == "csv"
        if "key_id" in query:
            query = {**query, "key_id": await key_reading.find_id(query["key_id"])}
        ask = _read(query)
        found = await spend.report(ask)
        cursor = _write_cursor(found) if len(found.cells) == ask.most else None
        rows = [_row(found, cell) for cell in found.cells]
        if as_csv:
            return _render_csv(found, rows, cursor)
        return answer({"group_by": ask.group_by, "timezone": ask.timezone, "data": rows, "next_cursor": cursor})


def _read(query: Query) -> Ask:
    days = read_required_days(query)
    group_by = []
    for name in [name.strip() for name in query.get("group_by", "").split(",") if name.strip()]:
        if name not in _DIMENSIONS:
            raise Unprocessable(f'"group_by" has "{name}"; it may have {", ".join(_DIMENSIONS)}', param="group_by")
        group_by.append(_DIMENSIONS[name])
    if len(set(group_by)) != len(group_by):
        raise Unprocessable(f'"group_by" has a name twice: "{query["group_by"]}"', param="group_by")
    if "tag" in query and "," in query["tag"] and "tag" not in group_by:
        raise Unprocessable(
            '"tag" has several tags, and a call may bear more than one of them; group_by tag too', param="tag"
        )
    interval = read_choice(query, "interval", _INTERVALS)
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


def _row(found: Found, cell: Cell) -> dict[str, Any]:
    row: dict[str, Any] = {"period": found.label(cell)}
    for dimension, value in zip(found.group_by, cell.group, strict=True):
        row[COLUMN_NAMES[dimension]] = value or None
        if dimension in _NAMED:
            row[f"{dimension}_alias"] = found.names.get((dimension, value))
    row |= {name: getattr(cell.amounts, name) for name in _COUNTS}
    return row | {name: number(getattr(cell.amounts, f"{name}_nanousd")) for name in _COSTS}


def _render_csv(found: Found, rows: Sequence[Mapping[str, Any]], cursor: str | None) -> Response[bytes]:
    """Amounts as they stand in JSON; the next cursor is in the header ``x-next-cursor``."""
    head = ["period"]
    for dimension in found.group_by:
        head += [COLUMN_NAMES[dimension], *([f"{dimension}_alias"] if dimension in _NAMED else [])]
    head += [*_COUNTS, *_COSTS]
    page = io.StringIO()
    writer = csv.writer(page)
    writer.writerow(head)
    writer.writerows([[_cell(row[name]) for name in head] for row in rows])
    headers = {"request-id": new_id("req"), "content-disposition": 'attachment; filename="spend.csv"'}
    if cursor is not None:
        headers["x-next-cursor"] = cursor
    return Response(page.getvalue().encode(), status_code=200, headers=headers, media_type="text/csv; charset=utf-8")


def _cell(value: object) -> object:
    """A text that a spreadsheet would take for a formula gets an apostrophe before it."""
    if isinstance(value, msgspec.Raw):
        return bytes(value).decode()
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return "" if value is None else value
