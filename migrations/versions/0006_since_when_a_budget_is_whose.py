"""Since when each owner has the budget that it has, whoever changes it: its spend is counted anew from then on."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

OWNERS = ("organizations", "teams", "users", "memberships", "keys")


def upgrade() -> None:
    for table in OWNERS:
        _note_changes(table, "budget")
    _note_changes("teams", "member_budget")


def downgrade() -> None:
    _forget_changes("teams", "member_budget")
    for table in OWNERS:
        _forget_changes(table, "budget")


def _note_changes(table: str, name: str) -> None:
    # What is there already stays null: its budgets are counted since they were defined, under the names they have.
    op.add_column(table, sa.Column(f"{name}_since", sa.DateTime(timezone=True)))
    op.alter_column(table, f"{name}_since", server_default=sa.text("now()"))
    op.execute(
        f"""
        CREATE FUNCTION note_{table}_{name}_since() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            NEW.{name}_since := now();
            RETURN NEW;
        END $$
        """
    )
    op.execute(
        f"""
        CREATE TRIGGER note_{name}_since BEFORE UPDATE OF {name}_id ON {table} FOR EACH ROW
        WHEN (NEW.{name}_id IS DISTINCT FROM OLD.{name}_id) EXECUTE FUNCTION note_{table}_{name}_since()
        """
    )


def _forget_changes(table: str, name: str) -> None:
    op.execute(f"DROP TRIGGER note_{name}_since ON {table}")
    op.execute(f"DROP FUNCTION note_{table}_{name}_since()")
    op.drop_column(table, f"{name}_since")
