"""What is left of a team, a person, an organization or a customer that was deleted: its name, for the reports."""

from sqlalchemy import Column, PrimaryKeyConstraint, Table, Text

from app.storage.postgres.columns import metadata, time_column

# Receipts go on naming the id. An id that is made again has its own name, or none.
departed = Table(
    "departed",
    metadata,
    Column("kind", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("name", Text, nullable=False),
    time_column("deleted_at"),
    PrimaryKeyConstraint("kind", "id"),
)
