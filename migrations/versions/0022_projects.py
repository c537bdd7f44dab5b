"""Projects: parts of a team's work that keys may belong to, with budgets and sums of their own."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

NO_TEXTS = sa.text("'{}'::text[]")
EMPTY_MAP = sa.text("'{}'::jsonb")
EMPTY_LIST = sa.text("'[]'::jsonb")
SUMS = (
    "spend_quarters", "spend_hours", "spend_days", "spend_tag_quarters", "spend_tag_hours", "spend_tag_days",
    "spend_session_quarters",
)  # fmt: skip


def upgrade() -> None:
    op.create_table(
        "projects",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("project_alias", sa.Text),
        sa.Column("description", sa.Text),
        sa.Column("team_id", sa.Text, nullable=False),
        sa.Column("models", ARRAY(sa.Text), nullable=False, server_default=NO_TEXTS),
        sa.Column("blocked", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.Column("metadata", JSONB, nullable=False, server_default=EMPTY_MAP),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
        sa.Column("updated_by", sa.Text, nullable=False),
        sa.Column("budget_id", sa.Text),
        sa.Column("budget_since", sa.DateTime(timezone=True), server_default=sa.text("now()")),
        *_limits(),
        sa.PrimaryKeyConstraint("project_id", name="pk_projects"),
        sa.ForeignKeyConstraint(["team_id"], ["teams.team_id"], name="fk_projects_team_id"),
        sa.ForeignKeyConstraint(["budget_id"], ["budgets.budget_id"], name="fk_projects_budget_id"),
    )
    op.create_index("ix_projects_team_id", "projects", ["team_id"])
    op.execute(
        """
        CREATE FUNCTION note_projects_budget_since() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            NEW.budget_since := now();
            RETURN NEW;
        END $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER note_budget_since BEFORE UPDATE OF budget_id ON projects FOR EACH ROW
        WHEN (NEW.budget_id IS DISTINCT FROM OLD.budget_id) EXECUTE FUNCTION note_projects_budget_since()
        """
    )
    op.add_column("keys", sa.Column("project_id", sa.Text))
    op.create_foreign_key("fk_keys_project_id", "keys", "projects", ["project_id"], ["project_id"])
    op.create_index("ix_keys_project_id", "keys", ["project_id"])
    # What was booked before has the empty text, and the sums that it is in stay as they are.
    op.add_column("receipts", sa.Column("project_id", sa.Text))
    for table in SUMS:
        op.add_column(table, sa.Column("project_id", sa.Text, nullable=False, server_default=""))
    op.create_index("ix_spend_days_project_id_bucket", "spend_days", ["project_id", "bucket"])


def downgrade() -> None:
    op.drop_index("ix_spend_days_project_id_bucket", "spend_days")
    for table in SUMS:
        op.drop_column(table, "project_id")
    op.drop_column("receipts", "project_id")
    op.drop_index("ix_keys_project_id", "keys")
    op.drop_constraint("fk_keys_project_id", "keys")
    op.drop_column("keys", "project_id")
    op.drop_table("projects")
    op.execute("DROP FUNCTION note_projects_budget_since()")


def _limits() -> list[sa.Column[object]]:
    counts = ("requests_per_minute", "tokens_per_minute", "tokens_per_day", "max_parallel_requests")
    return [
        *(sa.Column(name, sa.BigInteger) for name in counts),
        sa.Column("model_requests_per_minute", JSONB, nullable=False, server_default=EMPTY_MAP),
        sa.Column("model_tokens_per_minute", JSONB, nullable=False, server_default=EMPTY_MAP),
        sa.Column("further_limits", JSONB, nullable=False, server_default=EMPTY_LIST),
    ]
