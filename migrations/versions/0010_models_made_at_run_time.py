"""Models, credentials and groups of models are made at run time; the tables that stood for them held nothing."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_MAP = sa.text("'{}'::jsonb")
_NOW = sa.text("now()")
_SEALED = ("ciphertext", "nonce", "encryption_key_id")


def _time(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=_NOW)


def _texts(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.ARRAY(sa.Text()), nullable=False, server_default=sa.text("'{}'::text[]"))


def _map(name: str) -> sa.Column[object]:
    return sa.Column(name, JSONB(), nullable=False, server_default=_MAP)


def upgrade() -> None:
    op.drop_table("deployments")
    op.drop_table("models")
    op.drop_column("provider_credentials", "provider")
    op.add_column("provider_credentials", _map("public_values"))
    for name in _SEALED:
        op.alter_column("provider_credentials", name, nullable=True)
    for name in ("created_by", "updated_by"):
        column = sa.Column(name, sa.Text(), nullable=False, server_default=sa.text("''"))
        op.add_column("provider_credentials", column)
    op.create_table(
        "deployments",
        sa.Column("deployment_id", sa.Text(), nullable=False),
        sa.Column("model_name", sa.Text(), nullable=False),
        _map("litellm_params"),
        sa.Column("ciphertext", sa.LargeBinary()),
        sa.Column("nonce", sa.LargeBinary()),
        sa.Column("encryption_key_id", sa.Text()),
        sa.Column("credential_id", sa.Text()),
        _map("model_info"),
        sa.Column("blocked", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        _time("created_at"),
        sa.Column("created_by", sa.Text(), nullable=False),
        _time("updated_at"),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("deployment_id", name="pk_deployments"),
        sa.ForeignKeyConstraint(
            ["credential_id"], ["provider_credentials.credential_id"], name="fk_deployments_credential_id"
        ),
    )
    op.create_index("ix_deployments_model_name", "deployments", ["model_name"])
    op.create_index("ix_deployments_credential_id", "deployments", ["credential_id"])
    op.create_table(
        "access_groups",
        sa.Column("access_group", sa.Text(), nullable=False),
        _texts("model_names"),
        _time("created_at"),
        sa.Column("created_by", sa.Text(), nullable=False),
        _time("updated_at"),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("access_group", name="pk_access_groups"),
    )


def downgrade() -> None:
    op.drop_table("access_groups")
    op.drop_table("deployments")
    op.execute("DELETE FROM provider_credentials WHERE ciphertext IS NULL")
    for name in _SEALED:
        op.alter_column("provider_credentials", name, nullable=False)
    for name in ("updated_by", "created_by", "public_values"):
        op.drop_column("provider_credentials", name)
    op.add_column(
        "provider_credentials", sa.Column("provider", sa.Text(), nullable=False, server_default=sa.text("''"))
    )
    op.alter_column("provider_credentials", "provider", server_default=None)
    op.create_table(
        "models",
        sa.Column("model_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False, server_default=sa.text("''")),
        _texts("access_groups"),
        sa.Column("max_input_tokens", sa.BigInteger()),
        sa.Column("max_output_tokens", sa.BigInteger()),
        sa.Column("listed", sa.Boolean(), nullable=False, server_default=sa.text("true")),
        _map("metadata"),
        _time("created_at"),
        _time("updated_at"),
        sa.PrimaryKeyConstraint("model_id", name="pk_models"),
        sa.UniqueConstraint("name", name="uq_models_name"),
    )
    op.create_table(
        "deployments",
        sa.Column("deployment_id", sa.Text(), nullable=False),
        sa.Column("model_id", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("upstream_model", sa.Text(), nullable=False),
        sa.Column("api_base", sa.Text(), nullable=False),
        sa.Column("credential_id", sa.Text()),
        _map("headers"),
        _map("timeouts"),
        sa.Column("weight", sa.Integer(), nullable=False, server_default=sa.text("1")),
        _time("created_at"),
        _time("updated_at"),
        sa.PrimaryKeyConstraint("deployment_id", name="pk_deployments"),
        sa.ForeignKeyConstraint(["model_id"], ["models.model_id"], name="fk_deployments_model_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["credential_id"], ["provider_credentials.credential_id"], name="fk_deployments_credential_id"
        ),
    )
    op.create_index("ix_deployments_model_id", "deployments", ["model_id"])
