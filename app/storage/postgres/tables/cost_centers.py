"""The table of cost centres: what the calls of an owner are charged to, and since which month."""

from sqlalchemy import Column, DateTime, PrimaryKeyConstraint, Table, Text

from app.storage.postgres.columns import metadata

# Rows of owners that are deleted stay, as their receipts do.
cost_centers = Table(
    "cost_centers",
    metadata,
    # organization, team, project or user.
    Column("owner_kind", Text, nullable=False),
    Column("owner_id", Text, nullable=False),
    # The first instant of a month of UTC; the beginning of time, where no month was closed when it was set.
    Column("since", DateTime(timezone=True), nullable=False),
    # Empty: none from then on.
    Column("cost_center", Text, nullable=False),
    PrimaryKeyConstraint("owner_kind", "owner_id", "since"),
)
