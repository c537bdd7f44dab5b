"""Keys, teams, organizations and customers are kept to deployments of one region."""

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

TABLES = ("keys", "teams", "organizations", "customers")


def upgrade() -> None:
    for table in TABLES:
        op.add_column(table, sa.Column("allowed_model_region", sa.Text()))


def downgrade() -> None:
    for table in TABLES:
        op.drop_column(table, "allowed_model_region")
