"""Where in the log a page of what is looked for can lie, as sums of receipts tell: what is rare is found at once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Row, Table, distinct, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.report_periods import DAY_S, QUARTER_S, floor
from app.domain.roles import Tenant
from app.storage.postgres.cost_centers import BEGINNING, Charging, find_charging
from app.storage.postgres.receipts import (
    LogPage,
    ReceiptFilter,
    Stretch,
    fails,
    find_key_ids,
    list_receipts,
    table_of,
)
from app.storage.postgres.tables import keys, receipts
from app.storage.postgres.tables.reports import SPEND, SPEND_BY_TAG, days_that_tell
from app.storage.postgres.tenants import TENANT_COLUMNS, within

MOST_STRETCHES = 1_000
_DAY, _INSTANT = timedelta(days=1), timedelta(microseconds=1)
# What sums cannot count is looked for among so many times as many calls, and then among all.
_AMONG = (4, 16)
# How far back the sums of days are read first, and how many times as far then.
_FIRST, _FURTHER = timedelta(days=8), 8
# Among so many of the newest receipts is most of what is asked for.
NEWEST = 2_000
_SUMMED = (
    "organization_id", "team_id", "user_id", "key_id", "customer_id", "project", "model_served", "model_asked",
    "provider", "request_class", "kind",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """What holds for each row of sums that has such receipts."""

    wanted: ReceiptFilter
    since: datetime
    charging: Charging | None

    def table(self, tenant: Tenant, grain_s: int) -> Table:
        """With the fewest rows that tell all of it."""
        if self.wanted.tag is not None:
            return SPEND_BY_TAG[grain_s]
        if grain_s != DAY_S:
            return SPEND[grain_s]
        named = {name for name in _SUMMED if getattr(self.wanted, name) is not None}
        charged = () if self.charging is None else self.charging.columns
        reached = () if tenant.everything else TENANT_COLUMNS
        without = {"tagged" if name == "tags" else name for name in self.wanted.without - {"session_id"}}
        return days_that_tell({"key_id", *named, *charged, *reached, *without})

    def conditions(self, tenant: Tenant, table: Table) -> list[ColumnElement[bool]]:
        wanted = self.wanted
        found = within(tenant, table)
        found += [table.c[name] == value for name in _SUMMED if (value := getattr(wanted, name)) is not None]
        if wanted.key_alias is not None:
            found.append(table.c.key_id.in_(select(keys.c.key_id).where(keys.c.key_alias == wanted.key_alias)))
        if self.charging is not None and wanted.cost_center is not None:
            found.append(self.charging.is_charged_to(wanted.cost_center, table, table.c.bucket))
        if wanted.tag is not None:
            found.append(table.c.tag == wanted.tag)
        for name in sorted(wanted.without - {"session_id"}):
            if name != "tags":
                found.append(table.c[name] == "")
            elif "tagged" in table.c:
                found.append(~table.c.tagged)
        # Corrections are no calls, and no failures either, whatever they correct.
        return [*found, or_(self._calls(table) > 0, table.c.kind != "usage")]

    def count(self, table: Table) -> ColumnElement[int]:
        """About how many a row has."""
        return func.greatest(self._calls(table), 1)

    def _calls(self, table: Table) -> ColumnElement[int]:
        if self.wanted.is_ok is None and self.wanted.status is None:
            return table.c.requests
        return table.c.failures if fails(self.wanted) else table.c.requests - table.c.failures


@dataclass(frozen=True, slots=True)
class _Part:
    """Of the sums of a grain: a time, and where there are stretches only those."""

    grain_s: int
    since: datetime
    until: datetime
    stretches: Sequence[Stretch] | None


@dataclass(frozen=True, slots=True)
class _Bucket:
    """Of the sums: about how many such calls it has, and the keys that made them."""

    begins: datetime
    count: int
    key_ids: Sequence[str]


async def find_page(
    connection: AsyncConnection, tenant: Tenant, wanted: ReceiptFilter, page: LogPage, at: datetime
) -> list[Row[Any]]:
    """What ``list_receipts`` finds: among the newest receipts, or where sums say, or further back where they promised
    more than there is."""
    since = wanted.since
    if since is None or not _is_of_use(tenant, wanted, page):
        return await list_receipts(connection, tenant, wanted, page)
    if wanted.key_alias is not None:
        named = await find_key_ids(connection, wanted.key_alias)
        if len(named) == 1 and wanted.key_id in (None, named[0]):
            wanted = replace(wanted, key_id=named[0], key_alias=None)
    if _is_of_one_key(tenant, wanted):
        # Which has an index that is in the order of pages; what failed has one of its own, found without a stretch.
        if fails(wanted):
            return await list_receipts(connection, tenant, wanted, page)
        whole = Stretch(wanted.key_id or "", BEGINNING if wanted.as_counted else since, wanted.until or at + _DAY)
        return await list_receipts(connection, tenant, replace(wanted, key_id=None, stretches=(whole,)), page)
    charging = None
    if wanted.cost_center is not None:
        charging = await find_charging(connection, floor(since, DAY_S))
    if not fails(wanted):
        newest = replace(wanted, among_newest=NEWEST)
        found = await list_receipts(connection, tenant, newest, page, charging)
        if len(found) == page.most:
            return found
    return await _find_by_sums(connection, tenant, Asked(wanted, since, charging), page, at)


async def _find_by_sums(
    connection: AsyncConnection, tenant: Tenant, asked: Asked, page: LogPage, at: datetime
) -> list[Row[Any]]:
    most = page.most + page.skip
    found: list[Row[Any]] = []
    for times in (1, *_AMONG, None) if _is_counted(asked.wanted) else (*_AMONG, None):
        bounded, is_whole = await bound(connection, tenant, asked, page, at, times and times * most)
        some = bounded.stretches != ()
        found = await list_receipts(connection, tenant, bounded, page, asked.charging) if some else []
        if is_whole or len(found) == page.most:
            break
    return found


async def bound(
    connection: AsyncConnection, tenant: Tenant, asked: Asked, page: LogPage, at: datetime, count: int | None
) -> tuple[ReceiptFilter, bool]:
    """The same filter with the stretches in which its newest receipts are, ``count`` of them as sums count, and whether
    there are none elsewhere. Of days that have some the quarters of an hour are looked at, but for what failed: that
    has an index of its own."""
    wanted = asked.wanted
    after = None if page.after is None else page.after[0] + _INSTANT
    until = min(one for one in (wanted.until, after, at + _DAY) if one is not None)
    since, is_whole = asked.since, True
    stretches: list[Stretch] | None = None
    for grain_s in (DAY_S, QUARTER_S):
        is_short = until - since < timedelta(seconds=2 * grain_s)
        if is_short or stretches == [] or (stretches is not None and fails(wanted)):
            continue
        part = _Part(grain_s, since, until, stretches)
        buckets, is_cut = await _newest(connection, tenant, asked, part, count)
        is_whole = is_whole and not is_cut
        since = max(since, buckets[-1].begins) if buckets else since
        found = _stretches(buckets, grain_s)
        if len(found) <= MOST_STRETCHES:
            stretches = found
        elif len(buckets) > 2:
            break  # too many to be read one by one, and too much time to be read whole
    not_before = None if is_whole else since
    late = await _list_late(connection, tenant, asked, not_before, until)
    stretches = None if stretches is None else _joined((*stretches, *late))
    few = None if stretches is None or len(stretches) > MOST_STRETCHES else tuple(stretches)
    return replace(wanted, not_before=not_before, stretches=few), is_whole


async def _newest(
    connection: AsyncConnection, tenant: Tenant, asked: Asked, part: _Part, count: int | None
) -> tuple[list[_Bucket], bool]:
    """The newest that have so many together, and whether there are older ones that were left out."""
    since, until = floor(part.since, part.grain_s), part.until
    is_rough = part.stretches is None and part.grain_s == DAY_S and count is not None
    back, whole = _FIRST if is_rough else until - since, until - timedelta(seconds=part.grain_s)
    while True:
        first = max(since, floor(until - back, part.grain_s))
        found = await _list_buckets(connection, tenant, asked, replace(part, since=first))
        total = 0
        for place, bucket in enumerate(found, 1):
            total += bucket.count if bucket.begins <= whole else 0
            if count is not None and total >= count:
                return found[:place], True
        if first <= since:
            return found, False
        back *= _FURTHER


async def _list_buckets(connection: AsyncConnection, tenant: Tenant, asked: Asked, part: _Part) -> list[_Bucket]:
    """Newest first."""
    table = asked.table(tenant, part.grain_s)
    rows = select(table.c.bucket, table.c.key_id, asked.count(table).label("count")).where(
        *asked.conditions(tenant, table), table.c.bucket >= part.since, table.c.bucket < part.until
    )
    each: FromClause = rows.subquery("each")
    source = each
    if part.stretches is not None:
        # Each by the index of its key: without the offset the planner may read all rows, and join them.
        stretch = table_of(part.stretches)
        own = rows.where(
            table.c.key_id == stretch.c.key_id, table.c.bucket >= stretch.c.since, table.c.bucket < stretch.c.until
        )
        each = own.offset(0).lateral("each")
        source = stretch.join(each, true())
    query = (
        select(each.c.bucket, func.sum(each.c.count), func.array_agg(distinct(each.c.key_id)))
        .select_from(source)
        .group_by(each.c.bucket)
        .order_by(each.c.bucket.desc())
    )
    return [_Bucket(row[0], int(row[1]), row[2]) for row in await connection.execute(query)]


async def _list_late(
    connection: AsyncConnection, tenant: Tenant, asked: Asked, since: datetime | None, until: datetime
) -> list[Stretch]:
    """Of what sums count on another day than that of its beginning, and which began in this time."""
    began = receipts.c.started_at
    query = (
        select(receipts.c.key_id, func.min(began), func.max(began))
        .where(*within(tenant, receipts), receipts.c.posted_at >= asked.since, began < until)
        .group_by(receipts.c.key_id)
        .limit(MOST_STRETCHES + 1)
    )
    if since is not None:
        query = query.where(began >= since)
    return [Stretch(row[0], row[1], row[2] + _INSTANT) for row in await connection.execute(query)]


def _stretches(buckets: Iterable[_Bucket], grain_s: int) -> list[Stretch]:
    grain = timedelta(seconds=grain_s)
    return _joined(Stretch(key_id, one.begins, one.begins + grain) for one in buckets for key_id in one.key_ids)


def _joined(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Those of a key that touch or overlap are one."""
    found: list[Stretch] = []
    for one in sorted(stretches):
        last = found[-1] if found else None
        if last is not None and last.key_id == one.key_id and one.since <= last.until:
            found[-1] = replace(last, until=max(last.until, one.until))
        else:
            found.append(one)
    return found


def _is_of_use(tenant: Tenant, wanted: ReceiptFilter, page: LogPage) -> bool:
    """Where there is no index to find it by, and something to look for."""
    if page.order != "started_at" or not page.newest_first:
        return False
    if wanted.request_id is not None or wanted.session_id is not None:
        return False
    return bool(_looked_for(wanted)) or fails(wanted) or not tenant.everything


def _is_of_one_key(tenant: Tenant, wanted: ReceiptFilter) -> bool:
    return tenant.everything and _looked_for(wanted) == {"key_id"}


def _looked_for(wanted: ReceiptFilter) -> set[str]:
    """Of what sums tell."""
    names = (*_SUMMED, "key_alias", "tag", "cost_center")
    return {name for name in names if getattr(wanted, name) is not None} | (wanted.without - {"session_id"})


def _is_counted(wanted: ReceiptFilter) -> bool:
    """Whether sums tell all of it."""
    others = (wanted.status, wanted.least_nanousd, wanted.most_nanousd, wanted.deployment_id)
    return "session_id" not in wanted.without and all(one is None for one in others)
