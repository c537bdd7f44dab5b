"""Sums of days by session and whose it was, without what was called: by these sessions are ranked."""

from alembic import op

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None

MEASURES = (
    "requests", "failures", "duration_ms", "input_tokens", "cache_read_tokens", "cache_write_5m_tokens",
    "cache_write_1h_tokens", "output_tokens", "reasoning_tokens", "audio_input_tokens", "audio_output_tokens",
    "images", "web_searches", "input_cost_nanousd", "cache_read_cost_nanousd", "cache_write_cost_nanousd",
    "output_cost_nanousd", "other_cost_nanousd", "cost_nanousd", "notional_nanousd",
)  # fmt: skip
# In the order of the digest.
NAMES = ("organization_id", "team_id", "user_id", "key_id", "customer_id", "kind", "project_id", "session_id")
DEFAULTS = {"notional_nanousd": "0", "project_id": "''", "kind": "'usage'"}


def upgrade() -> None:
    columns = (
        "bucket timestamptz NOT NULL",
        *(f"{measure} bigint NOT NULL{_default(measure)}" for measure in MEASURES),
        *(f"{name} text NOT NULL{_default(name)}" for name in ("session_id", *NAMES[:-1])),
        "digest bytea NOT NULL",
    )
    told = ", ".join(NAMES)
    sums = ", ".join(f"sum({measure})" for measure in MEASURES)
    digest = f"substr(sha256(convert_to(ROW({told})::text, 'UTF8')), 1, 16)"
    day = "date_bin('1 day', bucket, TIMESTAMPTZ '2000-01-01 00:00:00+00')"
    op.execute(
        f"CREATE TABLE spend_session_days ({', '.join(columns)}, "
        "CONSTRAINT pk_spend_session_days PRIMARY KEY (bucket, digest))"
    )
    op.execute(
        f"INSERT INTO spend_session_days (bucket, digest, {told}, {', '.join(MEASURES)}) "
        f"SELECT {day}, {digest}, {told}, {sums} FROM spend_session_quarters GROUP BY 1, {told} ORDER BY 1"
    )
    op.create_index("ix_spend_session_days_session_id_bucket", "spend_session_days", ["session_id", "bucket"])


def _default(column: str) -> str:
    return f" DEFAULT {DEFAULTS[column]}" if column in DEFAULTS else ""


def downgrade() -> None:
    op.drop_table("spend_session_days")
