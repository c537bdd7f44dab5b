"""What providers keep for callers of ours: batches and files, and whose they are."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "provider_objects",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("object_id", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.Text()),
        sa.Column("team_id", sa.Text()),
        sa.Column("user_id", sa.Text()),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("api_base", sa.Text(), nullable=False),
        sa.Column("deployment_id", sa.Text(), nullable=False),
        sa.Column("facts", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
        sa.Column("results_read_at", sa.DateTime(timezone=True)),
        sa.Column("booked_at", sa.DateTime(timezone=True)),
        sa.Column("deleted_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("kind", "object_id", name="pk_provider_objects"),
    )
    op.create_index("ix_provider_objects_key_id_created_at", "provider_objects", ["key_id", "created_at"])
    op.create_index("ix_provider_objects_team_id_created_at", "provider_objects", ["team_id", "created_at"])


def downgrade() -> None:
    op.drop_table("provider_objects")
