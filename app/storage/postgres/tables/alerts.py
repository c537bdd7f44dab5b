"""Alerts: where they go, what happened, and the outbox between the two."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from app.storage.postgres.columns import (
    EMPTY_MAP,
    id_column,
    metadata,
    optional_time_column,
    reference_column,
    texts_column,
    time_column,
)

alert_destinations = Table(
    "alert_destinations",
    metadata,
    id_column("destination_id"),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    # Whose alerts go there; null is everybody's.
    reference_column("team_id", "teams.team_id", on_delete="CASCADE"),
    # What may be seen of the address, which is a secret itself: whoever knows it can write there.
    Column("shown", Text, nullable=False),
    Column("ciphertext", LargeBinary, nullable=False),
    Column("nonce", LargeBinary, nullable=False),
    Column("encryption_key_id", Text, nullable=False),
    # Empty is all.
    texts_column("alert_kinds"),
    time_column("created_at"),
    Column("created_by", Text, nullable=False),
    Index("ix_alert_destinations_team_id", "team_id"),
)

alert_events = Table(
    "alert_events",
    metadata,
    id_column("event_id"),
    # The same for everyone who finds the same thing: that makes an event happen once.
    Column("name", Text, nullable=False, unique=True),
    Column("subject", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("facts", JSONB, nullable=False, server_default=EMPTY_MAP),
    # What had been spent and which line was reached, of the alerts of budgets.
    Column("spent_nanousd", BigInteger),
    Column("percent", BigInteger),
    Column("team_id", Text),
    Column("organization_id", Text),
    # False: another event of the same moment says more, and was sent in its place.
    Column("sent", Boolean, nullable=False),
    time_column("created_at"),
    Index("ix_alert_events_subject", "subject"),
    Index("ix_alert_events_created_at", "created_at"),
    Index("ix_alert_events_team_id_created_at", "team_id", "created_at"),
)

alert_deliveries = Table(
    "alert_deliveries",
    metadata,
    Column("event_id", Text, ForeignKey("alert_events.event_id", ondelete="CASCADE"), nullable=False),
    # No foreign key: destinations of the configuration have no row.
    Column("destination_id", Text, nullable=False),
    Column("state", Text, nullable=False, server_default=text("'pending'")),
    Column("attempts", BigInteger, nullable=False, server_default=text("0")),
    # When it is tried next; while somebody tries it, when another may if nothing is heard.
    time_column("next_attempt_at"),
    Column("last_error", Text),
    optional_time_column("ended_at"),
    PrimaryKeyConstraint("event_id", "destination_id"),
    Index("ix_alert_deliveries_next_attempt_at", "next_attempt_at", postgresql_where=text("state = 'pending'")),
    Index("ix_alert_deliveries_destination_id", "destination_id"),
)
