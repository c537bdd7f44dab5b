"""Budgets of several windows, zones and models, pools; limits by hour, day and model; customers and tags as levels."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

LEVELS = ("keys", "memberships", "teams", "users", "organizations", "budgets")
NO_TEXTS = sa.text("'{}'::text[]")
EMPTY_MAP = sa.text("'{}'::jsonb")
EMPTY_LIST = sa.text("'[]'::jsonb")


def upgrade() -> None:
    for table in LEVELS:
        for column in _further_limits():
            op.add_column(table, column)
    op.add_column("budgets", sa.Column("timezone", sa.Text))
    op.add_column("budgets", sa.Column("windows", JSONB, nullable=False, server_default=EMPTY_LIST))
    op.add_column("budgets", sa.Column("model_budgets", JSONB, nullable=False, server_default=EMPTY_MAP))
    op.add_column("budgets", sa.Column("pooled", sa.Boolean, nullable=False, server_default=sa.text("false")))
    op.add_column("budgets", sa.Column("increase_nanousd", sa.BigInteger))
    op.add_column("budgets", sa.Column("increase_until", sa.DateTime(timezone=True)))
    op.add_column("customers", sa.Column("budget_since", sa.DateTime(timezone=True), server_default=sa.text("now()")))
    op.add_column("customers", sa.Column("models", ARRAY(sa.Text), nullable=False, server_default=NO_TEXTS))
    for column in (*_minute_limits(), *_further_limits()):
        op.add_column("customers", column)
    op.create_table(
        "tags",
        sa.Column("tag", sa.Text, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("budget_id", sa.Text),
        sa.Column("budget_since", sa.DateTime(timezone=True), server_default=sa.text("now()")),
        *_minute_limits(),
        *_further_limits(),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
        sa.Column("updated_by", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("tag", name="pk_tags"),
        sa.ForeignKeyConstraint(["budget_id"], ["budgets.budget_id"], name="fk_tags_budget_id"),
    )
    for table in ("customers", "tags"):
        _note_changes(table)
    op.add_column("receipts", sa.Column("scopes", ARRAY(sa.Text), nullable=False, server_default=NO_TEXTS))
    op.create_table(
        "spend_scopes",
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("bucket", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cost_nanousd", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("scope", "bucket", name="pk_spend_scopes"),
    )
    op.create_index("ix_spend_days_customer_id", "spend_days", ["customer_id"])
    op.create_index("ix_spend_tag_days_tag", "spend_tag_days", ["tag"])


def downgrade() -> None:
    op.drop_index("ix_spend_tag_days_tag", "spend_tag_days")
    op.drop_index("ix_spend_days_customer_id", "spend_days")
    op.drop_table("spend_scopes")
    op.drop_column("receipts", "scopes")
    for table in ("customers", "tags"):
        op.execute(f"DROP TRIGGER note_budget_since ON {table}")
        op.execute(f"DROP FUNCTION note_{table}_budget_since()")
    op.drop_table("tags")
    for column in ("budget_since", "models", *(column.name for column in (*_minute_limits(), *_further_limits()))):
        op.drop_column("customers", column)
    for column in ("timezone", "windows", "model_budgets", "pooled", "increase_nanousd", "increase_until"):
        op.drop_column("budgets", column)
    for table in LEVELS:
        for limit in _further_limits():
            op.drop_column(table, limit.name)


def _minute_limits() -> list[sa.Column[object]]:
    names = ("requests_per_minute", "tokens_per_minute", "max_parallel_requests")
    return [sa.Column(name, sa.BigInteger) for name in names]


def _further_limits() -> list[sa.Column[object]]:
    return [
        sa.Column("tokens_per_day", sa.BigInteger),
        sa.Column("model_requests_per_minute", JSONB, nullable=False, server_default=EMPTY_MAP),
        sa.Column("model_tokens_per_minute", JSONB, nullable=False, server_default=EMPTY_MAP),
        sa.Column("further_limits", JSONB, nullable=False, server_default=EMPTY_LIST),
    ]


def _note_changes(table: str) -> None:
    op.execute(
        f"""
        CREATE FUNCTION note_{table}_budget_since() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            NEW.budget_since := now();
            RETURN NEW;
        END $$
        """
    )
    op.execute(
        f"""
        CREATE TRIGGER note_budget_since BEFORE UPDATE OF budget_id ON {table} FOR EACH ROW
        WHEN (NEW.budget_id IS DISTINCT FROM OLD.budget_id) EXECUTE FUNCTION note_{table}_budget_since()
        """
    )
