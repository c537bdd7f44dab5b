"""The tables of the reports: what receipts add up to, per quarter of an hour, hour and day of UTC."""

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Index, LargeBinary, PrimaryKeyConstraint, Table, Text

from app.storage.postgres.columns import metadata

QUARTER_S, HOUR_S, DAY_S = 900, 3_600, 86_400

# Whose it was and what was called. The empty text stands for none.
DIMENSIONS = (
    "organization_id",
    "team_id",
    "user_id",
    "key_id",
    "customer_id",
    "model_asked",
    "model_served",
    "provider",
)
COUNTED = ("requests", "failures")
# Columns of receipts by the same names, added up.
SUMMED = (
    "duration_ms",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
    "images",
    "web_searches",
    "input_cost_nanousd",
    "cache_read_cost_nanousd",
    "cache_write_cost_nanousd",
    "output_cost_nanousd",
    "other_cost_nanousd",
    "cost_nanousd",
)
MEASURES = COUNTED + SUMMED


def _buckets(name: str, further: str, kind: type[Boolean] | type[Text]) -> Table:
    """One row per bucket and combination; ``digest`` is of all that names the combination, of whatever length."""
    return Table(
        name,
        metadata,
        Column("bucket", DateTime(timezone=True), nullable=False),
        Column("digest", LargeBinary, nullable=False),
        *(Column(dimension, Text, nullable=False) for dimension in DIMENSIONS),
        Column(further, kind, nullable=False),
        *(Column(measure, BigInteger, nullable=False) for measure in MEASURES),
        PrimaryKeyConstraint("bucket", "digest"),
        Index(f"ix_{name}_key_id_bucket", "key_id", "bucket"),
    )


# Every receipt once. ``tagged`` tells those apart that are in no row of the tables of tags.
SPEND = {
    QUARTER_S: _buckets("spend_quarters", "tagged", Boolean),
    HOUR_S: _buckets("spend_hours", "tagged", Boolean),
    DAY_S: _buckets("spend_days", "tagged", Boolean),
}
# Every receipt once for each of its tags.
SPEND_BY_TAG = {
    QUARTER_S: _buckets("spend_tag_quarters", "tag", Text),
    HOUR_S: _buckets("spend_tag_hours", "tag", Text),
    DAY_S: _buckets("spend_tag_days", "tag", Text),
}
