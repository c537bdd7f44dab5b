"""Access groups have a description."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("access_groups", sa.Column("description", sa.Text()))


def downgrade() -> None:
    op.drop_column("access_groups", "description")
