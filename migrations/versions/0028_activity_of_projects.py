"""What people did in coding sessions is told apart by the project of the key, too."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

BEFORE = ("session_id", "day", "organization_id", "team_id", "user_id", "key_id")


def upgrade() -> None:
    op.add_column("session_activity", sa.Column("project_id", sa.Text(), nullable=False, server_default=sa.text("''")))
    _identify_by(*BEFORE, "project_id")
    op.create_index("ix_session_activity_project_id_day", "session_activity", ["project_id", "day"])


def downgrade() -> None:
    op.drop_index("ix_session_activity_project_id_day", "session_activity")
    _identify_by(*BEFORE)
    op.drop_column("session_activity", "project_id")


def _identify_by(*columns: str) -> None:
    op.drop_constraint("pk_session_activity", "session_activity")
    op.create_primary_key("pk_session_activity", "session_activity", list(columns))
