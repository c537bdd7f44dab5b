"""Keeping the sums of receipts: added to with each new receipt, compared with the receipts, and rebuilt from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Table, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.report_periods import DAY_S, QUARTER_S
from app.storage.postgres.tables.reports import (
    COARSE_DAYS,
    DIMENSIONS,
    MEASURES,
    OWNER_LEVELS,
    SESSION_DAYS,
    SPEND,
    SPEND_BY_SESSION,
    SPEND_BY_TAG,
    SUMMED,
    spend_owner_days,
)

_ORIGIN = "TIMESTAMPTZ '2000-01-01 00:00:00+00'"
_GRAINS = {900: "15 minutes", 3_600: "1 hour", 86_400: "1 day"}

COUNTS_AT = "coalesce(posted_at, started_at)"
"""When reports count a receipt."""
# What came too late for its month corrects it in the one that runs.
_VALUES = {name: f"coalesce({name}, '')" for name in DIMENSIONS} | {
    "kind": "CASE WHEN posted_at IS NULL THEN kind ELSE 'adjustment' END"
}
# What the statement that inserts receipts must hand on of each new one.
SOURCE_COLUMNS = ", ".join(
    ("started_at", "posted_at", "status", "tags", "session_id", "agent_id", *DIMENSIONS, *SUMMED)
)


@dataclass(frozen=True, slots=True)
class _Family:
    """Tables that tell the same things apart, each in coarser buckets than the one before.

    ``further`` is what they tell apart beside the ``dimensions``, from a receipt; ``join`` what that takes. ``spans``
    are times of receipts, of which the first and the last are kept. ``finer`` are rows of another family that these
    are added up from, in place of receipts.
    """

    prefix: str
    tables: Mapping[int, Table]
    further: Mapping[str, str]
    join: str = ""
    spans: Mapping[str, str] = field(default_factory=dict)
    dimensions: tuple[str, ...] = DIMENSIONS
    measures: tuple[str, ...] = MEASURES
    finer: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.dimensions, *self.further)


def _coarse(table: Table, finer: str = f"spend_rows_{DAY_S}") -> _Family:
    """Of whole days, added up from those that tell everything apart."""
    dimensions = tuple(name for name in DIMENSIONS if name in table.c)
    further = {name: name for name in ("tagged", "session_id", "agent_id", "tags") if name in table.c}
    measures = tuple(name for name in MEASURES if name in table.c)
    return _Family(table.name, {DAY_S: table}, further, dimensions=dimensions, measures=measures, finer=finer)


# A tag that a receipt names twice counts once.
_FAMILIES = (
    _Family("spend", SPEND, {"tagged": "tags <> '{}'"}),
    *(_coarse(table) for table in COARSE_DAYS),
    _Family(
        "tag", SPEND_BY_TAG, {"tag": "tag"}, " CROSS JOIN LATERAL (SELECT DISTINCT unnest(booked.tags) AS tag) AS named"
    ),
    _Family(
        "session",
        {QUARTER_S: SPEND_BY_SESSION},
        {"session_id": "coalesce(session_id, '')", "agent_id": "coalesce(agent_id, '')", "tags": "tags"},
        spans={"first_at": "min", "last_at": "max"},
    ),
    *(_coarse(table, f"session_rows_{QUARTER_S}") for table in SESSION_DAYS),
)
ALL_TABLES = tuple(table for family in _FAMILIES for table in family.tables.values())
"""Each has the measures by which they are compared; beside them are those of owners and of scopes."""


def steps(source: str) -> str:
    """The common table expressions that add the rows of ``source``, itself one of them, to all tables of sums but that
    of scopes."""
    kept = [step for family in _FAMILIES for step in _kept(source, family)]
    return ",\n".join((*kept, _owners_step()))


def scope_step(source: str) -> str:
    """The common table expression that adds the rows of ``source`` to what counts on the scopes that they name."""
    return (
        "scoped AS (INSERT INTO spend_scopes (scope, bucket, cost_nanousd) "  # noqa: S608
        f"SELECT named.scope, {_bin(900, 'started_at')} AS bucket, sum(cost_nanousd)::bigint FROM {source} AS booked "
        "CROSS JOIN LATERAL (SELECT DISTINCT unnest(booked.scopes) AS scope) AS named GROUP BY 1, 2 ORDER BY 1, 2 "
        "ON CONFLICT (scope, bucket) DO UPDATE SET cost_nanousd = spend_scopes.cost_nanousd + excluded.cost_nanousd)"
    )


_NOBODY = "''"


def _owners_step() -> str:
    sums = _of_owners(f"spend_rows_{DAY_S}", f"tag_rows_{DAY_S}")
    return (
        "owners_into AS (INSERT INTO spend_owner_days (bucket, level, owner_id, member_id, cost_nanousd) "
        f"{sums} ORDER BY 2, 3, 4, 1 ON CONFLICT (level, owner_id, member_id, bucket) "
        "DO UPDATE SET cost_nanousd = spend_owner_days.cost_nanousd + excluded.cost_nanousd)"
    )


def _of_owners(days: str, tag_days: str, condition: str = "true") -> str:
    """What owners' calls cost each day, of rows of days and of days by tag. Who is not named is none."""
    told = {columns: level for columns, level in OWNER_LEVELS.items() if columns != ("tag",)}
    values = ", ".join(
        f"({', '.join((repr(level), *columns, *[_NOBODY] * (2 - len(columns))))})" for columns, level in told.items()
    )
    return (
        f"SELECT bucket, level, owner_id, member_id, sum(cost_nanousd)::bigint AS cost_nanousd FROM {days} "  # noqa: S608
        f"CROSS JOIN LATERAL (VALUES {values}) AS named (level, owner_id, member_id) "
        "WHERE (level = 'platform' OR owner_id <> '') AND (level <> 'member' OR member_id <> '') "
        f"AND {condition} GROUP BY 1, 2, 3, 4 HAVING sum(cost_nanousd) <> 0 "
        f"UNION ALL SELECT bucket, 'tag', tag, '', sum(cost_nanousd)::bigint FROM {tag_days} "
        f"WHERE {condition} GROUP BY 1, 3 HAVING sum(cost_nanousd) <> 0"
    )


def _kept(source: str, family: _Family) -> list[str]:
    found = []
    finer = family.finer
    for seconds, table in family.tables.items():
        rows = f"{family.prefix}_rows_{seconds}"
        query = _sums(source, seconds, family) if not finer else _coarser(finer, seconds, family)
        found.append(f"{rows} AS ({query})")
        found.append(f"{family.prefix}_into_{seconds} AS ({_upsert(table, rows, family)})")
        finer = rows
    return found


def _sums(source: str, seconds: int, family: _Family) -> str:
    """The finest buckets, from receipts. An adjustment is no request."""
    names = ", ".join(
        (
            *(f"{value} AS {name}" for name, value in _VALUES.items()),
            *(f"{value} AS {name}" for name, value in family.further.items()),
        )
    )
    spans = "".join(f", {which}(started_at) AS {name}" for name, which in family.spans.items())
    amounts = ", ".join(f"coalesce(sum({name}), 0)::bigint AS {name}" for name in SUMMED)
    return (
        f"SELECT {_bin(seconds, COUNTS_AT)} AS bucket, {names}, "  # noqa: S608
        f"count(*) FILTER (WHERE kind = 'usage') AS requests, "
        f"count(*) FILTER (WHERE kind = 'usage' AND status <> 'ok') AS failures, {amounts}{spans} "
        f"FROM {source} AS booked{family.join} GROUP BY {_groups(family)}"
    )


def _coarser(finer: str, seconds: int, family: _Family) -> str:
    names = ", ".join(family.names)
    amounts = ", ".join(f"sum({name})::bigint AS {name}" for name in family.measures)
    return (
        f"SELECT {_bin(seconds, 'bucket')} AS bucket, {names}, {amounts} FROM {finer} "  # noqa: S608
        f"GROUP BY {_groups(family)}"
    )


def _groups(family: _Family) -> str:
    return ", ".join(str(number) for number in range(1, len(family.names) + 2))


def _upsert(table: Table, rows: str, family: _Family) -> str:
    names = ", ".join(family.names)
    kept = ", ".join((*family.measures, *family.spans))
    changes = [f"{name} = {table.name}.{name} + excluded.{name}" for name in family.measures]
    wider = {"min": "least", "max": "greatest"}
    changes += [
        f"{name} = {wider[which]}({table.name}.{name}, excluded.{name})" for name, which in family.spans.items()
    ]
    digest = f"substr(sha256(convert_to(ROW({names})::text, 'UTF8')), 1, 16)"
    return (
        f"INSERT INTO {table.name} (bucket, digest, {names}, {kept}) "  # noqa: S608
        f"SELECT bucket, {digest}, {names}, {kept} FROM {rows} ORDER BY 1, 2 "
        f"ON CONFLICT (bucket, digest) DO UPDATE SET {', '.join(changes)}"
    )


def _bin(seconds: int, column: str) -> str:
    return f"date_bin('{_GRAINS[seconds]}', {column}, {_ORIGIN})"


_DAY_OF_RECEIPTS = (
    "((posted_at IS NULL AND started_at >= :since AND started_at < :until) "
    "OR (posted_at >= :since AND posted_at < :until))"
)
_DAY_OF_SUMS = "bucket >= :since AND bucket < :until"
_REBUILD = text(
    f"WITH booked AS (SELECT {SOURCE_COLUMNS} FROM receipts WHERE {_DAY_OF_RECEIPTS}),\n"  # noqa: S608
    f"{steps('booked')}\nSELECT count(*) FROM booked"
)
_CHECKED = (
    "requests", "failures", "cost_nanousd", "input_tokens", "cache_read_tokens", "output_tokens", "notional_nanousd",
)  # fmt: skip


def _checksum(table: Table) -> str:
    amounts = ", ".join(f"coalesce(sum({name}), 0)::bigint" for name in _CHECKED)
    return f"(SELECT ARRAY[{amounts}] FROM {table.name} WHERE {_DAY_OF_SUMS})"  # noqa: S608


def _true_sum(*, by_tag: bool) -> str:
    tags = " CROSS JOIN LATERAL (SELECT DISTINCT unnest(booked.tags)) AS named" if by_tag else ""
    amounts = ", ".join(f"coalesce(sum({name}), 0)::bigint" for name in _CHECKED[2:])
    counts = "count(*) FILTER (WHERE kind = 'usage'), count(*) FILTER (WHERE kind = 'usage' AND status <> 'ok')"
    return f"(SELECT ARRAY[{counts}, {amounts}] FROM receipts AS booked{tags} WHERE {_DAY_OF_RECEIPTS})"  # noqa: S608


def _coarse_that_differ(
    measures: Sequence[str], tables: Sequence[Table] = COARSE_DAYS, finer: str = "spend_days"
) -> str:
    """How many rows the days without detail have that they should not have, and the other way round."""
    parts = []
    for table in tables:
        family = _coarse(table)
        names = ", ".join(family.names)
        measured = [name for name in measures if name in family.measures]
        amounts = ", ".join(measured)
        sums = ", ".join(f"sum({name})::bigint" for name in measured)
        # What was taken off again leaves rows that say nothing, on one side or on both.
        some = " OR ".join(f"sum({name}) <> 0" for name in measured)
        true = (
            f"SELECT {_bin(DAY_S, 'bucket')}, {names}, {sums} FROM {finer} "  # noqa: S608
            f"WHERE {_DAY_OF_SUMS} GROUP BY {_groups(family)} HAVING {some}"
        )
        some = " OR ".join(f"{name} <> 0" for name in measured)
        kept = f"SELECT bucket, {names}, {amounts} FROM {table.name} WHERE {_DAY_OF_SUMS} AND ({some})"  # noqa: S608
        parts.append(f"(({true}) EXCEPT ALL ({kept})) UNION ALL (({kept}) EXCEPT ALL ({true}))")
    differing = " UNION ALL ".join(f"(SELECT 1 FROM ({part}) AS part)" for part in parts)  # noqa: S608
    return f"(SELECT count(*) FROM ({differing}) AS differing)"  # noqa: S608


def _sessions_that_differ() -> str:
    return _coarse_that_differ(MEASURES, SESSION_DAYS, SPEND_BY_SESSION.name)


def _owners_that_differ() -> str:
    """How many rows one side has and the other has not: of owners, and of the days that they are part of."""
    true = f"({_of_owners('spend_days', 'spend_tag_days', _DAY_OF_SUMS)})"
    kept = (
        "(SELECT bucket, level, owner_id, member_id, cost_nanousd FROM spend_owner_days "  # noqa: S608
        f"WHERE {_DAY_OF_SUMS} AND cost_nanousd <> 0)"
    )
    differing = f"({true} EXCEPT ALL {kept}) UNION ALL ({kept} EXCEPT ALL {true})"
    return f"(SELECT count(*) FROM ({differing}) AS differing)"  # noqa: S608


_COMPARE = text(
    "SELECT "  # noqa: S608
    + ", ".join(
        (
            f"(SELECT count(*) FROM receipts WHERE {_DAY_OF_RECEIPTS})",  # noqa: S608
            f"{_owners_that_differ()} + {_coarse_that_differ(MEASURES)} + {_sessions_that_differ()}",
            _true_sum(by_tag=False),
            _true_sum(by_tag=True),
            *(_checksum(table) for table in ALL_TABLES),
        )
    )
)
_DAYS = text(
    "SELECT least((SELECT min(started_at) FROM receipts), (SELECT min(bucket) FROM spend_days)), "
    "greatest((SELECT max(started_at) FROM receipts), (SELECT max(bucket) FROM spend_days))"
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One day of UTC: ``agrees`` when each table of sums says what the receipts say.

    ``receipts`` is how many receipts of the day there are. Where there are none, and sums there are, the receipts
    were dropped after their time: the sums are then all that is known, and agree.
    """

    day: date
    receipts: int
    booked_nanousd: int
    reported_nanousd: int
    agrees: bool

    @property
    def receipts_are_gone(self) -> bool:
        return self.receipts == 0 and not self.agrees


async def days_with_spend(connection: AsyncConnection) -> tuple[date, date] | None:
    """The first and the last day of UTC with receipts or sums."""
    first, last = (await connection.execute(_DAYS)).one()
    return None if first is None else (first.date(), last.date())


async def compare_day(connection: AsyncConnection, day: date) -> Comparison:
    """In one statement, so that what is booked meanwhile is on both sides or on none."""
    row = (await connection.execute(_COMPARE, _day(day))).one()
    receipts, wrong_rows, *sums = row
    once, by_tag, *kept = (list(amounts) for amounts in sums)
    true = [by_tag if table in SPEND_BY_TAG.values() else once for table in ALL_TABLES]
    agrees = kept == true and not wrong_rows
    return Comparison(day, receipts, once[2], kept[ALL_TABLES.index(SPEND[DAY_S])][2], agrees)


async def count_coarse_that_differ(
    connection: AsyncConnection, since: datetime, until: datetime, measures: Sequence[str]
) -> int:
    """Of whole days: rows without detail that do not add up those with it."""
    query = text(f"SELECT {_coarse_that_differ(measures)}")
    return int((await connection.execute(query, {"since": since, "until": until})).scalar_one())


async def sum_up(connection: AsyncConnection, since: datetime, until: datetime) -> int:
    """Add the receipts of a span of whole days, which no sum has yet, to all tables; returns how many they are."""
    return int((await connection.execute(_REBUILD, {"since": since, "until": until})).scalar_one())


async def rebuild_day(connection: AsyncConnection, day: date) -> int:
    """Write the sums of a day of UTC anew; returns how many receipts they are of.

    The caller holds the lock of the book (``BOOK_LOCK``), so that nothing is booked meanwhile. A day whose receipts
    are gone is left as it is.
    """
    span = _day(day)
    exists = text(f"SELECT EXISTS (SELECT FROM receipts WHERE {_DAY_OF_RECEIPTS})")  # noqa: S608
    if not (await connection.execute(exists, span)).scalar_one():
        return 0
    for table in (*ALL_TABLES, spend_owner_days):
        await connection.execute(text(f"DELETE FROM {table.name} WHERE {_DAY_OF_SUMS}"), span)  # noqa: S608
    return await sum_up(connection, span["since"], span["until"])


def _day(day: date) -> dict[str, Any]:
    since = datetime.fromisoformat(f"{day.isoformat()}T00:00:00+00:00")
    return {"since": since, "until": since + timedelta(days=1)}
