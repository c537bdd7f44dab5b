"""The tables of the reports: what receipts add up to, per quarter of an hour, hour and day of UTC."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Index, LargeBinary, PrimaryKeyConstraint, Table, Text

from app.storage.postgres.columns import metadata, texts_column

QUARTER_S, HOUR_S, DAY_S = 900, 3_600, 86_400

# Whose it was, what was called and what for. The empty text stands for none.
DIMENSIONS = (
    "organization_id",
    "team_id",
    "user_id",
    "key_id",
    "customer_id",
    "model_asked",
    "model_served",
    "provider",
    "project",
    "request_class",
    "kind",
    "project_id",
)
# What the tables did not tell apart when they were made first.
_ABSENT = {"project": "", "request_class": "unknown", "kind": "usage", "project_id": ""}
OWNERS = ("organization_id", "team_id", "user_id", "customer_id", "project_id")
COUNTED = ("requests", "failures")
# Columns of receipts by the same names, added up.
SUMMED = (
    "duration_ms",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
    "images",
    "web_searches",
    "input_cost_nanousd",
    "cache_read_cost_nanousd",
    "cache_write_cost_nanousd",
    "output_cost_nanousd",
    "other_cost_nanousd",
    "cost_nanousd",
    "notional_nanousd",
)
MEASURES = COUNTED + SUMMED
# What sessions are ordered by, with what every table is compared by.
RANKING_MEASURES = (
    "requests",
    "cost_nanousd",
    "failures",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "audio_input_tokens",
    "output_tokens",
    "audio_output_tokens",
    "notional_nanousd",
)
# What receipts and sums had not when they were made first: null in receipts, zero in sums.
_ADDED = {"notional_nanousd": "0"}


def _buckets(
    name: str,
    *further: Column[Any],
    told_apart: tuple[str, ...] = DIMENSIONS,
    last: tuple[Column[Any], ...] = (),
    measures: tuple[str, ...] = MEASURES,
    indexed: tuple[str, ...] = ("key_id",),
) -> Table:
    """One row per bucket and combination; ``digest`` is of all that names the combination, of whatever length.

    Numbers come first: Postgres finds a column behind texts by reading each of them, which was half the time of a
    report.
    """
    return Table(
        name,
        metadata,
        Column("bucket", DateTime(timezone=True), nullable=False),
        *(Column(one, BigInteger, nullable=False, server_default=_ADDED.get(one)) for one in measures),
        *further,
        *(Column(one, Text, nullable=False, server_default=_ABSENT.get(one)) for one in told_apart),
        *last,
        Column("digest", LargeBinary, nullable=False),
        PrimaryKeyConstraint("bucket", "digest"),
        *(Index(f"ix_{name}_{one}_bucket", one, "bucket") for one in indexed),
    )


def _tagged() -> Column[Any]:
    return Column("tagged", Boolean, nullable=False)


def _tag() -> Column[Any]:
    return Column("tag", Text, nullable=False)


# Every receipt once. ``tagged`` tells those apart that are in no row of the tables of tags.
SPEND = {
    QUARTER_S: _buckets("spend_quarters", _tagged()),
    HOUR_S: _buckets("spend_hours", _tagged()),
    DAY_S: _buckets("spend_days", _tagged(), indexed=("key_id", *OWNERS)),
}
# The same in fewer rows, the fewest first: what was called and what for, without whose it was; whose it was, without
# what was called. Most pages ask for one of the two.
COARSE_DAYS = (
    _buckets(
        "spend_days_by_model",
        _tagged(),
        told_apart=("model_asked", "model_served", "provider", "project", "request_class", "kind"),
        indexed=(),
    ),
    _buckets("spend_days_by_key", told_apart=("key_id", *OWNERS, "kind"), indexed=("key_id", *OWNERS)),
)


def days_that_tell(columns: Collection[str]) -> Table:
    """The table of days with the fewest rows that has these columns."""
    return next((table for table in COARSE_DAYS if all(one in table.c for one in columns)), SPEND[DAY_S])


# Every receipt once for each of its tags.
SPEND_BY_TAG = {
    QUARTER_S: _buckets("spend_tag_quarters", _tag()),
    HOUR_S: _buckets("spend_tag_hours", _tag()),
    DAY_S: _buckets("spend_tag_days", _tag()),
}
# Every receipt once; kept as long as receipts are.
SPEND_BY_SESSION = _buckets(
    "spend_session_quarters",
    Column("session_id", Text, nullable=False),
    Column("agent_id", Text, nullable=False),
    texts_column("tags"),
    Column("first_at", DateTime(timezone=True), nullable=False),
    Column("last_at", DateTime(timezone=True), nullable=False),
    indexed=("key_id", "user_id", "session_id"),
)
# The same in fewer and smaller rows, the smallest first, by which sessions are ranked: whose it was, without what was
# called; and all that quarters tell, with less that was measured. What pages narrow sessions by is at the beginning,
# as it is looked at in each row. Both have all owners: cost centres go by them.
SESSION_DAYS = (
    _buckets(
        "spend_session_days",
        Column("session_id", Text, nullable=False),
        told_apart=("key_id", *OWNERS, "kind"),
        indexed=("session_id",),
    ),
    _buckets(
        "spend_session_days_by_model",
        Column("session_id", Text, nullable=False),
        told_apart=(
            "model_served", "request_class", "model_asked", "provider", "project", "kind", "key_id", *OWNERS, "agent_id"
        ),
        last=(texts_column("tags"),),
        measures=RANKING_MEASURES,
        indexed=("session_id",),
    ),
)  # fmt: skip


def session_days_that_tell(columns: Collection[str]) -> Table | None:
    """The smallest table of days by session that has these columns; None where quarters alone have them."""
    return next((table for table in SESSION_DAYS if all(one in table.c for one in columns)), None)


# What each owner's calls cost in a day of UTC: few rows, however much an owner's calls differ. ``member_id`` is the
# user where the owner is a team's member; the platform is one owner, without a name.
OWNER_LEVELS = {
    (): "platform",
    ("organization_id",): "organization",
    ("team_id",): "team",
    ("team_id", "user_id"): "member",
    ("user_id",): "user",
    ("key_id",): "key",
    ("customer_id",): "customer",
    ("project_id",): "project",
    ("tag",): "tag",
}
"""By the columns that name an owner."""
spend_owner_days = Table(
    "spend_owner_days",
    metadata,
    Column("bucket", DateTime(timezone=True), nullable=False),
    Column("cost_nanousd", BigInteger, nullable=False),
    Column("level", Text, nullable=False),
    Column("owner_id", Text, nullable=False),
    Column("member_id", Text, nullable=False),
    PrimaryKeyConstraint("level", "owner_id", "member_id", "bucket"),
    Index("ix_spend_owner_days_bucket", "bucket"),
)

# What counts on budgets that no dimension tells: by scope, as receipts name them.
spend_scopes = Table(
    "spend_scopes",
    metadata,
    Column("scope", Text, nullable=False),
    Column("bucket", DateTime(timezone=True), nullable=False),
    Column("cost_nanousd", BigInteger, nullable=False),
    PrimaryKeyConstraint("scope", "bucket"),
)
