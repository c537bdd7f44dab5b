"""Where in the log a page of what is looked for can lie, as the sums of days tell: what is rare is found at once."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Table, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.report_periods import DAY_S
from app.domain.roles import Tenant
from app.storage.postgres.cost_centers import find_charging
from app.storage.postgres.receipts import LogPage, ReceiptFilter
from app.storage.postgres.tables import receipts
from app.storage.postgres.tables.reports import SPEND, SPEND_BY_TAG
from app.storage.postgres.tenants import within

MOST_KEYS = 200
_DAY = timedelta(seconds=DAY_S)
_SHORT = timedelta(days=2)
_SUMMED = (
    "organization_id", "team_id", "user_id", "customer_id", "project", "model_served", "model_asked", "provider",
    "request_class", "kind",
)  # fmt: skip


async def bound(
    connection: AsyncConnection, tenant: Tenant, wanted: ReceiptFilter, page: LogPage, at: datetime
) -> ReceiptFilter:
    """The same filter, which finds the same page, with a later ``since`` and the keys that made such calls: as it is
    where that is no use. Where receipts are counted on another day than they began, the keys alone."""
    until = min(one for one in (wanted.until, page.after[0] if page.after else None, at + _DAY) if one is not None)
    if not _is_of_use(wanted, page) or wanted.since is None or until - wanted.since < _SHORT:
        return wanted
    table = (SPEND if wanted.tag is None else SPEND_BY_TAG)[DAY_S]
    first = _midnight(wanted.since)
    conditions = [*within(tenant, table), *await _conditions(connection, table, wanted)]
    fails = [table.c.failures > 0] if wanted.is_ok is False else []
    posted = exists().where(receipts.c.posted_at >= wanted.since)
    if (await connection.execute(select(posted))).scalar_one():
        # When it was counted tells neither when it began nor whether it was a correction.
        until = at + _DAY
    else:
        conditions += [] if wanted.kind is None else [table.c.kind == wanted.kind]
        if _is_summed(wanted):
            # Each row has one such call at least, and its whole day lies before the page's end.
            whole = select(table.c.bucket).where(
                *conditions, *fails, table.c.bucket >= first, table.c.bucket <= until - _DAY
            )
            days = whole.order_by(table.c.bucket.desc()).limit(1).offset(page.most + page.skip - 1)
            first = (await connection.execute(days)).scalar_one_or_none() or first
    if fails:  # corrections are no failures in sums, whatever they correct
        conditions.append(or_(*fails, table.c.kind != "usage"))
    made = select(table.c.key_id).distinct().where(*conditions, table.c.bucket >= first, table.c.bucket < until)
    keys = list((await connection.execute(made.limit(MOST_KEYS + 1))).scalars())
    key_ids = tuple(keys) if len(keys) <= MOST_KEYS else None
    return replace(wanted, since=max(first, wanted.since), key_ids=key_ids)


def _is_of_use(wanted: ReceiptFilter, page: LogPage) -> bool:
    """Where there is no index to find it by, and something to look for."""
    indexed = (wanted.request_id, wanted.session_id, wanted.key_id, wanted.key_alias)
    if page.order != "started_at" or not page.newest_first or any(one is not None for one in indexed):
        return False
    summed = any(getattr(wanted, name) is not None for name in _SUMMED)
    others = wanted.is_ok is False or wanted.tag is not None or wanted.cost_center is not None
    return summed or others or bool(wanted.without)


def _is_summed(wanted: ReceiptFilter) -> bool:
    """A day with calls of all else may have none of these."""
    others = (wanted.status, wanted.least_nanousd, wanted.most_nanousd, wanted.deployment_id)
    return wanted.is_ok is not True and "session_id" not in wanted.without and all(one is None for one in others)


async def _conditions(connection: AsyncConnection, table: Table, wanted: ReceiptFilter) -> list[ColumnElement[bool]]:
    """Of all but the kind."""
    told = [name for name in _SUMMED if name != "kind"]
    conditions = [table.c[name] == value for name in told if (value := getattr(wanted, name)) is not None]
    if wanted.cost_center is not None and wanted.since is not None:
        charging = await find_charging(connection, _midnight(wanted.since))
        conditions.append(charging.is_charged_to(wanted.cost_center, table, table.c.bucket))
    if wanted.tag is not None:
        conditions.append(table.c.tag == wanted.tag)
    for name in sorted(wanted.without - {"session_id"}):
        if name != "tags":
            conditions.append(table.c[name] == "")
        elif "tagged" in table.c:
            conditions.append(~table.c.tagged)
    return conditions


def _midnight(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
