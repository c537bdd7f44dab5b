"""Which way a closed month was digested; those before were by their sums alone."""

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "spend_closes", sa.Column("digest_version", sa.SmallInteger(), nullable=False, server_default=sa.text("1"))
    )


def downgrade() -> None:
    op.drop_column("spend_closes", "digest_version")
