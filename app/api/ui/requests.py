"""The pages of the log: the latest calls, and one receipt in full with why it cost what it cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy import Row

from app.admin.naming import Naming
from app.admin.spend import Spend
from app.api.finance.logs import read_cursor, write_cursor
from app.api.ui.access import Pages
from app.api.ui.lists import read_text
from app.base.clock import now
from app.base.errors import NotFound
from app.base.money import MILLION, NanoUSD
from app.domain.roles import Tenant
from app.storage.postgres.receipts import LogPage, ReceiptFilter

AnyRequest = Request[Any, Any, Any]
_PAGE = 50
SPANS: Mapping[str, tuple[str, timedelta]] = {
    "1h": ("The last hour", timedelta(hours=1)),
    "24h": ("The last day", timedelta(days=1)),
    "7d": ("The last week", timedelta(days=7)),
    "30d": ("The last 30 days", timedelta(days=30)),
}
_USUAL_SPAN = "7d"
_RESULTS: Mapping[str, bool] = {"ok": True, "failed": False}
COUNTED_BY: Mapping[str, str] = {
    "provider": "counted by the provider",
    "estimated": "estimated here, the provider gave no count",
    "cache": "an answer out of the cache",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One part of a cost; ``per_million_nanousd`` is what it comes to, None where nothing is counted by tokens."""

    what: str
    quantity: int | None
    cost_nanousd: NanoUSD

    @property
    def per_million_nanousd(self) -> NanoUSD | None:
        return self.cost_nanousd * MILLION // self.quantity if self.quantity else None


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address of the log asks for, as it was written."""

    span: str
    result: str
    model: str
    key: str
    session: str
    live: bool

    def address(self, **changes: object) -> str:
        asked = {
            "span": self.span, "result": self.result, "model": self.model, "key": self.key, "session": self.session,
            "live": "1" if self.live else "",
        }  # fmt: skip
        merged = {name: value for name, value in (asked | changes).items() if value and value != _USUAL_SPAN}
        return f"/ui/requests?{urlencode(merged)}" if merged else "/ui/requests"

    @property
    def is_narrow(self) -> bool:
        return bool(self.result or self.model or self.key or self.session)


class RequestPages(Controller):
    """On the service of ``/spend/logs``, with the same action."""

    include_in_schema = False

    @get("/ui/requests")
    async def log(
        self, request: AnyRequest, pages: NamedDependency[Pages], spend: NamedDependency[Spend]
    ) -> Response[bytes]:
        person = await pages.require_page(request, "spend.logs")
        asked = _read_asked(request)
        cursor = read_text(request, "cursor")
        is_id = asked.key.startswith("key_")
        wanted = ReceiptFilter(
            since=now() - SPANS[asked.span][1],
            is_ok=_RESULTS.get(asked.result),
            model_served=asked.model or None,
            key_id=asked.key if is_id else None,
            key_alias=asked.key if asked.key and not is_id else None,
            session_id=asked.session or None,
        )
        page = LogPage(most=_PAGE + 1, after=read_cursor(cursor) if cursor else None)
        found = await spend.log_rows(person.tenant("spend.logs") or Tenant(), wanted, page)
        follows = write_cursor(found[_PAGE - 1]) if len(found) > _PAGE else None
        values: dict[str, Any] = {"rows": found[:_PAGE], "asked": asked, "follows": follows, "is_first": not cursor}
        values |= {"spans": {name: words for name, (words, _) in SPANS.items()}}
        return pages.show(request, "requests.html", person, **values)

    @get("/ui/requests/{request_id:str}")
    async def receipt(
        self,
        request: AnyRequest,
        request_id: FromPath[str],
        pages: NamedDependency[Pages],
        spend: NamedDependency[Spend],
        naming: NamedDependency[Naming],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "spend.logs")
        wanted = ReceiptFilter(request_id=request_id.replace("\0", ""))
        found = await spend.log_rows(person.tenant("spend.logs") or Tenant(), wanted, LogPage(newest_first=False))
        if not found:
            raise NotFound("There is no such request, or it is not yours to see.")
        users = await naming.names("user", [row.user_id for row in found])
        receipts = [(row, lines_of(row)) for row in found]
        values: dict[str, Any] = {"receipts": receipts, "users": users, "counted_by": COUNTED_BY}
        return pages.show(request, "receipt.html", person, **values)


def lines_of(row: Row[Any]) -> Sequence[Line]:
    """The parts of which the cost of a receipt is the sum; those of nothing are left out."""
    written = row.cache_write_5m_tokens + row.cache_write_1h_tokens
    lines = (
        Line("Input", row.input_tokens + row.audio_input_tokens, row.input_cost_nanousd),
        Line("Read from the provider's cache", row.cache_read_tokens, row.cache_read_cost_nanousd),
        Line("Written to the provider's cache", written, row.cache_write_cost_nanousd),
        Line("Output", row.output_tokens + row.audio_output_tokens, row.output_cost_nanousd),
        Line("Searches, images and the like", None, row.other_cost_nanousd),
    )
    return [line for line in lines if line.quantity or line.cost_nanousd]


def _read_asked(request: AnyRequest) -> Asked:
    span, result = read_text(request, "span"), read_text(request, "result")
    return Asked(
        span if span in SPANS else _USUAL_SPAN,
        result if result in _RESULTS else "",
        read_text(request, "model"),
        read_text(request, "key"),
        read_text(request, "session"),
        read_text(request, "live") == "1",
    )
