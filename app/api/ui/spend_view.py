"""What the address of the spend explorer asks for: a view that can be kept, sent, narrowed and looked into."""

import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from litestar import Request

from app.admin.spend_explorer import MEASURES, Question
from app.api.admin.time_fields import check_zone
from app.api.ui.lists import read_page_number, read_text
from app.api.ui.spend_filters import DIMENSIONS, NAMES, Filters, read_days, read_filters, write_filters
from app.base.clock import now
from app.domain.report_spans import Span, SpanName, span_of
from app.storage.postgres.reports import Dimension

PATH = "/ui/spend"
PAGE = 50
DAY = "day"
PLAIN = "none"
"""Bars of one color."""
SPANS: Mapping[str, str] = {
    "today": "Today", "7d": "Last 7 days", "30d": "Last 30 days", "month": "This month", "last-month": "Last month",
}  # fmt: skip
USUAL_SPAN: SpanName = "30d"
_SPAN_NAMES: Mapping[str, SpanName] = {
    "today": "today", "7d": "7d", "30d": "30d", "month": "month", "last-month": "last-month",
}  # fmt: skip
_FURTHER: Mapping[str, Dimension] = {
    "organization": "team", "team": "user", "user": "key", "project": "user", DAY: "team", "kind": "team",
    "cost_center": "team",
}  # fmt: skip
"""What a line is looked into by; of those that are not here, by model."""
_THEN: tuple[Dimension, ...] = ("model", "team", "user", "key", "session", "request_class")


@dataclass(frozen=True, slots=True)
class SpendView:
    """``by`` is a dimension or ``day``; ``stack`` a dimension, ``none``, or empty for what the lines are. ``only`` has
    the empty text for those without."""

    by: str
    stack: str
    span: Span
    timezone: str
    only: Filters = field(default_factory=dict)
    compares: bool = True
    exact: bool = False
    sort: str = "cost"
    descending: bool = True
    number: int = 1

    def address(self, **changes: object) -> str:
        return _address(PATH, self._asked() | changes, {"span": USUAL_SPAN, **_PLAIN})

    def download(self, style: str) -> str:
        return _address(
            f"{PATH}/download", self._asked() | {"page": 1, "format": style}, {"span": USUAL_SPAN, **_PLAIN}
        )

    def sorted_by(self, column: str) -> str:
        order = "asc" if self.sort == column and self.descending else "desc"
        return self.address(sort=column, order=order, page=1)

    def without(self, dimension: Dimension) -> str:
        """The same with one filter less."""
        return self._narrowed({name: value for name, value in self.only.items() if name != dimension})

    def into(self, value: str) -> str:
        """One line of the table, by what it may be looked into next."""
        if self.by == DAY:
            following = next(name for name in (_FURTHER[DAY], *_THEN) if name not in self.only or name == _THEN[-1])
            return self._narrowed(self.only, by=following, stack="", span="custom", **{"from": value, "to": value})
        only = {**self.only, NAMES[self.by]: value}
        following = next((name for name in (_FURTHER.get(self.by, "model"), *_THEN) if name not in only), "session")
        return self._narrowed(only, by=following, stack="")

    def with_filter(self, dimension: Dimension, value: str) -> str:
        return self._narrowed({**self.only, dimension: value})

    def requests(self, value: str | None = None) -> str:
        """The log of the same: of a line, or of all of them, which adds up to the figure here."""
        days, only = (self.span.first.isoformat(), self.span.last.isoformat()), dict(self.only)
        if value is not None:
            if self.by == DAY:
                days = (value, value)
            else:
                only[NAMES[self.by]] = value
        asked = {"from": days[0], "to": days[1], "zone": self.timezone, "counted": "1", **write_filters(only)}
        return _address("/ui/requests", asked, {"zone": "UTC"})

    def question(self) -> Question:
        stack = self.by if self.stack == "" else self.stack
        if self.stack == "" and stack == "session":  # hardly one of them has a second call
            stack = PLAIN
        return Question(
            self.span,
            self.timezone,
            NAMES.get(self.by),
            NAMES.get(stack),
            {name: (value,) for name, value in self.only.items()},
            self.compares,
            self.sort,
            self.descending,
            (self.number - 1) * PAGE,
            PAGE,
        )

    def hidden(self, *but: str) -> list[tuple[str, str]]:
        """What a form of the page keeps of the address, but for its own fields."""
        asked = self._asked() | {"page": 1}
        plain = {"span": USUAL_SPAN, **_PLAIN}
        return [(name, str(value)) for name, value in asked.items() if name not in but and value != plain.get(name, "")]

    def _narrowed(self, only: Filters, **changes: object) -> str:
        return _address(PATH, {**self._asked(only), "page": 1, **changes}, {"span": USUAL_SPAN, **_PLAIN})

    def _asked(self, only: Filters | None = None) -> dict[str, object]:
        custom = self.span.name == "custom"
        return {
            "by": self.by,
            "stack": self.stack,
            "span": self.span.name,
            "from": self.span.first.isoformat() if custom else "",
            "to": self.span.last.isoformat() if custom else "",
            "zone": self.timezone,
            "compare": "on" if self.compares else "off",
            "exact": "on" if self.exact else "off",
            "sort": self.sort,
            "order": "desc" if self.descending else "asc",
            "page": self.number,
            **write_filters(self.only if only is None else only),
        }


_PLAIN: Mapping[str, object] = {
    "zone": "UTC", "compare": "on", "exact": "off", "sort": "cost", "order": "desc", "page": 1,
}  # fmt: skip


def read_view(request: Request[Any, Any, Any], usual: str) -> SpendView:
    """Raises Unprocessable for a zone or days that cannot be; what else makes no sense is as if it were not there."""
    by, stack = read_text(request, "by"), read_text(request, "stack")
    timezone = check_zone("zone", read_text(request, "zone") or "UTC")
    by = by if by in DIMENSIONS or by == DAY else usual
    sort = read_text(request, "sort")
    return SpendView(
        by,
        stack if stack in DIMENSIONS or stack == PLAIN else "",
        read_span(request, timezone),
        timezone,
        read_filters(request),
        compares=read_text(request, "compare") != "off",
        exact=read_text(request, "exact") == "on",
        sort=sort if sort in MEASURES or (sort, by) == (DAY, DAY) else DAY if by == DAY else "cost",
        descending=read_text(request, "order") != "asc",
        number=read_page_number(request),
    )


def usual_view(by: str) -> SpendView:
    """What is shown where the address cannot be read."""
    return SpendView(by, "", span_of(USUAL_SPAN, now().date()), "UTC")


def read_span(request: Request[Any, Any, Any], timezone: str) -> Span:
    """By name, or from one day to another where the address has them. Raises Unprocessable."""
    today = now().astimezone(zoneinfo.ZoneInfo(timezone)).date()
    days = read_days(request, today)
    if days is not None:
        return Span("custom", *days)
    return span_of(_SPAN_NAMES.get(read_text(request, "span"), USUAL_SPAN), today)


def _address(path: str, asked: Mapping[str, object], plain: Mapping[str, object]) -> str:
    merged = {name: value for name, value in asked.items() if value != plain.get(name, "")}
    return f"{path}?{urlencode(merged)}" if merged else path
