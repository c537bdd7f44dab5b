"""Sums of days in fewer rows: what was called, without whose it was; and whose it was, without what was called."""

from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None

MEASURES = (
    "requests", "failures", "duration_ms", "input_tokens", "cache_read_tokens", "cache_write_5m_tokens",
    "cache_write_1h_tokens", "output_tokens", "reasoning_tokens", "audio_input_tokens", "audio_output_tokens",
    "images", "web_searches", "input_cost_nanousd", "cache_read_cost_nanousd", "cache_write_cost_nanousd",
    "output_cost_nanousd", "other_cost_nanousd", "cost_nanousd", "notional_nanousd",
)  # fmt: skip
DEFAULTS = {
    "notional_nanousd": "0",
    "project": "''",
    "request_class": "'unknown'",
    "kind": "'usage'",
    "project_id": "''",
}
OWNERS = ("key_id", "organization_id", "team_id", "user_id", "customer_id", "project_id")
# The texts of each in the order of the digest, what else it tells apart, and what it is looked for by.
TABLES = {
    "spend_days_by_model": (
        ("model_asked", "model_served", "provider", "project", "request_class", "kind"), ("tagged",), (),
    ),
    "spend_days_by_key": (
        ("organization_id", "team_id", "user_id", "key_id", "customer_id", "kind", "project_id"), (), OWNERS,
    ),
}  # fmt: skip


def upgrade() -> None:
    for table, (names, flags, owners) in TABLES.items():
        columns = (
            "bucket timestamptz NOT NULL",
            *(f"{measure} bigint NOT NULL{_default(measure)}" for measure in MEASURES),
            *(f"{flag} boolean NOT NULL" for flag in flags),
            *(f"{name} text NOT NULL{_default(name)}" for name in names),
            "digest bytea NOT NULL",
        )
        told = ", ".join((*names, *flags))
        sums = ", ".join(f"sum({measure})" for measure in MEASURES)
        digest = f"substr(sha256(convert_to(ROW({told})::text, 'UTF8')), 1, 16)"
        op.execute(f"CREATE TABLE {table} ({', '.join(columns)}, CONSTRAINT pk_{table} PRIMARY KEY (bucket, digest))")
        op.execute(
            f"INSERT INTO {table} (bucket, digest, {told}, {', '.join(MEASURES)}) "
            f"SELECT bucket, {digest}, {told}, {sums} FROM spend_days GROUP BY bucket, {told}"
        )
        for owner in owners:
            op.create_index(f"ix_{table}_{owner}_bucket", table, [owner, "bucket"])


def _default(column: str) -> str:
    return f" DEFAULT {DEFAULTS[column]}" if column in DEFAULTS else ""


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
