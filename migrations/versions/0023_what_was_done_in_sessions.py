"""What people did in coding sessions, by session and day, and the counters of clients that it is made from."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

OWNERS = ("organization_id", "team_id", "user_id", "key_id")
MEASURES = (
    "sessions", "commits", "pull_requests", "lines_added", "lines_removed", "active_ms", "edits_accepted",
    "edits_rejected",
)  # fmt: skip


def upgrade() -> None:
    op.create_table(
        "session_activity",
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        *(sa.Column(owner, sa.Text(), nullable=False) for owner in OWNERS),
        *(sa.Column(name, sa.BigInteger(), nullable=False, server_default=sa.text("0")) for name in MEASURES),
        sa.PrimaryKeyConstraint("session_id", "day", *OWNERS, name="pk_session_activity"),
    )
    op.create_index("ix_session_activity_day", "session_activity", ["day"])
    for owner in OWNERS:
        op.create_index(f"ix_session_activity_{owner}_day", "session_activity", [owner, "day"])
    op.create_table(
        "activity_sources",
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("source", sa.LargeBinary(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.Column("forget_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("owner", "source", name="pk_activity_sources"),
    )
    op.create_index("ix_activity_sources_forget_at", "activity_sources", ["forget_at"])


def downgrade() -> None:
    op.drop_table("activity_sources")
    op.drop_table("session_activity")
