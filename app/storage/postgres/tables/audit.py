"""The chain of audit rows, and where it ends."""

from sqlalchemy import BigInteger, Column, Index, LargeBinary, SmallInteger, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from app.storage.postgres.columns import (
    id_column,
    metadata,
    time_column,
)

audit = Table(
    "audit",
    metadata,
    id_column("audit_id"),
    time_column("at"),
    Column("actor", Text, nullable=False),
    # The litellm-changed-by header: on whose behalf the actor says it acted.
    Column("changed_by", Text),
    Column("client_address", Text),
    Column("action", Text, nullable=False),
    Column("object_type", Text, nullable=False),
    Column("object_id", Text, nullable=False),
    Column("before", JSONB(none_as_null=True)),
    Column("after", JSONB(none_as_null=True)),
    Column("actor_key_id", Text),
    # The place in the chain; null for rows that are older than the chain.
    Column("sequence", BigInteger),
    Column("previous_hash", LargeBinary),
    Column("hash", LargeBinary),
    Index("uq_audit_sequence", "sequence", unique=True),
    Index("ix_audit_at", "at"),
    Index("ix_audit_object_type_object_id", "object_type", "object_id"),
)

# One row: where the chain ends, so that rows cannot be cut off its end unseen.
audit_head = Table(
    "audit_head",
    metadata,
    Column("head_id", SmallInteger, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
)
