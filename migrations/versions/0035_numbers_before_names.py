"""Sums of receipts have numbers before names, where Postgres finds them at once; owners have sums of their days."""

from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

MEASURES = (
    "requests", "failures", "duration_ms", "input_tokens", "cache_read_tokens", "cache_write_5m_tokens",
    "cache_write_1h_tokens", "output_tokens", "reasoning_tokens", "audio_input_tokens", "audio_output_tokens",
    "images", "web_searches", "input_cost_nanousd", "cache_read_cost_nanousd", "cache_write_cost_nanousd",
    "output_cost_nanousd", "other_cost_nanousd", "cost_nanousd", "notional_nanousd",
)  # fmt: skip
DIMENSIONS = (
    "organization_id", "team_id", "user_id", "key_id", "customer_id", "model_asked", "model_served", "provider",
    "project", "request_class", "kind", "project_id",
)  # fmt: skip
DEFAULTS = {
    "notional_nanousd": "0",
    "project": "''",
    "request_class": "'unknown'",
    "kind": "'usage'",
    "project_id": "''",
}
OF_SESSIONS = (
    "session_id text NOT NULL", "agent_id text NOT NULL", "tags text[] NOT NULL DEFAULT '{}'::text[]",
    "first_at timestamptz NOT NULL", "last_at timestamptz NOT NULL",
)  # fmt: skip
OWNERS = ("organization_id", "team_id", "user_id", "customer_id", "project_id")
# What each tells apart beside the dimensions, and what it is looked for by.
TABLES = {
    "spend_quarters": (("tagged boolean NOT NULL",), ("key_id",)),
    "spend_hours": (("tagged boolean NOT NULL",), ("key_id",)),
    "spend_days": (("tagged boolean NOT NULL",), ("key_id", *OWNERS)),
    "spend_tag_quarters": (("tag text NOT NULL",), ("key_id",)),
    "spend_tag_hours": (("tag text NOT NULL",), ("key_id",)),
    "spend_tag_days": (("tag text NOT NULL",), ("key_id",)),
    "spend_session_quarters": (OF_SESSIONS, ("key_id", "session_id")),
}
SUMS_OF_OWNERS = """
INSERT INTO spend_owner_days (bucket, level, owner_id, member_id, cost_nanousd)
SELECT bucket, level, owner_id, member_id, sum(cost_nanousd) FROM spend_days
CROSS JOIN LATERAL (
    VALUES ('platform', '', ''), ('organization', organization_id, ''), ('team', team_id, ''),
        ('member', team_id, user_id), ('user', user_id, ''), ('key', key_id, ''), ('customer', customer_id, ''),
        ('project', project_id, '')
) AS named (level, owner_id, member_id)
WHERE (level = 'platform' OR owner_id <> '') AND (level <> 'member' OR member_id <> '')
GROUP BY 1, 2, 3, 4 HAVING sum(cost_nanousd) <> 0
UNION ALL
SELECT bucket, 'tag', tag, '', sum(cost_nanousd) FROM spend_tag_days GROUP BY 1, 3 HAVING sum(cost_nanousd) <> 0
"""


def upgrade() -> None:
    for table, (further, owners) in TABLES.items():
        _write_anew(table, further)
        for owner in owners:
            op.create_index(f"ix_{table}_{owner}_bucket", table, [owner, "bucket"])
    op.execute(
        "CREATE TABLE spend_owner_days (bucket timestamptz NOT NULL, cost_nanousd bigint NOT NULL, "
        "level text NOT NULL, owner_id text NOT NULL, member_id text NOT NULL, "
        "CONSTRAINT pk_spend_owner_days PRIMARY KEY (level, owner_id, member_id, bucket))"
    )
    op.execute(SUMS_OF_OWNERS)
    op.create_index("ix_spend_owner_days_bucket", "spend_owner_days", ["bucket"])


def _write_anew(table: str, further: tuple[str, ...]) -> None:
    columns = (
        "bucket timestamptz NOT NULL",
        *(f"{measure} bigint NOT NULL{_default(measure)}" for measure in MEASURES),
        *further,
        *(f"{dimension} text NOT NULL{_default(dimension)}" for dimension in DIMENSIONS),
        "digest bytea NOT NULL",
    )
    names = ", ".join(column.split(" ")[0] for column in columns)
    op.execute(f"ALTER TABLE {table} RENAME TO {table}_before")
    op.execute(f"CREATE TABLE {table} ({', '.join(columns)})")
    op.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM {table}_before ORDER BY bucket, digest")
    op.execute(f"DROP TABLE {table}_before")
    op.create_primary_key(f"pk_{table}", table, ["bucket", "digest"])


def _default(column: str) -> str:
    return f" DEFAULT {DEFAULTS[column]}" if column in DEFAULTS else ""


def downgrade() -> None:
    """The order of columns stays: nothing asks for it."""
    op.drop_table("spend_owner_days")
    op.create_index("ix_spend_tag_days_tag", "spend_tag_days", ["tag"])
