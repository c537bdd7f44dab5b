"""Where alerts go, what happened, and the outbox between the two; receipts without a price are found by an index."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_NOW = sa.text("now()")


def _time(name: str) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=_NOW)


def upgrade() -> None:
    op.create_table(
        "alert_destinations",
        sa.Column("destination_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("team_id", sa.Text()),
        sa.Column("shown", sa.Text(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.Column("nonce", sa.LargeBinary(), nullable=False),
        sa.Column("encryption_key_id", sa.Text(), nullable=False),
        sa.Column("alert_kinds", ARRAY(sa.Text()), nullable=False, server_default=sa.text("'{}'::text[]")),
        _time("created_at"),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("destination_id", name="pk_alert_destinations"),
        sa.ForeignKeyConstraint(
            ["team_id"], ["teams.team_id"], name="fk_alert_destinations_team_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_alert_destinations_team_id", "alert_destinations", ["team_id"])
    op.create_table(
        "alert_events",
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("facts", JSONB(), nullable=False, server_default=sa.text("'{}'::jsonb")),
        sa.Column("spent_nanousd", sa.BigInteger()),
        sa.Column("percent", sa.BigInteger()),
        sa.Column("team_id", sa.Text()),
        sa.Column("organization_id", sa.Text()),
        sa.Column("sent", sa.Boolean(), nullable=False),
        _time("created_at"),
        sa.PrimaryKeyConstraint("event_id", name="pk_alert_events"),
        sa.UniqueConstraint("name", name="uq_alert_events_name"),
    )
    op.create_index("ix_alert_events_subject", "alert_events", ["subject"])
    op.create_index("ix_alert_events_created_at", "alert_events", ["created_at"])
    op.create_index("ix_alert_events_team_id_created_at", "alert_events", ["team_id", "created_at"])
    op.create_table(
        "alert_deliveries",
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("destination_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, server_default=sa.text("'pending'")),
        sa.Column("attempts", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        _time("next_attempt_at"),
        sa.Column("last_error", sa.Text()),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("event_id", "destination_id", name="pk_alert_deliveries"),
        sa.ForeignKeyConstraint(
            ["event_id"], ["alert_events.event_id"], name="fk_alert_deliveries_event_id", ondelete="CASCADE"
        ),
    )
    op.create_index(
        "ix_alert_deliveries_next_attempt_at",
        "alert_deliveries",
        ["next_attempt_at"],
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index("ix_alert_deliveries_destination_id", "alert_deliveries", ["destination_id"])
    op.create_index(
        "ix_receipts_unpriced", "receipts", ["started_at"], postgresql_where=sa.text("price_source = 'fallback'")
    )


def downgrade() -> None:
    op.drop_index("ix_receipts_unpriced", "receipts")
    for table in ("alert_deliveries", "alert_events", "alert_destinations"):
        op.drop_table(table)
