"""What is deleted leaves its name to the reports; personal keys belong to the organization of their user."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "departed",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
        sa.PrimaryKeyConstraint("kind", "id", name="pk_departed"),
    )
    op.execute(
        "UPDATE keys SET organization_id = users.organization_id FROM users "
        "WHERE keys.user_id = users.user_id AND keys.team_id IS NULL AND keys.deleted_at IS NULL "
        "AND keys.organization_id IS NULL AND users.organization_id IS NOT NULL"
    )


def downgrade() -> None:
    op.drop_table("departed")
