"""What one person spent in sessions is found without those of everybody."""

from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

TABLE = "spend_session_quarters"


def upgrade() -> None:
    op.create_index(f"ix_{TABLE}_user_id_bucket", TABLE, ["user_id", "bucket"])


def downgrade() -> None:
    op.drop_index(f"ix_{TABLE}_user_id_bucket", TABLE)
