"""Cost centres: which one an owner has since which month, and what the sums of receipts are charged to by them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    Select,
    Subquery,
    Text,
    and_,
    delete,
    exists,
    false,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
    text,
    true,
    tuple_,
)
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.report_periods import DAY_S, ceiling
from app.domain.roles import Tenant
from app.storage.postgres.columns import TIME, times
from app.storage.postgres.tables import cost_centers, departed, organizations, projects, teams
from app.storage.postgres.tables.closing import spend_closes
from app.storage.postgres.tenants import within

Charged = Literal["project", "team", "user", "organization"]
# The nearest first, with the column of sums that names it.
OWNERS: Mapping[Charged, str] = {
    "project": "project_id", "team": "team_id", "user": "user_id", "organization": "organization_id",
}  # fmt: skip
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_CENTER = "cost_center"
_MOST_KEPT = 64


def cost_center_of(kind: Charged, owner_id: ColumnElement[str]) -> ColumnElement[str | None]:
    """What the owner of a row has for the month that runs, as a column; null for none."""
    own = (cost_centers.c.owner_kind == kind, cost_centers.c.owner_id == owner_id)
    latest = select(func.nullif(cost_centers.c.cost_center, "")).where(*own).order_by(cost_centers.c.since.desc())
    return latest.limit(1).scalar_subquery().label(_CENTER)


async def set_cost_center(connection: AsyncConnection, kind: Charged, owner_id: str, cost_center: str) -> None:
    """From the first month that is not closed; of all times, where none is. The empty text is none.

    Where another owner had the id before, from the day after that was deleted. Before the audit is written to: no month
    is closed from here to the end of the transaction.
    """
    await connection.execute(text(f"LOCK TABLE {spend_closes.name} IN SHARE MODE"))
    held = (await connection.execute(select(cost_center_of(kind, literal(owner_id, Text))))).scalar_one()
    if cost_center == (held or ""):
        return
    own = (cost_centers.c.owner_kind == kind, cost_centers.c.owner_id == owner_id)
    closed = select(func.max(spend_closes.c.until)).scalar_subquery()
    # No row is of a time after the last close, but for the one that a deletion leaves.
    latest = select(func.max(cost_centers.c.since)).where(*own).scalar_subquery()
    gone = select(departed.c.deleted_at).where(departed.c.kind == kind, departed.c.id == owner_id).scalar_subquery()
    row = (await connection.execute(select(closed, latest, gone))).one()
    since = max(row[0] or BEGINNING, row[1] or BEGINNING, ceiling(row[2], DAY_S) if row[2] else BEGINNING)
    await _write(connection, kind, owner_id, since, cost_center)


async def end_cost_center(connection: AsyncConnection, kind: Charged, owner_id: str, at: datetime) -> None:
    """For an owner that is deleted: what it spent stays charged as it was, and whoever has its id from the next day of
    UTC on begins without a cost centre. Sums of days are of one owner then."""
    own = (cost_centers.c.owner_kind == kind, cost_centers.c.owner_id == owner_id)
    if (await connection.execute(select(exists().where(*own)))).scalar_one():
        await _write(connection, kind, owner_id, ceiling(at, DAY_S), "")


async def _write(connection: AsyncConnection, kind: Charged, owner_id: str, since: datetime, cost_center: str) -> None:
    """In place of what holds from then on."""
    own = (cost_centers.c.owner_kind == kind, cost_centers.c.owner_id == owner_id)
    await connection.execute(delete(cost_centers).where(*own, cost_centers.c.since >= since))
    values = {"owner_kind": kind, "owner_id": owner_id, "since": since, _CENTER: cost_center}
    await connection.execute(insert(cost_centers).values(**values))


def charged_within(since: datetime, until: datetime) -> Select[Any]:
    """Which cost centres owners have in a span of time: kind, id, from when on in it, and the centre, in the order of
    their texts. Who has none from its beginning on is not there."""
    row = cost_centers.c
    at = func.greatest(row.since, literal(since, TIME)).label("since")
    held = (
        select(row.owner_kind, row.owner_id, at, row.cost_center)
        .ext(distinct_on(row.owner_kind, row.owner_id, at))
        .where(row.since < until)
        .order_by(row.owner_kind, row.owner_id, at, row.since.desc())
        .subquery("held")
    )
    order = (held.c.owner_kind.collate("C"), held.c.owner_id.collate("C"), held.c.since)
    return select(held).where(or_(held.c.cost_center != "", held.c.since > since)).order_by(*order)


async def list_cost_centers(connection: AsyncConnection, tenant: Tenant) -> list[str]:
    """Those that organizations, teams and projects of the tenant ever had; of everything, people's too."""
    owned = []
    if not tenant.everything:
        of_teams = select(teams.c.team_id).where(*within(tenant, teams))
        in_teams = select(projects.c.project_id).where(projects.c.team_id.in_(of_teams))
        of_organizations = select(organizations.c.organization_id).where(
            organizations.c.organization_id.in_(tenant.organization_ids)
        )
        reached = (("team", of_teams), ("project", in_teams), ("organization", of_organizations))
        owned = [
            or_(*(and_(cost_centers.c.owner_kind == kind, cost_centers.c.owner_id.in_(ids)) for kind, ids in reached))
        ]
    query = select(cost_centers.c.cost_center).distinct().where(cost_centers.c.cost_center != "", *owned)
    return sorted((await connection.execute(query)).scalars())


@dataclass(frozen=True, slots=True)
class Charging:
    """How sums of a span of time are charged: which ``kinds`` of owners have cost centres, and when that changes.

    ``starts`` begins with the span: each is a time from which one row of each owner holds, up to the next.
    """

    kinds: Sequence[Charged]
    starts: tuple[datetime, ...]

    @property
    def columns(self) -> list[str]:
        """Of the sums, that tell what they are charged to."""
        return [OWNERS[kind] for kind in self.kinds]

    def era(self, bucket: ColumnElement[Any]) -> ColumnElement[int]:
        """Which of ``starts`` a bucket follows, from 1."""
        if len(self.starts) == 1:
            return literal_column("1", Integer)
        return func.width_bucket(bucket, times(self.starts))

    def charge(self, sums: Subquery) -> Subquery:
        """The rows with a column ``cost_center``; they have ``columns``, and ``era`` by that name."""
        center: ColumnElement[str] = literal("", Text)
        joined: Any = sums
        found = []
        for kind in self.kinds:
            held = _in_force(kind, self.starts)
            own = and_(held.c.owner_id == sums.c[OWNERS[kind]], held.c.era == sums.c.era)
            joined = joined.outerjoin(held, own)
            found.append(func.nullif(held.c.cost_center, ""))
        if found:
            center = func.coalesce(*found, "")
        return select(sums, center.label(_CENTER)).select_from(joined).subquery("charged")

    def is_charged_to(self, cost_center: str, table: FromClause, at: ColumnElement[Any]) -> ColumnElement[bool]:
        """Whether a row is that counts at some time, by the columns of its owners; the empty text is none."""
        found: list[ColumnElement[bool]] = []
        nearer_has_none: list[ColumnElement[bool]] = []
        for kind in self.kinds:
            held = _in_force(kind, self.starts)
            # Never null: the owners that are looked for are hashed, and a null would be compared with each of them.
            owner = tuple_(func.coalesce(table.c[OWNERS[kind]], ""), self.era(at))
            wanted = select(held.c.owner_id, held.c.era).where(held.c.cost_center == cost_center)
            found.append(and_(*nearer_has_none, owner.in_(wanted)))
            nearer_has_none.append(owner.not_in(select(held.c.owner_id, held.c.era).where(held.c.cost_center != "")))
        return or_(false(), *found) if cost_center else and_(true(), *nearer_has_none)


@lru_cache(maxsize=_MOST_KEPT)
def _in_force(kind: Charged, starts: tuple[datetime, ...]) -> Subquery:
    """The row of each owner from each of ``starts`` on; kept for the other reports of a page."""
    began = func.unnest(times(starts)).table_valued("start", with_ordinality="era")
    eras = began.render_derived(name="eras")
    row = cost_centers.c
    return (
        select(eras.c.era, row.owner_id, row.cost_center)
        .ext(distinct_on(eras.c.era, row.owner_id))
        .select_from(eras.join(cost_centers, row.since <= eras.c.start))
        .where(row.owner_kind == kind)
        .order_by(eras.c.era, row.owner_id, row.since.desc())
        .subquery(f"of_{kind}")
    )


async def find_charging(connection: AsyncConnection, first: datetime, end: datetime | None = None) -> Charging:
    """For what counts at ``first`` or later, and before ``end``."""
    query = select(cost_centers.c.owner_kind, cost_centers.c.since).distinct()
    if end is not None:
        query = query.where(cost_centers.c.since < end)
    rows = [(row.owner_kind, row.since) for row in await connection.execute(query)]
    kinds = {kind for kind, _ in rows}
    return Charging(
        [kind for kind in OWNERS if kind in kinds],
        (first, *sorted({since for _, since in rows if since > first})),
    )
