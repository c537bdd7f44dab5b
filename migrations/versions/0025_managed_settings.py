"""Settings of Claude Code are set for everybody, an organization or a team."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "managed_settings",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.Text()),
        sa.Column("team_id", sa.Text()),
        sa.Column("settings", JSONB(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("scope", name="pk_managed_settings"),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.organization_id"],
            name="fk_managed_settings_organization_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["team_id"], ["teams.team_id"], name="fk_managed_settings_team_id", ondelete="CASCADE"),
    )
    op.create_index("ix_managed_settings_organization_id", "managed_settings", ["organization_id"])
    op.create_index("ix_managed_settings_team_id", "managed_settings", ["team_id"])


def downgrade() -> None:
    op.drop_table("managed_settings")
