"""What each call was for, which project it belongs to and who made it; and what sessions add up to."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

OF_RECEIPTS = ("project", "parent_agent_id", "agent_type", "prompt_id", "client")
DEFAULTS = {"project": "", "request_class": "unknown", "kind": "usage"}
SUMS = (
    "spend_quarters", "spend_hours", "spend_days", "spend_tag_quarters", "spend_tag_hours", "spend_tag_days",
)  # fmt: skip
OWNERS = ("organization_id", "team_id", "user_id", "customer_id")
DIMENSIONS = (
    "organization_id", "team_id", "user_id", "key_id", "customer_id", "model_asked", "model_served", "provider",
    "project", "request_class", "kind",
)  # fmt: skip
SUMMED = (
    "duration_ms", "input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens",
    "output_tokens", "reasoning_tokens", "audio_input_tokens", "audio_output_tokens", "images", "web_searches",
    "input_cost_nanousd", "cache_read_cost_nanousd", "cache_write_cost_nanousd", "output_cost_nanousd",
    "other_cost_nanousd", "cost_nanousd",
)  # fmt: skip


def upgrade() -> None:
    for name in OF_RECEIPTS:
        op.add_column("receipts", sa.Column(name, sa.Text()))
    for name in ("request_class", "kind"):
        op.add_column("receipts", sa.Column(name, sa.Text(), nullable=False, server_default=DEFAULTS[name]))
    for table in SUMS:
        for name, default in DEFAULTS.items():
            op.add_column(table, sa.Column(name, sa.Text(), nullable=False, server_default=default))
    for owner in OWNERS:
        op.create_index(f"ix_spend_days_{owner}_bucket", "spend_days", [owner, "bucket"])
    _create_sessions()
    _fill_sessions()


def downgrade() -> None:
    op.drop_table("spend_session_quarters")
    for owner in OWNERS:
        op.drop_index(f"ix_spend_days_{owner}_bucket", "spend_days")
    for table in SUMS:
        for name in DEFAULTS:
            op.drop_column(table, name)
    for name in (*OF_RECEIPTS, "request_class", "kind"):
        op.drop_column("receipts", name)


def _create_sessions() -> None:
    table = "spend_session_quarters"
    op.create_table(
        table,
        sa.Column("bucket", sa.DateTime(timezone=True), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False, server_default=DEFAULTS.get(name)) for name in DIMENSIONS),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("tags", postgresql.ARRAY(sa.Text()), nullable=False, server_default=sa.text("'{}'::text[]")),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        *(sa.Column(measure, sa.BigInteger(), nullable=False) for measure in ("requests", "failures", *SUMMED)),
        sa.PrimaryKeyConstraint("bucket", "digest", name=f"pk_{table}"),
    )
    for owner in ("key_id", "session_id"):
        op.create_index(f"ix_{table}_{owner}_bucket", table, [owner, "bucket"])


def _fill_sessions() -> None:
    names = (*DIMENSIONS, "session_id", "agent_id", "tags")
    given = ", ".join(name if name == "tags" else f"coalesce({name}, '') AS {name}" for name in names)
    amounts = ", ".join(f"sum({amount})::bigint AS {amount}" for amount in SUMMED)
    kept = ", ".join(("requests", "failures", *SUMMED, "first_at", "last_at"))
    listed = ", ".join(names)
    op.execute(
        f"INSERT INTO spend_session_quarters (bucket, digest, {listed}, {kept}) "
        f"SELECT bucket, substr(sha256(convert_to(ROW({listed})::text, 'UTF8')), 1, 16), {listed}, {kept} "
        f"FROM (SELECT date_bin('15 minutes', started_at, TIMESTAMPTZ '2000-01-01 00:00:00+00') AS bucket, {given}, "
        f"count(*) AS requests, count(*) FILTER (WHERE status <> 'ok') AS failures, {amounts}, "
        f"min(started_at) AS first_at, max(started_at) AS last_at "
        f"FROM receipts GROUP BY {', '.join(str(number) for number in range(1, len(names) + 2))}) AS sums"
    )
