"""The log in pages: LiteLLM's ``/spend/logs/v2``, with a cursor beside its page numbers."""

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec
from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency
from sqlalchemy import Row

from app.admin.key_reading import KeyReading
from app.admin.spend import MOST_COUNTED, Spend
from app.api.admin.answers import answer
from app.api.admin.queries import Query, read_choice, read_number, read_query, read_query_flag
from app.api.finance.answers import render_log
from app.api.finance.dates import read_days
from app.api.security import Access
from app.base.errors import NotFound, Unprocessable
from app.base.money import NanoUSD, parse_usd
from app.domain.roles import Tenant
from app.storage.postgres.receipts import LogPage, Place, ReceiptFilter

AnyRequest = Request[Any, Any, Any]
_MOST, _USUAL = 1_000, 50
_ORDERS: Mapping[str, Literal["started_at", "cost_nanousd", "duration_ms"]] = {
    "startTime": "started_at", "spend": "cost_nanousd", "request_duration_ms": "duration_ms",
}  # fmt: skip
_STATUSES = {"success": True, "failure": False}
# LiteLLM's name of a filter, and the column of receipts.
_COLUMNS = {
    "request_id": "request_id", "session_id": "session_id", "team_id": "team_id", "end_user": "customer_id",
    "model": "model_served", "model_group": "model_asked", "model_id": "deployment_id", "key_alias": "key_alias",
    "project": "project", "request_class": "request_class", "cost_center": "cost_center",
}  # fmt: skip
_OTHERS = (
    "api_key", "user_id", "min_spend", "max_spend", "start_date", "end_date", "timezone", "status_filter", "page",
    "page_size", "cursor", "sort_by", "sort_order", "exclude_internal_health_checks", "group_by_session",
    "as_counted",
)  # fmt: skip
_TIME = re.compile(r"(\d{4}-\d{2}-\d{2})[ T](\d{2}:\d{2}:\d{2})Z?", re.ASCII)


class LogRoutes(Controller):
    @get("/spend/logs/v2")
    async def page(
        self,
        request: AnyRequest,
        access: NamedDependency[Access],
        spend: NamedDependency[Spend],
        key_reading: NamedDependency[KeyReading],
    ) -> Response[bytes]:
        tenant = (await access.require_caller(request)).tenant
        query = read_query(request, (*_COLUMNS, *_OTHERS))
        if read_query_flag(query, "group_by_session", default=False):
            raise Unprocessable(
                '"group_by_session" is not honoured; see /spend/report?group_by=session', param="group_by_session"
            )
        read_query_flag(query, "exclude_internal_health_checks", default=False)  # ours leave no receipts
        key_id = await key_reading.find_id(query["api_key"], tenant) if "api_key" in query else None
        wanted = _read_filter(query, tenant, key_id)
        size, number = read_number(query, "page_size", _USUAL, _MOST), read_number(query, "page", 1, MOST_COUNTED)
        page = _read_page(query, size, number)
        found, total = await spend.log_page(tenant, wanted, page)
        follows = len(found) == size and page.order == "started_at"
        return answer(
            {
                "data": [render_log(row) for row in found],
                "total": total,
                "page": number,
                "page_size": size,
                "total_pages": -(-total // size),
                "next_cursor": write_cursor(found[-1]) if follows else None,
            }
        )


def _read_filter(query: Query, tenant: Tenant, key_id: str | None) -> ReceiptFilter:
    user_id = query.get("user_id")
    if user_id is not None and not tenant.may_hold_rows_of(user_id):
        raise NotFound(f'no such user: "{user_id}"', param="user_id")
    since, until = _read_span(query)
    status = read_choice(query, "status_filter", _STATUSES)
    columns: dict[str, Any] = {column: query[name] for name, column in _COLUMNS.items() if name in query}
    return ReceiptFilter(
        since=since,
        until=until,
        key_id=key_id,
        user_id=user_id,
        least_nanousd=_read_amount(query, "min_spend"),
        most_nanousd=_read_amount(query, "max_spend"),
        is_ok=None if status is None else _STATUSES[status],
        as_counted=read_query_flag(query, "as_counted", default=False),
        **columns,
    )


def _read_span(query: Query) -> tuple[datetime | None, datetime | None]:
    """Days, both included; or times of UTC as LiteLLM's pages write them, of which the last is not included."""
    times = {name: match for name in ("start_date", "end_date") if (match := _TIME.fullmatch(query.get(name, "")))}
    days = read_days({**query, **{name: match[1] for name, match in times.items()}})
    exact = {name: _read_time(name, match) for name, match in times.items()}
    since, until = exact.get("start_date", days.since), exact.get("end_date", days.until)
    if since is not None and until is not None and until < since:
        raise Unprocessable('"end_date" is before "start_date"', param="end_date")
    return since, until


def _read_time(name: str, match: re.Match[str]) -> datetime:
    try:
        return datetime.fromisoformat(f"{match[1]}T{match[2]}+00:00")
    except ValueError as error:
        raise Unprocessable(f'"{name}" is "{match[0]}"; write a date, or YYYY-MM-DD HH:MM:SS', param=name) from error


def _read_amount(query: Query, name: str) -> NanoUSD | None:
    try:
        return parse_usd(query[name]) if name in query else None
    except ValueError as error:
        raise Unprocessable(f'"{name}" is "{query[name]}"; give an amount in dollars', param=name) from error


def _read_page(query: Query, size: int, number: int) -> LogPage:
    order = _ORDERS[read_choice(query, "sort_by", _ORDERS) or "startTime"]
    newest_first = (read_choice(query, "sort_order", ("asc", "desc")) or "desc") == "desc"
    if "cursor" not in query:
        if number * size > MOST_COUNTED:
            raise Unprocessable(f'"page" lies behind row {MOST_COUNTED}; go on with "next_cursor"', param="page")
        return LogPage(order, newest_first, size, (number - 1) * size)
    if order != "started_at" or "page" in query:
        raise Unprocessable('"cursor" goes with sort_by=startTime and without page', param="cursor")
    return LogPage(order, newest_first, size, 0, read_cursor(query["cursor"]))


def read_cursor(text: str) -> Place:
    """Raises Unprocessable."""
    try:
        place: Place = msgspec.json.decode(base64.urlsafe_b64decode(text), type=Place)
    except (msgspec.DecodeError, binascii.Error, ValueError) as error:
        raise Unprocessable('"cursor" is not the next_cursor of an answer', param="cursor") from error
    if place[0].tzinfo is None or "\0" in place[1] or not 0 <= place[2] < 2**15:
        raise Unprocessable('"cursor" is not the next_cursor of an answer', param="cursor")
    return place


def write_cursor(row: Row[Any]) -> str:
    """Behind which receipt the next page begins."""
    place: Place = (row.started_at, row.request_id, row.attempt)
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode()
