"""The tables of what people did in coding sessions: sums by session and day, and the counters they were made from."""

from sqlalchemy import BigInteger, Column, Date, DateTime, Index, LargeBinary, PrimaryKeyConstraint, Table, Text, text

from app.domain.activity import MEASURES
from app.storage.postgres.columns import count_column, metadata

OWNERS = ("organization_id", "team_id", "user_id", "key_id", "project_id")
# What the table did not tell apart when it was made first.
_ABSENT = {"project_id": text("''")}

# The empty text stands for none: no team, no session.
session_activity = Table(
    "session_activity",
    metadata,
    Column("session_id", Text, nullable=False),
    Column("day", Date, nullable=False),
    *(Column(owner, Text, nullable=False, server_default=_ABSENT.get(owner)) for owner in OWNERS),
    *(count_column(measure) for measure in MEASURES),
    PrimaryKeyConstraint("session_id", "day", *OWNERS),
    Index("ix_session_activity_day", "day"),
    *(Index(f"ix_session_activity_{owner}_day", owner, "day") for owner in OWNERS),
)

# What each counter of a client has said last, so that nothing counts twice. ``owner`` is the person, else the key.
activity_sources = Table(
    "activity_sources",
    metadata,
    Column("owner", Text, nullable=False),
    Column("source", LargeBinary, nullable=False),
    Column("value", BigInteger, nullable=False),
    Column("forget_at", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("owner", "source"),
    Index("ix_activity_sources_forget_at", "forget_at"),
)
