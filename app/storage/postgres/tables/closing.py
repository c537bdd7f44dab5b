"""The tables of closed months: what each added up to, who was in it, and what became of its receipts."""

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    ForeignKeyConstraint,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
)

from app.storage.postgres.columns import metadata, optional_time_column, time_column

spend_closes = Table(
    "spend_closes",
    metadata,
    # The first day of the month, of UTC.
    Column("month", Date, primary_key=True),
    # Its end: what began before is no longer booked into it.
    Column("until", DateTime(timezone=True), nullable=False),
    Column("requests", BigInteger, nullable=False),
    Column("cost_nanousd", BigInteger, nullable=False),
    # How much of the cost corrects months before.
    Column("adjustments_nanousd", BigInteger, nullable=False),
    Column("digest", Text, nullable=False),
    # 1: of its sums. 2: also of the figures above, of its cost centres and of its names.
    Column("digest_version", SmallInteger, nullable=False, server_default="1"),
    Column("closed_by", Text, nullable=False),
    time_column("closed_at"),
    # Of those that began in it.
    optional_time_column("receipts_dropped_at"),
)

spend_close_names = Table(
    "spend_close_names",
    metadata,
    Column("month", Date, nullable=False),
    Column("dimension", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("name", Text, nullable=False),
    PrimaryKeyConstraint("month", "dimension", "id"),
    ForeignKeyConstraint(["month"], ["spend_closes.month"]),
)

# Files of a month's receipts that were written to their end; ``digest`` is SHA-256 of the unpacked file.
receipt_exports = Table(
    "receipt_exports",
    metadata,
    Column("month", Date, nullable=False),
    Column("digest", Text, nullable=False),
    Column("style", Text, nullable=False),
    Column("receipts", BigInteger, nullable=False),
    Column("cost_nanousd", BigInteger, nullable=False),
    Column("exported_by", Text, nullable=False),
    time_column("exported_at"),
    PrimaryKeyConstraint("month", "digest"),
)

# What one process of all does now and then, and when it was begun last.
chores = Table(
    "chores",
    metadata,
    Column("name", Text, primary_key=True),
    time_column("begun_at"),
)
