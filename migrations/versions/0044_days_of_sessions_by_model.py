"""Sums of days by session and all that quarters tell: by these sessions are ranked that a model narrows, or a tag."""

from alembic import op

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None

MEASURES = (
    "requests", "cost_nanousd", "failures", "input_tokens", "cache_read_tokens", "cache_write_5m_tokens",
    "cache_write_1h_tokens", "audio_input_tokens", "output_tokens", "audio_output_tokens", "notional_nanousd",
)  # fmt: skip
# In the order of the digest, and in that of the table.
NAMES = (
    "organization_id", "team_id", "user_id", "key_id", "customer_id", "model_asked", "model_served", "provider",
    "project", "request_class", "kind", "project_id", "session_id", "agent_id", "tags",
)  # fmt: skip
COLUMNS = (
    "session_id", "model_served", "request_class", "model_asked", "provider", "project", "kind", "key_id",
    "organization_id", "team_id", "user_id", "customer_id", "project_id", "agent_id", "tags",
)  # fmt: skip
DEFAULTS = {
    "notional_nanousd": "0", "project": "''", "request_class": "'unknown'", "kind": "'usage'", "project_id": "''",
    "tags": "'{}'::text[]",
}  # fmt: skip


def upgrade() -> None:
    columns = (
        "bucket timestamptz NOT NULL",
        *(f"{measure} bigint NOT NULL{_default(measure)}" for measure in MEASURES),
        *(f"{name} {'text[]' if name == 'tags' else 'text'} NOT NULL{_default(name)}" for name in COLUMNS),
        "digest bytea NOT NULL",
    )
    told = ", ".join(NAMES)
    sums = ", ".join(f"sum({measure})" for measure in MEASURES)
    digest = f"substr(sha256(convert_to(ROW({told})::text, 'UTF8')), 1, 16)"
    day = "date_bin('1 day', bucket, TIMESTAMPTZ '2000-01-01 00:00:00+00')"
    op.execute(
        f"CREATE TABLE spend_session_days_by_model ({', '.join(columns)}, "
        "CONSTRAINT pk_spend_session_days_by_model PRIMARY KEY (bucket, digest))"
    )
    op.execute(
        f"INSERT INTO spend_session_days_by_model (bucket, digest, {told}, {', '.join(MEASURES)}) "
        f"SELECT {day}, {digest}, {told}, {sums} FROM spend_session_quarters GROUP BY 1, {told} ORDER BY 1"
    )
    op.create_index(
        "ix_spend_session_days_by_model_session_id_bucket", "spend_session_days_by_model", ["session_id", "bucket"]
    )


def _default(column: str) -> str:
    return f" DEFAULT {DEFAULTS[column]}" if column in DEFAULTS else ""


def downgrade() -> None:
    op.drop_table("spend_session_days_by_model")
