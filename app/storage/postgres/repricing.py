"""What a job that prices receipts anew asks of them: a day's, page by page, and what was adjusted of each before."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.pricing import Cost
from app.domain.usage import Usage
from app.storage.postgres.tables import receipts

_COSTS = (
    "input_cost_nanousd",
    "cache_read_cost_nanousd",
    "cache_write_cost_nanousd",
    "output_cost_nanousd",
    "other_cost_nanousd",
    "cost_nanousd",
)
# Not priced by us: what the provider said, and what another gateway booked.
_NOT_OURS = ("reported", "taken_over")


@dataclass(frozen=True, slots=True)
class Page:
    """Calls that began in [``since``, ``until``), after the place ``after``; ``model`` as asked for or as served."""

    since: datetime
    until: datetime
    model: str | None
    limit: int
    after: tuple[datetime, str, int] | None = None


async def list_priced(connection: AsyncConnection, page: Page) -> list[Row[Any]]:
    """Whole rows in the order of (started_at, request_id, attempt); what a login of the caller's own paid is not
    among them."""
    place = tuple_(receipts.c.started_at, receipts.c.request_id, receipts.c.attempt)
    query = select(receipts).where(
        receipts.c.started_at >= page.since,
        receipts.c.started_at < page.until,
        receipts.c.kind == "usage",
        receipts.c.price_source.not_in(_NOT_OURS),
        receipts.c.notional_nanousd.is_(None),
    )
    if page.model is not None:
        query = query.where(or_(receipts.c.model_asked == page.model, receipts.c.model_served == page.model))
    if page.after is not None:
        query = query.where(place > page.after)
    return list(await connection.execute(query.order_by(place).limit(page.limit)))


async def adjusted_so_far(connection: AsyncConnection, request_ids: Sequence[str]) -> dict[tuple[str, int], Cost]:
    """What adjustments of each request and attempt add up to."""
    sums = (func.sum(receipts.c[name]) for name in _COSTS)
    query = (
        select(receipts.c.request_id, receipts.c.attempt, *sums)
        .where(receipts.c.kind == "adjustment", receipts.c.request_id.in_(request_ids))
        .group_by(receipts.c.request_id, receipts.c.attempt)
    )
    return {(row[0], row[1]): Cost(*map(int, row[2:])) for row in await connection.execute(query)}


def cost_of_row(row: Row[Any]) -> Cost:
    return Cost(*(row._mapping[name] for name in _COSTS))


def usage_of_row(row: Row[Any]) -> Usage:
    return Usage(
        input=row.input_tokens,
        cache_read=row.cache_read_tokens,
        cache_write_5m=row.cache_write_5m_tokens,
        cache_write_1h=row.cache_write_1h_tokens,
        output=row.output_tokens,
        reasoning=row.reasoning_tokens,
        audio_input=row.audio_input_tokens,
        audio_output=row.audio_output_tokens,
        images=row.images,
        web_searches=row.web_searches,
        file_searches=row.file_searches,
        service=row.service_tier,
    )
