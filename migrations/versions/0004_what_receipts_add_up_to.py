"""What receipts add up to, per quarter of an hour, hour and day of UTC, filled from the receipts there are."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

GRAINS = {"quarters": "15 minutes", "hours": "1 hour", "days": "1 day"}
DIMENSIONS = (
    "organization_id", "team_id", "user_id", "key_id", "customer_id", "model_asked", "model_served", "provider",
)  # fmt: skip
SUMMED = (
    "duration_ms", "input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens",
    "output_tokens", "reasoning_tokens", "audio_input_tokens", "audio_output_tokens", "images", "web_searches",
    "input_cost_nanousd", "cache_read_cost_nanousd", "cache_write_cost_nanousd", "output_cost_nanousd",
    "other_cost_nanousd", "cost_nanousd",
)  # fmt: skip


def upgrade() -> None:
    for grain, length in GRAINS.items():
        _create(f"spend_{grain}", "tagged", sa.Boolean())
        _create(f"spend_tag_{grain}", "tag", sa.Text())
        _fill(f"spend_{grain}", length, "tagged", "tags <> '{}'", "")
        by_tag = "CROSS JOIN LATERAL (SELECT DISTINCT unnest(booked.tags) AS tag) AS named"
        _fill(f"spend_tag_{grain}", length, "tag", "tag", by_tag)


def downgrade() -> None:
    for grain in GRAINS:
        op.drop_table(f"spend_tag_{grain}")
        op.drop_table(f"spend_{grain}")


def _create(name: str, further: str, kind: sa.Boolean | sa.Text) -> None:
    op.create_table(
        name,
        sa.Column("bucket", sa.DateTime(timezone=True), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        *(sa.Column(dimension, sa.Text(), nullable=False) for dimension in DIMENSIONS),
        sa.Column(further, kind, nullable=False),
        *(sa.Column(measure, sa.BigInteger(), nullable=False) for measure in ("requests", "failures", *SUMMED)),
        sa.PrimaryKeyConstraint("bucket", "digest", name=f"pk_{name}"),
    )
    op.create_index(f"ix_{name}_key_id_bucket", name, ["key_id", "bucket"])


def _fill(name: str, length: str, further: str, value: str, by_tag: str) -> None:
    dimensions = ", ".join((*DIMENSIONS, further))
    names = ", ".join(f"coalesce({dimension}, '') AS {dimension}" for dimension in DIMENSIONS)
    amounts = ", ".join(f"sum({amount})::bigint AS {amount}" for amount in SUMMED)
    measures = ", ".join(("requests", "failures", *SUMMED))
    op.execute(
        f"INSERT INTO {name} (bucket, digest, {dimensions}, {measures}) "
        f"SELECT bucket, substr(sha256(convert_to(ROW({dimensions})::text, 'UTF8')), 1, 16), {dimensions}, {measures} "
        f"FROM (SELECT date_bin('{length}', started_at, TIMESTAMPTZ '2000-01-01 00:00:00+00') AS bucket, {names}, "
        f"{value} AS {further}, count(*) AS requests, count(*) FILTER (WHERE status <> 'ok') AS failures, {amounts} "
        f"FROM receipts AS booked {by_tag} GROUP BY {', '.join(str(n) for n in range(1, len(DIMENSIONS) + 3))}) AS sums"
    )
