"""What the address of the log asks for: which time, which result, and whose calls."""

import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from litestar import Request

from app.admin.spend_explorer import Question
from app.api.admin.time_fields import check_zone
from app.api.ui.lists import read_text
from app.api.ui.spend_filters import Filters, read_days, read_filters, write_filters
from app.base.clock import now
from app.domain.report_periods import midnight
from app.domain.report_spans import Span
from app.storage.postgres.receipts import ReceiptFilter
from app.storage.postgres.reports import COLUMN_NAMES, Dimension

PATH = "/ui/requests"
SPANS: Mapping[str, tuple[str, timedelta]] = {
    "1h": ("Last hour", timedelta(hours=1)),
    "24h": ("Last 24 hours", timedelta(days=1)),
    "7d": ("Last 7 days", timedelta(days=7)),
    "30d": ("Last 30 days", timedelta(days=30)),
}
USUAL_SPAN = "7d"
RESULTS: Mapping[str, str] = {
    "ok": "Succeeded",
    "failed": "Failed in any way",
    "error": "The provider failed",
    "hung_up": "The client left",
    "cut": "Cut short here",
}
_KEY_ID = "key_"
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class RequestsView:
    """``span`` is one of ``SPANS``, back from now; ``days`` are whole ones of the zone in its place: those in which
    calls began, or where ``counted`` those in which reports count them."""

    span: str = USUAL_SPAN
    days: tuple[date, date] | None = None
    timezone: str = "UTC"
    result: str = ""
    only: Filters = field(default_factory=dict)
    live: bool = False
    counted: bool = False

    def address(self, **changes: object) -> str:
        return _address(self._asked() | changes)

    def without(self, dimension: Dimension) -> str:
        return _address(self._asked({name: value for name, value in self.only.items() if name != dimension}))

    def with_filter(self, dimension: Dimension, value: str) -> str:
        return _address(self._asked({**self.only, dimension: value}))

    def hidden(self, *but: str) -> list[tuple[str, str]]:
        """What a form of the page keeps of the address, but for its own fields."""
        return [(name, str(value)) for name, value in self._asked().items() if name not in but and value]

    @property
    def is_narrow(self) -> bool:
        return bool(self.result or self.only)

    @property
    def is_a_report(self) -> bool:
        """Whether ``question`` has a report of just these receipts, for any time: sessions have one while they have
        receipts, and a key goes by its id there."""
        by_id = self.only.get("key", _KEY_ID).startswith(_KEY_ID)
        return self.counted and self.days is not None and not self.result and by_id and "session" not in self.only

    def receipts(self) -> ReceiptFilter:
        zone = zoneinfo.ZoneInfo(self.timezone)
        if self.days is None:
            since, until = now() - SPANS[self.span][1], None
        else:
            since, until = midnight(self.days[0], zone), midnight(self.days[1] + _DAY, zone)
        key = self.only.get("key", "")
        columns: dict[str, Any] = {
            "tag" if name == "tag" else COLUMN_NAMES[name]: value
            for name, value in self.only.items()
            if (value or name == "cost_center") and name != "key"
        }
        return ReceiptFilter(
            since=since,
            until=until,
            key_id=key if key.startswith(_KEY_ID) else None,
            key_alias=key if key and not key.startswith(_KEY_ID) else None,
            is_ok={"ok": True, "failed": False}.get(self.result),
            status=None if self.result in ("ok", "failed", "") else self.result,
            without=frozenset(
                "tags" if name == "tag" else COLUMN_NAMES[name]
                for name, value in self.only.items()
                if not value and name != "cost_center"
            ),
            as_counted=self.counted and self.days is not None,
            **columns,
        )

    def question(self) -> Question:
        """Of the days that this time touches, by which filters are offered."""
        span = self.days or (_day(now() - SPANS[self.span][1], self.timezone), _day(now(), self.timezone))
        return Question(Span("custom", *span), self.timezone, only={name: (one,) for name, one in self.only.items()})

    def _asked(self, only: Filters | None = None) -> dict[str, object]:
        first, last = ("", "") if self.days is None else (self.days[0].isoformat(), self.days[1].isoformat())
        return {
            "span": self.span if self.days is None and self.span != USUAL_SPAN else "",
            "from": first,
            "to": last,
            "zone": self.timezone if self.timezone != "UTC" else "",
            "counted": "1" if self.counted and self.days is not None else "",
            "result": self.result,
            "live": "1" if self.live else "",
            **write_filters(self.only if only is None else only),
        }


def read_requests_view(request: Request[Any, Any, Any]) -> RequestsView:
    """Raises Unprocessable for a zone or days that cannot be."""
    timezone = check_zone("zone", read_text(request, "zone") or "UTC")
    span, result = read_text(request, "span"), read_text(request, "result")
    return RequestsView(
        span if span in SPANS else USUAL_SPAN,
        read_days(request, _day(now(), timezone)),
        timezone,
        result if result in RESULTS else "",
        read_filters(request),
        read_text(request, "live") == "1",
        read_text(request, "counted") == "1",
    )


def _day(at: datetime, timezone: str) -> date:
    return at.astimezone(zoneinfo.ZoneInfo(timezone)).date()


def _address(asked: Mapping[str, object]) -> str:
    merged = {name: value for name, value in asked.items() if value}
    return f"{PATH}?{urlencode(merged)}" if merged else PATH
