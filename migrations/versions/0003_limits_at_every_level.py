"""Budgets and limits of organizations, teams, members, users and customers."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

LIMITS = ("requests_per_minute", "tokens_per_minute", "max_parallel_requests")
PEOPLE = ("created_by", "updated_by")


def upgrade() -> None:
    for table in ("organizations", "teams", "users", "memberships"):
        _add_reference(table, "budget_id")
        _add_limits(table)
    _add_reference("teams", "member_budget_id")
    _add_limits("budgets")
    for table in ("organizations", "users", "budgets"):
        for name in PEOPLE:
            op.add_column(table, sa.Column(name, sa.Text()))
    for table in ("organizations", "users"):
        op.add_column(table, _flag("blocked"))
    op.add_column(
        "users", sa.Column("models", sa.ARRAY(sa.Text()), nullable=False, server_default=sa.text("'{}'::text[]"))
    )
    op.add_column("budgets", sa.Column("soft_limit_nanousd", sa.BigInteger()))
    op.add_column("budgets", _flag("shared"))
    op.create_table(
        "organization_memberships",
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False, server_default=sa.text("'internal_user'")),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
        sa.Column("budget_id", sa.Text()),
        sa.PrimaryKeyConstraint("organization_id", "user_id", name="pk_organization_memberships"),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.organization_id"],
            name="fk_organization_memberships_organization_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.user_id"], name="fk_organization_memberships_user_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["budget_id"], ["budgets.budget_id"], name="fk_organization_memberships_budget_id"),
    )
    op.create_index("ix_organization_memberships_user_id", "organization_memberships", ["user_id"])
    op.create_table(
        "customers",
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("customer_alias", sa.Text()),
        _flag("blocked"),
        sa.Column("budget_id", sa.Text()),
        sa.Column("default_model", sa.Text()),
        sa.Column("metadata", JSONB(), nullable=False, server_default=sa.text("'{}'::jsonb")),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
        sa.PrimaryKeyConstraint("customer_id", name="pk_customers"),
        sa.ForeignKeyConstraint(["budget_id"], ["budgets.budget_id"], name="fk_customers_budget_id"),
    )


def downgrade() -> None:
    op.drop_table("customers")
    op.drop_table("organization_memberships")
    for name in ("shared", "soft_limit_nanousd", *PEOPLE, *LIMITS):
        op.drop_column("budgets", name)
    for name in ("models", "blocked", *PEOPLE, *LIMITS, "budget_id"):
        op.drop_column("users", name)
    for name in ("blocked", *PEOPLE, *LIMITS, "budget_id"):
        op.drop_column("organizations", name)
    for name in ("member_budget_id", *LIMITS, "budget_id"):
        op.drop_column("teams", name)
    for name in (*LIMITS, "budget_id"):
        op.drop_column("memberships", name)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.text("false"))


def _add_limits(table: str) -> None:
    for name in LIMITS:
        op.add_column(table, sa.Column(name, sa.BigInteger()))


def _add_reference(table: str, name: str) -> None:
    op.add_column(table, sa.Column(name, sa.Text()))
    op.create_foreign_key(f"fk_{table}_{name}", table, "budgets", [name], ["budget_id"])
