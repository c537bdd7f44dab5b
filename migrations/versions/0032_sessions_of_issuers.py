"""Sessions of single sign-on know which session at the issuer they came from, and can be ended there."""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("browser_sessions", sa.Column("issuer_session", sa.Text()))
    op.add_column("browser_sessions", sa.Column("sealed_id_token", sa.LargeBinary()))


def downgrade() -> None:
    op.drop_column("browser_sessions", "sealed_id_token")
    op.drop_column("browser_sessions", "issuer_session")
