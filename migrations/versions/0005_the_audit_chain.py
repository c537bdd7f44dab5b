"""The rows of the audit become a chain of hashes, and say which key acted."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("audit", sa.Column("actor_key_id", sa.Text()))
    op.add_column("audit", sa.Column("sequence", sa.BigInteger()))
    op.add_column("audit", sa.Column("previous_hash", sa.LargeBinary()))
    op.add_column("audit", sa.Column("hash", sa.LargeBinary()))
    op.create_index("uq_audit_sequence", "audit", ["sequence"], unique=True)
    op.create_table(
        "audit_head",
        sa.Column("head_id", sa.SmallInteger(), nullable=False, autoincrement=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("head_id", name="pk_audit_head"),
    )


def downgrade() -> None:
    op.drop_table("audit_head")
    op.drop_index("uq_audit_sequence", "audit")
    for name in ("hash", "previous_hash", "sequence", "actor_key_id"):
        op.drop_column("audit", name)
